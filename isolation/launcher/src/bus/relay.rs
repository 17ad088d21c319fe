//! `hedgerow-launch bus`: takes a fence's connections to the bus, and leads each to xdg-dbus-proxy, which it runs.

use std::error::Error;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::chown;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use hedgerow_isolation::connection::Connection;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::FdFlags;
use rustix::process::{Pid, Signal, WaitOptions, set_parent_process_death_signal};
use rustix::thread::{set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use serde::{Deserialize, Serialize};

use super::conversation;
use crate::mount;

/// Most connections at once, each a process; one more is closed at once.
const MAX_CONNECTIONS: usize = 32;

/// How long the filter may take to start.
const STARTING: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// What the relay is told; beside it the listening socket.
#[derive(Debug, Serialize, Deserialize)]
pub struct Orders {
    pub program: PathBuf,
    pub address: String,
    pub options: Vec<String>,
    /// The host's id as which it all runs.
    pub user: u32,
}

struct Relay {
    orders: Orders,
    /// In which the filter has its socket: of no mount namespace.
    directory: OwnedFd,
    filter: Option<Filter>,
    connections: Vec<i32>,
}

struct Filter {
    pid: i32,
    /// When it closes, the filter ends.
    _life: OwnedFd,
}

/// Serves until the launcher, which is at the other end of stdin, is gone.
pub fn main() -> Result<(), Box<dyn Error>> {
    let channel = Connection::from(rustix::io::fcntl_dupfd_cloexec(io::stdin(), 100)?);
    let Some((orders, descriptors)) = channel.recv::<Orders>()? else { return Ok(()) };
    let [listener] = <[OwnedFd; 1]>::try_from(descriptors).map_err(|_| "no listening socket")?;
    let directory = mount::tmpfs("16k")?;
    chown(in_directory(&directory, ""), Some(orders.user), Some(orders.user))?;
    become_user(orders.user)?;
    let mut relay = Relay { orders, directory, filter: None, connections: Vec::new() };
    loop {
        let mut sources =
            [PollFd::new(&listener, PollFlags::IN), PollFd::new(&channel, PollFlags::IN)];
        rustix::io::retry_on_intr(|| poll(&mut sources, None))?;
        let [waiting, launcher] = sources.map(|source| !source.revents().is_empty());
        if launcher {
            return Ok(());
        }
        if waiting {
            let client = rustix::net::accept_with(&listener, rustix::net::SocketFlags::CLOEXEC)?;
            relay.reap();
            relay.serve(client);
        }
    }
}

fn become_user(user: u32) -> io::Result<()> {
    let (uid, gid) = (rustix::process::Uid::from_raw(user), rustix::process::Gid::from_raw(user));
    set_thread_groups(&[])?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    set_no_new_privs(true)?;
    // A change of user clears it.
    Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
}

fn in_directory(directory: &OwnedFd, name: &str) -> String {
    format!("/proc/self/fd/{}/{name}", directory.as_raw_fd())
}

impl Relay {
    /// Takes notice of processes that have ended.
    fn reap(&mut self) {
        while let Ok(Some((pid, _))) = rustix::process::wait(WaitOptions::NOHANG) {
            let pid = pid.as_raw_nonzero().get();
            self.connections.retain(|connection| *connection != pid);
            if self.filter.take_if(|filter| filter.pid == pid).is_some() {
                say!("the filter of the host's bus has ended; another is started");
            }
        }
    }

    /// A connection that cannot be served is closed, and the client sees that.
    fn serve(&mut self, client: OwnedFd) {
        if self.connections.len() >= MAX_CONNECTIONS {
            say!("a fence has {MAX_CONNECTIONS} connections to the host's bus: no more");
            return;
        }
        match self.lead(client) {
            Ok(pid) => self.connections.push(pid),
            Err(error) => say!("a fence's connection to the host's bus: {error}"),
        }
    }

    fn lead(&mut self, client: OwnedFd) -> io::Result<i32> {
        if self.filter.is_none() {
            self.filter = Some(self.start_filter()?);
        }
        let server = UnixStream::connect(in_directory(&self.directory, "filter"))?;
        // SAFETY: this process has one thread, so the child may do all that the parent may.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                let _ = set_parent_process_death_signal(Some(Signal::KILL));
                let _ = conversation::relay(client.as_fd(), server.as_fd(), self.orders.user);
                // SAFETY: ends the child without running what the parent registered for its own exit.
                unsafe { libc::_exit(0) }
            }
            child => Ok(child),
        }
    }

    fn start_filter(&self) -> io::Result<Filter> {
        let (life, theirs) = rustix::net::socketpair(
            rustix::net::AddressFamily::UNIX,
            rustix::net::SocketType::STREAM,
            rustix::net::SocketFlags::CLOEXEC,
            None,
        )?;
        let kept = [theirs.as_raw_fd(), self.directory.as_raw_fd()];
        let mut command = Command::new(&self.orders.program);
        command
            .arg(format!("--fd={}", theirs.as_raw_fd()))
            .args([&self.orders.address, &in_directory(&self.directory, "filter")])
            .args(&self.orders.options)
            .env_clear();
        // SAFETY: fcntl(2) and prctl(2) are system calls alone, which are safe between fork and exec.
        unsafe {
            command.pre_exec(move || {
                for descriptor in kept {
                    // SAFETY: open in this process until it executes the program.
                    let descriptor = std::os::fd::BorrowedFd::borrow_raw(descriptor);
                    rustix::io::fcntl_setfd(descriptor, FdFlags::empty())?;
                }
                Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
            });
        }
        let pid = command.spawn()?.id().cast_signed();
        drop(theirs);
        // It says one byte when it listens.
        let mut word = [PollFd::new(&life, PollFlags::IN)];
        rustix::io::retry_on_intr(|| poll(&mut word, Some(&STARTING)))?;
        let ready = !word[0].revents().is_empty();
        let mut life = std::fs::File::from(life);
        if ready && life.read_exact(&mut [0]).is_ok() {
            return Ok(Filter { pid, _life: life.into() });
        }
        if let Some(child) = Pid::from_raw(pid) {
            let _ = rustix::process::kill_process(child, Signal::KILL);
        }
        Err(io::Error::other(format!("{} does not start", self.orders.program.display())))
    }
}
