//! Process 1's side of `sudo`.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use hedgerow_isolation::connection::Connection;
use hedgerow_isolation::protocol::ExitStatus;
use rustix::event::Timespec;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::arguments::{Order, Shell};
use super::{Answer, Request, SOCKET};
use crate::filter::Filter;
use crate::step::{self, Directory, Launch};
use crate::users::{Account, Users};

/// Most of them at once; the next one waits until another has ended.
const MAX_CALLERS: usize = 64;

/// Until somebody is let in again after there were no descriptors left.
const CROWDED: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

#[derive(Debug)]
pub struct Sudo {
    listener: OwnedFd,
    callers: Vec<Caller>,
    /// Nobody more could be let in: not to be tried again before something has happened, or [`CROWDED`] has passed.
    is_crowded: bool,
}

#[derive(Debug)]
struct Caller {
    connection: Connection,
    uid: u32,
    /// Once it runs.
    command: Option<i32>,
}

/// A descriptor to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Listener,
    /// The caller of this number among those there are.
    Caller(usize),
}

impl Sudo {
    pub fn listen() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let listener =
            rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        rustix::net::bind(&listener, &SocketAddrUnix::new(SOCKET)?)?;
        // Whoever is in the fence may: see the module.
        fs::set_permissions(SOCKET, Permissions::from_mode(0o666))?;
        rustix::net::listen(&listener, 16)?;
        Ok(Self { listener, callers: Vec::new(), is_crowded: false })
    }

    pub fn sources(&self) -> impl Iterator<Item = (Source, BorrowedFd<'_>)> {
        let room = self.callers.len() < MAX_CALLERS && !self.is_crowded;
        let listener = room.then(|| (Source::Listener, self.listener.as_fd()));
        let callers = self.callers.iter().enumerate();
        let callers = callers.map(|(number, c)| (Source::Caller(number), c.connection.as_fd()));
        listener.into_iter().chain(callers)
    }

    /// How long to wait for [`Self::sources`] at most.
    pub fn patience(&self) -> Option<Timespec> {
        self.is_crowded.then_some(CROWDED)
    }

    /// Serves what was ready, in the numbering of [`Self::sources`].
    pub fn serve(&mut self, ready: &[Source], filter: &Filter) {
        self.is_crowded = false;
        let mut gone = Vec::new();
        for source in ready {
            match source {
                Source::Listener => self.accept(),
                Source::Caller(number) => {
                    let caller = self.callers.get_mut(*number);
                    if caller.is_some_and(|caller| !caller.hear(filter)) {
                        gone.push(*number);
                    }
                }
            }
        }
        let mut number = 0;
        self.callers.retain(|_| {
            number += 1;
            !gone.contains(&(number - 1))
        });
    }

    /// A child of this process has ended: the command of somebody here, it may be.
    pub fn reaped(&mut self, pid: i32, status: ExitStatus) {
        self.callers.retain(|caller| {
            let ended = caller.command == Some(pid);
            if ended {
                // Who does not listen any more has lost nothing.
                let _ = caller.connection.send(&Answer::Exited(status), &[]);
            }
            !ended
        });
    }

    fn accept(&mut self) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = match rustix::net::accept_with(&self.listener, flags) {
            Ok(socket) => socket,
            Err(errno) => {
                // Whoever is refused for want of descriptors or memory is still there to be waited for.
                self.is_crowded = errno != Errno::AGAIN;
                return;
            }
        };
        let Ok(peer) = rustix::net::sockopt::socket_peercred(&socket) else { return };
        let (connection, uid) = (socket.into(), peer.uid.as_raw());
        self.callers.push(Caller { connection, uid, command: None });
    }
}

impl Caller {
    /// False once it is done with.
    fn hear(&mut self, filter: &Filter) -> bool {
        match self.connection.recv::<Request>() {
            Ok(Some((Request::Run { order, environment }, descriptors)))
                if self.command.is_none() =>
            {
                self.run(&order, environment, &descriptors, filter)
            }
            Ok(Some((Request::Signal(signal), _))) => {
                self.signal(signal);
                true
            }
            Err(failure) if failure.would_block() => true,
            Ok(Some((Request::Run { .. }, _)) | None) | Err(_) => {
                self.signal(libc::SIGTERM);
                false
            }
        }
    }

    fn run(
        &mut self,
        order: &Order,
        environment: BTreeMap<String, String>,
        descriptors: &[OwnedFd],
        filter: &Filter,
    ) -> bool {
        let started = start(order, environment, self.uid, descriptors, filter);
        let answer = match started {
            Ok(pid) if !order.background => {
                self.command = Some(pid);
                return true;
            }
            Ok(_) => Answer::Left,
            Err(reason) => Answer::Refused(reason),
        };
        let _ = self.connection.send(&answer, &[]);
        false
    }

    /// To the command, and to what it started, since each has a session of its own.
    fn signal(&self, signal: i32) {
        if let Some(pid) = self.command {
            // SAFETY: kill has no memory effects; the process is not reaped yet. (nix knows no real-time signals.)
            unsafe { libc::kill(-pid, signal) };
        }
    }
}

/// The reason is for people.
fn start(
    order: &Order,
    mut environment: BTreeMap<String, String>,
    caller: u32,
    descriptors: &[OwnedFd],
    filter: &Filter,
) -> Result<i32, String> {
    let [stdin, stdout, stderr, directory] = descriptors else {
        return Err("no descriptors came with the request".to_owned());
    };
    let users = Users::read();
    let account = users.user(order.user.as_deref().unwrap_or("root")).map_err(|e| e.to_string())?;
    let mut user = account.user;
    if let Some(group) = &order.group {
        user.gid = users.group(group).map_err(|e| e.to_string())?;
    }
    let argv = command_line(order, &account);
    adjust(&mut environment, order, &account, &users, caller, &argv);
    let launch = Launch {
        argv: &argv,
        environment: &environment,
        directory: match (&order.directory, order.shell) {
            (Some(path), _) => Directory::Path(Path::new(path)),
            (None, Shell::Login) => Directory::Path(Path::new(&account.home)),
            (None, Shell::None | Shell::Plain) => Directory::Open(directory.as_fd()),
        },
        identity: users.identity(user),
        stdio: [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()],
        announced: None,
    };
    step::start(&launch, filter).map_err(|refusal| refusal.to_string())
}

fn command_line(order: &Order, account: &Account) -> Vec<String> {
    let mut argv = match order.shell {
        Shell::None => return order.command.clone(),
        Shell::Plain => vec![account.shell.clone()],
        Shell::Login => vec![account.shell.clone(), "-l".to_owned()],
    };
    if !order.command.is_empty() {
        argv.extend(["-c".to_owned(), order.command.join(" ")]);
    }
    argv
}

/// The caller's environment goes with the command, as if every `sudo` were `sudo -E`: what a component is told about
/// itself is there. Only who one is changes.
fn adjust(
    environment: &mut BTreeMap<String, String>,
    order: &Order,
    account: &Account,
    users: &Users,
    caller: u32,
    argv: &[String],
) {
    let mut set = |name: &str, value: &str| environment.insert(name.to_owned(), value.to_owned());
    if !order.keeps_home {
        set("HOME", &account.home);
        set("USER", &account.name);
        set("LOGNAME", &account.name);
    }
    let name = users.by_id(caller).map_or_else(|| caller.to_string(), |own| own.name.clone());
    set("SUDO_USER", &name);
    set("SUDO_UID", &caller.to_string());
    set("SUDO_GID", &users.by_id(caller).map_or(caller, |own| own.user.gid).to_string());
    set("SUDO_COMMAND", &argv.join(" "));
    for (name, value) in &order.variables {
        set(name, value);
    }
}
