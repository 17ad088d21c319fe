//! What [`crate::root`] has made, as one fence's: its root owns it.
//!
//! By an id-mapping where the kernel can, which a tmpfs takes since Linux 6.3; else by a copy, which is some eighty
//! files and goes with the fence. A copy keeps the name servers that it was made with.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, lchown, symlink};
use std::path::{Path, PathBuf};

use hedgerow_isolation::plan::IdRange;
use rustix::fs::{CWD, FileType, Mode};

use crate::choice;
use crate::idmap::IdMap;
use crate::mount::{self, Reach};
use crate::root;

/// `skeleton` is detached, and so is what this returns; `map` is [`IdMap::host`] of `ids`.
pub fn for_fence(skeleton: &OwnedFd, map: &IdMap, ids: IdRange) -> io::Result<OwnedFd> {
    if map.apply_to_layer(skeleton.as_fd())? {
        return skeleton.try_clone();
    }
    let copy = mount::tmpfs(root::SIZE)?;
    let path = |mount: &OwnedFd| PathBuf::from(format!("/proc/self/fd/{}", mount.as_raw_fd()));
    copy_below(&path(skeleton), &path(&copy), ids)?;
    mount::restrict(copy.as_fd(), root::restrictions(), Reach::One)?;
    Ok(copy)
}

/// Whether the kernel maps the ids of a tmpfs.
pub fn is_mapped() -> io::Result<bool> {
    let anybody = IdRange { first: IdRange::COUNT };
    IdMap::host(anybody)?.apply_to_layer(mount::tmpfs("4k")?.as_fd())
}

/// What is in `from`, whose owners are users of the host, as those of the fence. As deep as [`crate::root`] makes it.
fn copy_below(from: &Path, to: &Path, ids: IdRange) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let found = entry.metadata()?;
        let kind = found.file_type();
        if kind.is_dir() {
            fs::create_dir(&to)?;
            choice::copy_attributes(&from, &to)?;
            copy_below(&from, &to, ids)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(&from)?, &to)?;
        } else if kind.is_char_device() {
            let whiteout = found.rdev();
            rustix::fs::mknodat(CWD, &to, FileType::CharacterDevice, Mode::empty(), whiteout)?;
        } else {
            fs::copy(&from, &to)?;
        }
        let id = |host| ids.host(host).ok_or(io::ErrorKind::InvalidData);
        lchown(&to, Some(id(found.uid())?), Some(id(found.gid())?))?;
        if !kind.is_symlink() {
            fs::set_permissions(&to, found.permissions())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_copy_is_the_fences_and_otherwise_the_same() {
        let home = tempfile::tempdir().unwrap();
        let at = |path: &str| home.path().join(path);
        fs::create_dir_all(at("from/base/root")).unwrap();
        fs::create_dir(at("to")).unwrap();
        fs::set_permissions(at("from/base/root"), fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(at("from/shadow"), "root:*:\n").unwrap();
        fs::set_permissions(at("from/shadow"), fs::Permissions::from_mode(0o640)).unwrap();
        symlink("/nowhere", at("from/link")).unwrap();
        let whiteout = at("from/hidden");
        rustix::fs::mknodat(CWD, &whiteout, FileType::CharacterDevice, Mode::empty(), 0).unwrap();

        let ids = IdRange { first: 7 * IdRange::COUNT };
        copy_below(&at("from"), &at("to"), ids).unwrap();
        for (path, mode) in
            [("base", 0o40755), ("base/root", 0o40700), ("shadow", 0o100_640), ("hidden", 0o20000)]
        {
            let found = fs::symlink_metadata(at("to").join(path)).unwrap();
            assert_eq!((found.uid(), found.gid(), found.mode()), (ids.first, ids.first, mode));
        }
        let link = fs::symlink_metadata(at("to/link")).unwrap();
        assert_eq!(
            (link.uid(), fs::read_link(at("to/link")).unwrap()),
            (ids.first, "/nowhere".into())
        );
        assert_eq!(fs::read(at("to/shadow")).unwrap(), b"root:*:\n");
        assert_eq!(fs::symlink_metadata(at("to/hidden")).unwrap().rdev(), 0);
    }
}
