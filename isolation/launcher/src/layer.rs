//! What a fence's layer may take.
//!
//! Counted when the fence opens, and by [`crate::measure`] whenever the disk has become noticeably fuller (ADR 18).

use std::ffi::CString;
use std::io;
use std::os::fd::BorrowedFd;

use hedgerow_isolation::protocol::UNCOUNTABLE;
use rustix::fs::{AtFlags, Dir, FileType};
use rustix::io::Errno;

use crate::discard::open;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "over its quota: what the component wrote outside its work directory takes {taken} bytes of {quota}; allow more \
         by `layer` of a [[component]] in hedgerow.toml, or remove the component and deploy it anew"
    )]
    Full { taken: u64, quota: u64 },
    #[error("its writable layer cannot be read: {0}")]
    Unreadable(#[from] io::Error),
}

/// Entries of one tree that are looked at.
const MOST_ENTRIES: u64 = 4 << 20;

/// Directories in one another that are looked into, each by a descriptor.
const DEEPEST: usize = 200;

/// Refuses a layer, `name` in `parent`, that takes more than its quota.
pub fn measure(parent: BorrowedFd<'_>, name: &CString, quota: u64) -> Result<(), Error> {
    let taken = taken(parent, name).map_err(io::Error::from)?;
    if taken > quota { Err(Error::Full { taken, quota }) } else { Ok(()) }
}

/// Bytes on disk of everything in a directory, or [`UNCOUNTABLE`]; a file of several names counts with each. Whoever
/// writes there meanwhile can lead this nowhere else.
pub fn taken(parent: BorrowedFd<'_>, name: &CString) -> Result<u64, Errno> {
    let top = open(parent, name)?;
    let (mut taken, mut seen) = (0_u64, 0);
    // Read as they are gone through: a directory may have more names than there is memory.
    let mut open_directories = vec![Dir::read_from(&top)?];
    while let Some(directory) = open_directories.last_mut() {
        let Some(entry) = directory.read() else {
            open_directories.pop();
            continue;
        };
        let entry = entry?;
        let name = entry.file_name();
        if [c".", c".."].contains(&name) {
            continue;
        }
        let found = match rustix::fs::statat(directory.fd()?, name, AtFlags::SYMLINK_NOFOLLOW) {
            // Removed meanwhile.
            Err(Errno::NOENT) => continue,
            found => found?,
        };
        #[allow(clippy::useless_conversion, reason = "it has 32 bits on some machines")]
        let blocks = u64::try_from(found.st_blocks).unwrap_or(0);
        taken = taken.saturating_add(blocks.saturating_mul(512));
        seen += 1;
        if seen > MOST_ENTRIES {
            return Ok(UNCOUNTABLE);
        }
        if FileType::from_raw_mode(found.st_mode) != FileType::Directory {
            continue;
        }
        let inner = match open(directory.fd()?, name) {
            // Removed or replaced meanwhile, or something is mounted on it.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => continue,
            inner => inner?,
        };
        if open_directories.len() >= DEEPEST {
            return Ok(UNCOUNTABLE);
        }
        open_directories.push(Dir::read_from(&inner)?);
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::{AsFd, OwnedFd};
    use std::path::Path;

    use rustix::fs::{Mode, OFlags};

    use super::*;

    fn in_directory(path: &Path) -> OwnedFd {
        rustix::fs::open(path, OFlags::PATH, Mode::empty()).unwrap()
    }

    #[test]
    fn a_layer_is_full_by_what_is_in_it_and_not_by_what_links_lead_to() {
        let home = tempfile::tempdir().unwrap();
        let parent = in_directory(home.path());
        let layer = c"layer".to_owned();
        let deep = home.path().join("layer/usr/upper/bin");
        fs::create_dir_all(&deep).unwrap();
        std::os::unix::fs::symlink("/usr", deep.join("link")).unwrap();
        measure(parent.as_fd(), &layer, 1 << 20).unwrap();
        fs::write(deep.join("program"), vec![1; 2 << 20]).unwrap();
        let refused = measure(parent.as_fd(), &layer, 1 << 20).unwrap_err().to_string();
        assert!(refused.contains("of 1048576") && refused.contains("[[component]]"), "{refused}");
        std::os::unix::fs::symlink("layer", home.path().join("link")).unwrap();
        taken(parent.as_fd(), &c"link".to_owned()).unwrap_err();
    }

    #[test]
    fn a_tree_that_is_too_deep_to_be_counted_is_over_every_quota() {
        let home = tempfile::tempdir().unwrap();
        let deep: std::path::PathBuf = (0..DEEPEST + 1).map(|_| "d").collect();
        fs::create_dir_all(home.path().join(deep)).unwrap();
        let parent = in_directory(home.path());
        assert_eq!(taken(parent.as_fd(), &c"d".to_owned()), Ok(UNCOUNTABLE));
    }
}
