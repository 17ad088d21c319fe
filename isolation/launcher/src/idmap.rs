//! Id-mapped mounts (mount_setattr(2), Linux 5.12; below an overlay 5.19): the files of one owner shown as another's.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use hedgerow_isolation::plan::{IdRange, User};
use nix::sched::CloneFlags;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitOptions};

use crate::kernel;

/// `count` ids from `shown` on stand for the ids from `owner` on, which the file system has. Whoever else owns a file
/// is shown as nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Extent {
    owner: u32,
    shown: u32,
    count: u32,
}

/// A mapping of users and of groups.
#[derive(Debug)]
pub struct IdMap {
    namespace: OwnedFd,
}

impl IdMap {
    /// The machine's own users, root first, as those of a fence.
    pub fn host(ids: IdRange) -> io::Result<Self> {
        let all = [Extent { owner: 0, shown: ids.first, count: IdRange::COUNT }];
        Self::make(&all, &all)
    }

    /// One fence's users as those of another.
    pub fn fence(from: IdRange, to: IdRange) -> io::Result<Self> {
        let all = [Extent { owner: from.first, shown: to.first, count: IdRange::COUNT }];
        Self::make(&all, &all)
    }

    /// What belongs to a fence's own ids, as `users`, which are the host's first: and in exchange what is the host's
    /// root's, so that the directories which the launcher made stay usable.
    pub fn exchanged(own: IdRange, users: IdRange) -> io::Result<Self> {
        let all = [
            Extent { owner: own.first, shown: users.first, count: IdRange::COUNT },
            Extent { owner: users.first, shown: own.first, count: 1 },
        ];
        Self::make(&all, &all)
    }

    /// Whoever owns the directory, as one user of a fence.
    pub fn owner(directory: BorrowedFd<'_>, shown: User, ids: IdRange) -> io::Result<Self> {
        let [user, group] = owner(directory, shown, ids)?;
        Self::make(&[user], &[group])
    }

    /// The kernel takes a mapping from a user namespace, which needs a process to be made: one that does nothing else.
    fn make(users: &[Extent], groups: &[Extent]) -> io::Result<Self> {
        let (ready, say_ready) = pipe_with(PipeFlags::CLOEXEC)?;
        let (end, say_end) = pipe_with(PipeFlags::CLOEXEC)?;
        // SAFETY: this process has one thread, so the child may do all that the parent may.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                drop((ready, say_end));
                if nix::sched::unshare(CloneFlags::CLONE_NEWUSER).is_ok() {
                    let _ = rustix::io::write(&say_ready, b".");
                    let _ = File::from(end).read(&mut [0]);
                }
                // SAFETY: ends the child without running what the parent registered for its own exit.
                unsafe { libc::_exit(0) }
            }
            child => {
                drop((say_ready, end));
                let made =
                    File::from(ready).read_exact(&mut [0]).and_then(|()| map(child, users, groups));
                drop(say_end);
                rustix::process::waitpid(Pid::from_raw(child), WaitOptions::empty())?;
                Ok(Self { namespace: made? })
            }
        }
    }

    /// Applies it to a detached mount that becomes a layer of an overlay; false where this kernel or the mount's file
    /// system cannot.
    pub fn apply_to_layer(&self, mount: BorrowedFd<'_>) -> io::Result<bool> {
        Ok(kernel::takes_mapped_layers() && self.apply(mount)?)
    }

    /// Applies it to a detached mount; false where this kernel or the mount's file system cannot.
    pub fn apply(&self, mount: BorrowedFd<'_>) -> io::Result<bool> {
        let change = libc::mount_attr {
            attr_set: libc::MOUNT_ATTR_IDMAP,
            attr_clr: 0,
            propagation: 0,
            userns_fd: self.namespace.as_raw_fd().cast_unsigned().into(),
        };
        // SAFETY: the kernel reads an empty string and `change`, both of which outlive the call.
        let result = unsafe {
            libc::syscall(
                libc::SYS_mount_setattr,
                mount.as_raw_fd(),
                c"".as_ptr(),
                libc::AT_EMPTY_PATH,
                &change,
                size_of::<libc::mount_attr>(),
            )
        };
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            _ if result == 0 => Ok(true),
            Some(libc::EINVAL | libc::ENOSYS | libc::EOPNOTSUPP) => Ok(false),
            _ => Err(error),
        }
    }
}

/// Mappings as [`IdMap::owner`] makes them, once for each owner: to make one takes a process.
#[derive(Debug, Default)]
pub struct Owners(Vec<([Extent; 2], Rc<IdMap>)>);

impl Owners {
    pub fn map(
        &mut self,
        directory: BorrowedFd<'_>,
        shown: User,
        ids: IdRange,
    ) -> io::Result<Rc<IdMap>> {
        let extents = owner(directory, shown, ids)?;
        if let Some((_, made)) = self.0.iter().find(|(made, _)| *made == extents) {
            return Ok(Rc::clone(made));
        }
        let [user, group] = extents;
        let made = Rc::new(IdMap::make(&[user], &[group])?);
        self.0.push((extents, Rc::clone(&made)));
        Ok(made)
    }
}

/// The directory's user and group.
fn owner(directory: BorrowedFd<'_>, shown: User, ids: IdRange) -> io::Result<[Extent; 2]> {
    let found = rustix::fs::fstat(directory)?;
    let one = |owner, inside| {
        let shown = ids.host(inside).ok_or(io::ErrorKind::InvalidInput)?;
        io::Result::Ok(Extent { owner, shown, count: 1 })
    };
    Ok([one(found.st_uid, shown.uid)?, one(found.st_gid, shown.gid)?])
}

/// The namespace of the waiting child, mapped.
fn map(child: i32, users: &[Extent], groups: &[Extent]) -> io::Result<OwnedFd> {
    for (file, extents) in [("uid_map", users), ("gid_map", groups)] {
        let lines = extents.iter().map(|e| format!("{} {} {}\n", e.owner, e.shown, e.count));
        fs::write(format!("/proc/{child}/{file}"), lines.collect::<String>())?;
    }
    Ok(File::open(format!("/proc/{child}/ns/user"))?.into())
}
