//! The host's system bus for one fence, as far as a grant goes.
//!
//! ```text
//!  component ──► /run/dbus/system_bus_socket ──► relay ──► xdg-dbus-proxy ──► the host's bus
//!                a mount of the fence's own       both as the host's nobody
//! ```
//! The bus judges whom the kernel shows it: nobody, to whom its policy for everybody applies. (Not one of the fence's
//! users: dbus-daemon lets nobody in whom the host's password file does not know.) The relay is there because a client
//! says to the bus what number its user has, and in a fence that is another number.

mod conversation;
pub mod relay;

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, io};

use hedgerow_isolation::connection::Connection;
use hedgerow_isolation::grants::HostDbus;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::cgroup::Cgroup;
use crate::mount;
use crate::root::UNPRIVILEGED;
use relay::Orders;

/// Where the bus is in a fence.
pub const DIRECTORY: &str = "/run/dbus";
pub const SOCKET: &str = "system_bus_socket";
pub const VARIABLE: (&str, &str) =
    ("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/run/dbus/system_bus_socket");

const PROGRAM: &str = "xdg-dbus-proxy";
const PROGRAMS: [&str; 3] = ["/usr/bin", "/usr/local/bin", "/bin"];

/// From one start of the relay to the next, at least.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "host-dbus is granted, and there is no {PROGRAM} in {}: install the package {PROGRAM}", PROGRAMS.join(", ")
    )]
    NoProgram,
    #[error("the host's bus for the fence: {0}")]
    System(#[from] io::Error),
}

#[derive(Debug)]
pub struct Bus {
    listener: OwnedFd,
    orders: Orders,
    relay: Option<Relay>,
    /// When it was started last.
    started: Option<Instant>,
}

#[derive(Debug)]
struct Relay {
    pid: i32,
    /// When it closes, the relay ends.
    _channel: Connection,
}

impl Bus {
    /// The bus, and the mount that has its socket. Nothing runs yet.
    pub fn make(grant: &HostDbus, address: String) -> Result<(Self, OwnedFd), Error> {
        let found = PROGRAMS.iter().map(|directory| Path::new(directory).join(PROGRAM));
        let program: PathBuf = found.into_iter().find(|p| p.is_file()).ok_or(Error::NoProgram)?;
        let directory = mount::tmpfs("16k")?;
        let listener = listen(&format!("/proc/self/fd/{}/{SOCKET}", directory.as_raw_fd()))?;
        let user = UNPRIVILEGED;
        let orders = Orders { program, address, options: grant.options(), user };
        Ok((Self { listener, orders, relay: None, started: None }, directory))
    }

    /// Starts the relay, as a process of the fence's cgroup: it ends with the fence.
    pub fn start(&mut self, cgroup: &Cgroup) -> io::Result<()> {
        self.started = Some(Instant::now());
        let (channel, end) = Connection::pair()?;
        let child = Command::new("/proc/self/exe")
            .arg("bus")
            .env_clear()
            .stdin(OwnedFd::from(end))
            .stdout(Stdio::null())
            .spawn()?;
        let pid = child.id().cast_signed();
        // It waits for its orders: whatever it starts is in the cgroup as well.
        cgroup.add(pid).map_err(io::Error::other)?;
        channel.send(&self.orders, &[self.listener.as_fd()])?;
        self.relay = Some(Relay { pid, _channel: channel });
        Ok(())
    }

    /// When the relay is to be started, where none runs. Clients wait meanwhile.
    pub fn due(&self) -> Option<Instant> {
        match (&self.relay, self.started) {
            (Some(_), _) => None,
            (None, Some(last)) => Some(last + PAUSE),
            (None, None) => Some(Instant::now()),
        }
    }

    /// Whether the process that has ended was the relay.
    pub fn reaped(&mut self, pid: i32) -> bool {
        self.relay.take_if(|relay| relay.pid == pid).is_some()
    }

    pub fn process(&self) -> Option<i32> {
        self.relay.as_ref().map(|relay| relay.pid)
    }
}

fn listen(path: &str) -> io::Result<OwnedFd> {
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    // Any user of the fence; nobody else sees it.
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o666))?;
    rustix::net::listen(&socket, 64)?;
    Ok(socket)
}
