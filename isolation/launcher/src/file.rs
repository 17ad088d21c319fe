//! A file inside a fence, opened for the daemon as one of the fence's users would open it.

use std::os::fd::OwnedFd;
use std::path::Path;

use hedgerow_isolation::plan::{IdRange, User};
use hedgerow_isolation::protocol::{Error, ErrorKind};
use nix::unistd::{Gid, Uid, setfsgid, setfsuid};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets};

/// `init`: process 1 of the fence, not yet reaped. `path` is resolved as if the fence's root were the root, and with
/// the file system rights of `user`.
pub fn open(init: i32, path: &Path, user: User, ids: IdRange) -> Result<OwnedFd, Error> {
    let as_user = ids.host(user.uid).zip(ids.host(user.gid)).ok_or(Errno::INVAL);
    as_user.and_then(|(uid, gid)| open_as(init, path, uid, gid)).map_err(|errno| {
        let (kind, reason) = match errno {
            Errno::NOENT | Errno::NOTDIR => (ErrorKind::Invalid, "no such file".to_owned()),
            Errno::INVAL => {
                (ErrorKind::Invalid, "neither a regular file nor a directory".to_owned())
            }
            Errno::ACCESS => (ErrorKind::Invalid, format!("user {} may not read it", user.uid)),
            other => (ErrorKind::System, other.to_string()),
        };
        Error::new(kind, format!("{path:?} in the fence: {reason}"))
    })
}

fn open_as(init: i32, path: &Path, uid: u32, gid: u32) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(format!("/proc/{init}/root"), flags, Mode::empty())?;
    // setfsuid(2) drops the capabilities that override permissions; others would open more of /proc than the user may.
    let held = rustix::thread::capabilities(None)?;
    let none = CapabilitySets { effective: CapabilitySet::empty(), ..held };
    let (own_gid, own_uid) = (setfsgid(Gid::from_raw(gid)), setfsuid(Uid::from_raw(uid)));
    // A fifo must not keep the launcher waiting.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let opened = rustix::thread::set_capabilities(None, none)
        .and_then(|()| rustix::fs::openat2(&root, path, flags, Mode::empty(), resolve));
    let regained = rustix::thread::set_capabilities(None, held);
    setfsuid(own_uid);
    setfsgid(own_gid);

    regained?;
    let file = opened?;
    match FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) {
        FileType::RegularFile | FileType::Directory => Ok(file),
        _ => Err(Errno::INVAL),
    }
}
