//! The seccomp filter of the programs that run in the fence.

use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};

use hedgerow_isolation::connection::Connection;
use hedgerow_isolation::control::Report;
use rustix::io::Errno;

use crate::step::last_errno;
use crate::users::Identity;

pub struct Filter {
    program: Vec<libc::sock_filter>,
    /// Where a program's own process says that somebody has to answer what the filter leaves open. `None` where it
    /// decides everything itself.
    told: Option<Connection>,
    /// Root is the host's own: its programs run without.
    spares_root: bool,
}

impl Filter {
    pub fn new(
        program: Vec<libc::sock_filter>,
        control: &Connection,
        spares_root: bool,
    ) -> io::Result<Self> {
        let asks = program.iter().any(|instruction| {
            instruction.code == (libc::BPF_RET | libc::BPF_K) as u16
                && instruction.k & libc::SECCOMP_RET_ACTION_FULL == libc::SECCOMP_RET_USER_NOTIF
        });
        let told = asks.then(|| control.as_fd().try_clone_to_owned()).transpose()?;
        Ok(Self { program, told: told.map(Connection::from), spares_root })
    }

    /// From here on the filter judges every call of this process, which is to be `identity`'s, and its children.
    pub fn install(&self, identity: &Identity) -> Result<(), Errno> {
        if self.spares_root && identity.privileged {
            return Ok(());
        }
        let Some(told) = &self.told else { return self.load(0).map(drop) };
        let asks = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
        // That a signal does not begin a call anew which waits for its answer needs Linux 5.19.
        let patient = asks | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
        let listener = match self.load(patient) {
            Err(Errno::INVAL) => self.load(asks)?,
            loaded => loaded?,
        };
        // SAFETY: seccomp(2) has just opened it, close-on-exec, and returned its number.
        let listener = unsafe { OwnedFd::from_raw_fd(listener) };
        told.send(&Report::Filtered, &[listener.as_fd()]).map_err(|_| Errno::PIPE)
    }

    /// seccomp(2); the result is a descriptor where `flags` ask for one.
    fn load(&self, flags: libc::c_ulong) -> Result<i32, Errno> {
        let program = libc::sock_fprog {
            len: u16::try_from(self.program.len()).map_err(|_| Errno::INVAL)?,
            filter: self.program.as_ptr().cast_mut(),
        };
        let mode = libc::SECCOMP_SET_MODE_FILTER;
        // SAFETY: the kernel copies `len` instructions from `filter`, which lives until the call returns.
        let result = unsafe { libc::syscall(libc::SYS_seccomp, mode, flags, &program) };
        if result < 0 { Err(last_errno()) } else { i32::try_from(result).map_err(|_| Errno::INVAL) }
    }
}
