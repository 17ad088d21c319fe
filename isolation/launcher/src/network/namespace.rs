//! Network namespaces of fences.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use nix::sched::{CloneFlags, setns};

/// Keeps the namespace, and with it the fence's link.
#[derive(Debug)]
pub struct Namespace(File);

impl Namespace {
    pub fn of(pid: i32) -> io::Result<Self> {
        File::open(format!("/proc/{pid}/ns/net")).map(Self)
    }

    pub fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Runs `body` in it, and comes back. Sockets that `body` makes stay there.
    pub fn within<T>(&self, body: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let ours = File::open("/proc/self/ns/net")?;
        setns(self.0.as_fd(), CloneFlags::CLONE_NEWNET)?;
        let result = body();
        if let Err(errno) = setns(ours.as_fd(), CloneFlags::CLONE_NEWNET) {
            // Whatever came next would be done to the wrong network.
            say!("cannot come back from a fence's network: {errno}");
            std::process::exit(1);
        }
        result
    }
}
