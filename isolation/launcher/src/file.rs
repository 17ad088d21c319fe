//! A file inside a fence, opened for the daemon as one of the fence's users would open it.

use std::os::fd::OwnedFd;
use std::path::Path;

use hedgerow_isolation::plan::{IdRange, User};
use hedgerow_isolation::protocol::{Error, ErrorKind};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::rights::as_user;

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
    // A fifo must not keep the launcher waiting.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let open = || rustix::fs::openat2(&root, path, flags, Mode::empty(), resolve);
    let file = as_user(uid, gid, &[], open)?;
    match FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) {
        FileType::RegularFile | FileType::Directory => Ok(file),
        _ => Err(Errno::INVAL),
    }
}
