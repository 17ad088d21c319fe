//! The directories that a plan mounts, found without trusting the tree that they lie in: it is the daemon's.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use hedgerow_isolation::plan::{Access, Base, IdRange, Mount, User};
use hedgerow_isolation::protocol::{Error, ErrorKind};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::io::Errno;

use crate::mount::{self, Reach};

/// The launcher's own part of the runtime directory.
pub const LAUNCH: &str = "launch";

/// The directories that sources are relative to.
#[derive(Debug)]
pub struct Bases {
    pub state: OwnedFd,
    pub runtime: OwnedFd,
    /// Few devices have it.
    pub image: PathBuf,
    pub daemon_uid: u32,
}

impl Bases {
    /// A detached mount of the source, made and given away first where the plan says so.
    pub fn mount(&self, wanted: &Mount, ids: IdRange) -> Result<OwnedFd, Error> {
        let refused = |errno: Errno| refusal(wanted, errno);
        if wanted.base == Base::Runtime && wanted.source.starts_with(LAUNCH) {
            let message = format!("mount source {:?} is the launcher's own", wanted.source);
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let base = self.base(wanted.base).map_err(refused)?;
        let base = base.as_fd();
        let owner = wanted.owner.filter(|_| wanted.access != Access::Layered);
        let directory = match (owner, open(base, &wanted.source)) {
            (None, opened) => opened.map_err(refused)?,
            (Some(owner), Err(Errno::NOENT)) => {
                let directory = create(base, &wanted.source).map_err(refused)?;
                give(directory.as_fd(), owner, ids).map_err(refused)?;
                directory
            }
            (Some(owner), opened) => {
                let directory = opened.map_err(refused)?;
                self.give_if_ours(directory.as_fd(), wanted, owner, ids)?;
                directory
            }
        };
        mount::copy(directory.as_fd(), "", Reach::One).map_err(|e| {
            let message = format!("mount source {:?}: {e}", wanted.source);
            Error::new(ErrorKind::System, message)
        })
    }

    fn base(&self, base: Base) -> Result<OwnedFd, Errno> {
        match base {
            Base::State => rustix::io::fcntl_dupfd_cloexec(&self.state, 0),
            Base::Runtime => rustix::io::fcntl_dupfd_cloexec(&self.runtime, 0),
            Base::Image => open_image(&self.image),
        }
    }

    /// The directory of a layer, made where it is missing. Nobody but root may have had a hand in what is below: it
    /// says where the kernel writes.
    pub fn layer(&self, source: &Path) -> Result<OwnedFd, Error> {
        let refused = |errno: Errno| refused("layer", source, errno);
        let directory = match open(self.state.as_fd(), source) {
            Err(Errno::NOENT) => create(self.state.as_fd(), source).map_err(refused)?,
            opened => opened.map_err(refused)?,
        };
        check_layer(&directory, source)?;
        mount::copy(directory.as_fd(), "", Reach::One)
            .map_err(|e| Error::new(ErrorKind::System, format!("layer {source:?}: {e}")))
    }

    /// The directory of a dependency's layer, where it has one. Not a mount: parts of it are copied, which the kernel
    /// refuses for a detached one before Linux 6.15.
    pub fn dependencys_layer(&self, source: &Path) -> Result<Option<OwnedFd>, Error> {
        match open(self.state.as_fd(), source) {
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(refused("layer", source, errno)),
            Ok(directory) => check_layer(&directory, source).map(|()| Some(directory)),
        }
    }

    /// A detached mount of a dependency's directory, where it exists.
    pub fn dependencys_mount(&self, wanted: &Mount) -> Result<Option<OwnedFd>, Error> {
        let base = self.base(wanted.base).map_err(|e| refusal(wanted, e))?;
        match open(base.as_fd(), &wanted.source) {
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(refusal(wanted, errno)),
            Ok(directory) => {
                mount::copy(directory.as_fd(), "", Reach::One).map(Some).map_err(|e| {
                    let message = format!("mount source {:?}: {e}", wanted.source);
                    Error::new(ErrorKind::System, message)
                })
            }
        }
    }

    /// Where a directory of the state directory is: the one that it is in, and its name there. `None` where there is
    /// no such place.
    pub fn locate(&self, directory: &Path) -> Result<Option<(OwnedFd, CString)>, Error> {
        let base = self.state.as_fd();
        let found = name_of(directory).and_then(|name| Ok((parent(base, directory)?, name)));
        match found {
            Ok(found) => Ok(Some(found)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => {
                Err(Error::new(ErrorKind::Invalid, format!("directory {directory:?}: {errno}")))
            }
        }
    }

    /// Only what is the daemon's or this fence's already: neither the system's nor another component's.
    fn give_if_ours(
        &self,
        directory: BorrowedFd<'_>,
        wanted: &Mount,
        owner: User,
        ids: IdRange,
    ) -> Result<(), Error> {
        let uid = rustix::fs::fstat(directory).map_err(|e| refusal(wanted, e))?.st_uid;
        if uid != self.daemon_uid && !ids.contains(uid) {
            let message = format!(
                "mount source {:?} belongs to user {uid}, who is neither the daemon ({}) nor of this fence",
                wanted.source, self.daemon_uid
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        // A fence's own is left to the user that it was given to inside.
        if ids.contains(uid) {
            Ok(())
        } else {
            give(directory, owner, ids).map_err(|e| refusal(wanted, e))
        }
    }
}

fn check_layer(directory: &OwnedFd, source: &Path) -> Result<(), Error> {
    let found = rustix::fs::fstat(directory).map_err(|e| refused("layer", source, e))?;
    if found.st_uid == 0 && found.st_mode & 0o077 == 0 {
        return Ok(());
    }
    let message = format!("layer {source:?}: not made by the launcher: discard it");
    Err(Error::new(ErrorKind::Invalid, message))
}

fn refusal(wanted: &Mount, errno: Errno) -> Error {
    refused("mount source", &wanted.source, errno)
}

fn refused(what: &str, path: &Path, errno: Errno) -> Error {
    let (kind, reason) = match errno {
        Errno::LOOP => {
            (ErrorKind::Invalid, "a symbolic link on the way is not followed".to_owned())
        }
        Errno::XDEV => (ErrorKind::Invalid, "leads out of its base directory".to_owned()),
        Errno::NOENT | Errno::NOTDIR => (ErrorKind::Invalid, "no such directory".to_owned()),
        other => (ErrorKind::System, other.to_string()),
    };
    Error::new(kind, format!("{what} {path:?}: {reason}"))
}

fn open_image(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
}

fn open(base: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::openat2(
        base,
        path,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
    )
}

fn name_of(path: &Path) -> Result<CString, Errno> {
    let name = path.file_name().ok_or(Errno::INVAL)?;
    CString::new(name.as_encoded_bytes()).map_err(|_| Errno::INVAL)
}

fn parent(base: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, Errno> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => open(base, parent),
        _ => rustix::io::fcntl_dupfd_cloexec(base, 0),
    }
}

fn create(base: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, Errno> {
    let name = path.file_name().ok_or(Errno::INVAL)?;
    let parent = parent(base, path)?;
    rustix::fs::mkdirat(&parent, name, Mode::RWXU)?;
    let directory = open(parent.as_fd(), Path::new(name))?;
    // The parent may be the daemon's, who could have put something else there meanwhile.
    let found = rustix::fs::fstat(&directory)?;
    let fresh = found.st_uid == 0 && found.st_mode & 0o7777 == 0o700 && found.st_nlink <= 2;
    if fresh { Ok(directory) } else { Err(Errno::STALE) }
}

fn give(directory: BorrowedFd<'_>, owner: User, ids: IdRange) -> Result<(), Errno> {
    let uid = ids.host(owner.uid).ok_or(Errno::INVAL)?;
    let gid = ids.host(owner.gid).ok_or(Errno::INVAL)?;
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    rustix::fs::chownat(directory, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)
}
