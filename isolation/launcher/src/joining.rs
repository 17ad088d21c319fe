//! A process on its way into cgroups, which does other things meanwhile.
//!
//! The kernel lets a process move only when every CPU has been elsewhere once (an RCU grace period): milliseconds in
//! which whoever writes to cgroup.procs waits.

use std::fs;
use std::io;
use std::path::PathBuf;

use rustix::process::{Pid, WaitOptions, getpid, waitpid};

#[derive(Debug)]
pub struct Joining {
    mover: Option<Pid>,
}

impl Joining {
    /// Begins to move this process, which has one thread. Its children are in the cgroups only once it is there.
    pub fn begin(directories: &[PathBuf]) -> io::Result<Self> {
        let own = getpid().as_raw_nonzero().to_string();
        // SAFETY: this process has one thread, so the child may do all that the parent may.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                let moved = directories
                    .iter()
                    .try_for_each(|directory| fs::write(directory.join("cgroup.procs"), &own));
                let errno = moved.map_or_else(|e| e.raw_os_error().unwrap_or(libc::EIO), |()| 0);
                // SAFETY: ends the child without running what the parent registered for its own exit.
                unsafe { libc::_exit(errno) }
            }
            child => Ok(Self { mover: Pid::from_raw(child) }),
        }
    }

    /// Returns when this process is there.
    pub fn finish(self) -> io::Result<()> {
        let ended = waitpid(self.mover, WaitOptions::empty())?;
        match ended.and_then(|(_, status)| status.exit_status()) {
            Some(0) => Ok(()),
            Some(errno) => Err(io::Error::from_raw_os_error(errno)),
            None => Err(io::Error::other("what moves it was killed")),
        }
    }
}
