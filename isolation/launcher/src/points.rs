//! Mount points in a root that the fence cannot write: nothing makes them later.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use hedgerow_isolation::plan::IdRange;
use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;

use crate::granted::Granted;
use crate::mount::{self, Reach};

const PATH: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// Makes what is missing on the way to each target in `root`, which is to take writes; then it takes none.
pub fn make(root: &Path, granted: &[Granted], ids: IdRange) -> io::Result<()> {
    let root = rustix::fs::openat(CWD, root, PATH | OFlags::DIRECTORY, Mode::empty())?;
    for Granted { source, target, .. } in granted {
        way(&root, target, source.is_dir(), ids).map_err(|error| {
            io::Error::new(error.kind(), format!("the mount point {}: {error}", target.display()))
        })?;
    }
    mount::restrict(root.as_fd(), MountAttrFlags::MOUNT_ATTR_RDONLY, Reach::Tree)
}

fn way(root: &OwnedFd, target: &Path, is_directory: bool, ids: IdRange) -> io::Result<()> {
    let mut ancestors: Vec<&Path> = target.ancestors().collect();
    // From the root down.
    ancestors.reverse();
    let mut above = root.try_clone()?;
    for path in ancestors {
        above = match find(root, path) {
            Err(Errno::NOENT) => {
                let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
                let is_file = path == target && !is_directory;
                if is_file {
                    let new = OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                    rustix::fs::openat(&above, name, new, Mode::from_raw_mode(0o644))?;
                } else {
                    rustix::fs::mkdirat(&above, name, Mode::from_raw_mode(0o755))?;
                }
                let id = ids.host(0).ok_or(io::ErrorKind::InvalidInput)?;
                let (user, group) = (Uid::from_raw(id), Gid::from_raw(id));
                rustix::fs::chownat(
                    &above,
                    name,
                    Some(user),
                    Some(group),
                    AtFlags::SYMLINK_NOFOLLOW,
                )?;
                find(root, path)?
            }
            found => found?,
        };
    }
    Ok(())
}

/// As the fence sees it.
fn find(root: &OwnedFd, path: &Path) -> Result<OwnedFd, Errno> {
    let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(root, path, PATH, Mode::empty(), how)
}
