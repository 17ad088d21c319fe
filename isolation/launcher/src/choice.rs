//! Which of the host's trees a fence sees, told to the kernel as a layer of an overlay over the host's `/`: an opaque
//! directory, of which each tree is a "redirect" to the tree of the same path below (overlayfs.rst, "Redirecting
//! directories"). What the overlay shows in that directory is these trees and nothing else.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags, XattrFlags, openat2};
use rustix::io::Errno;

use crate::root::{CHOICE, CHOSEN, TREES};

const OPAQUE: &str = "trusted.overlay.opaque";
const REDIRECT: &str = "trusted.overlay.redirect";

/// Longest value of either, in bytes.
const MAX_VALUE: usize = 64;

/// Makes the layer `choice` of those trees that are directories below `base`. Where the kernel does not keep extended
/// attributes in a tmpfs, none is chosen.
pub fn make(choice: &Path, base: &Path) -> io::Result<()> {
    let chosen = choice.join(CHOSEN);
    fs::create_dir_all(&chosen)?;
    match rustix::fs::setxattr(&chosen, OPAQUE, b"y", XattrFlags::empty()) {
        Err(Errno::OPNOTSUPP) => return Ok(()),
        made => made?,
    }
    for tree in TREES {
        let below = tree.trim_start_matches('/');
        if fs::symlink_metadata(base.join(below)).is_ok_and(|found| found.is_dir()) {
            let directory = chosen.join(below);
            fs::create_dir_all(&directory)?;
            rustix::fs::setxattr(directory, REDIRECT, tree.as_bytes(), XattrFlags::empty())?;
        }
    }
    Ok(())
}

/// What [`make`] says of one directory, for its copy.
pub fn copy_attributes(from: &Path, to: &Path) -> io::Result<()> {
    for name in [OPAQUE, REDIRECT] {
        let mut value = [0; MAX_VALUE];
        match rustix::fs::getxattr(from, name, &mut value) {
            Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
            Err(errno) => return Err(errno.into()),
            Ok(length) => {
                let value = value.get(..length).unwrap_or_default();
                rustix::fs::setxattr(to, name, value, XattrFlags::empty())?;
            }
        }
    }
    Ok(())
}

/// Whether `tree` is chosen in [`crate::root`]'s copy `skeleton`, and `whole`, a mount of the host's `/` without what
/// is mounted below, shows it as the host does: not where it, or a directory above it, is a mount point or a link.
pub fn shows(skeleton: &OwnedFd, whole: &OwnedFd, tree: &str) -> bool {
    let below = tree.trim_start_matches('/');
    let open = |at: &OwnedFd, path: &str| {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat2(at.as_fd(), path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)
    };
    if open(skeleton, &format!("{CHOICE}/{CHOSEN}/{below}")).is_err() {
        return false;
    }
    let found = open(whole, below).and_then(|directory| rustix::fs::fstat(&directory));
    let wanted = rustix::fs::stat(tree);
    matches!((found, wanted), (Ok(found), Ok(wanted))
        if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_chosen_where_it_is_a_directory_and_a_copy_chooses_the_same() {
        let home = tempfile::tempdir().unwrap();
        let at = |path: &str| home.path().join(path);
        fs::create_dir_all(at("base/usr")).unwrap();
        fs::create_dir_all(at("base/var/lib/dpkg")).unwrap();
        std::os::unix::fs::symlink("usr/bin", at("base/bin")).unwrap();
        make(&at("choice"), &at("base")).unwrap();
        assert!(!at("choice/chosen/bin").exists() && !at("choice/chosen/etc").exists());
        for (path, name, expected) in [
            ("", OPAQUE, "y"),
            ("usr", REDIRECT, "/usr"),
            ("var/lib/dpkg", REDIRECT, "/var/lib/dpkg"),
        ] {
            let (made, copy) = (at("choice/chosen").join(path), at("copy"));
            fs::create_dir(&copy).unwrap();
            copy_attributes(&made, &copy).unwrap();
            let mut value = [0; MAX_VALUE];
            let length = rustix::fs::getxattr(&copy, name, &mut value).unwrap();
            assert_eq!(&value[..length], expected.as_bytes());
            fs::remove_dir(copy).unwrap();
        }
    }
}
