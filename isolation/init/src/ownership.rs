//! Making a directory another user's.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::Path;

use hedgerow_isolation::plan::User;

/// Gives `directory` and what is in it to `user`, unless it is that user's already: then so is what is in it, or the
/// component wants it otherwise. No link is followed.
pub fn give(directory: &Path, user: User) -> io::Result<()> {
    match fs::symlink_metadata(directory) {
        Ok(found) if found.uid() == user.uid || !found.is_dir() => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found.map(drop)?,
    }
    let mut left = vec![directory.to_owned()];
    while let Some(path) = left.pop() {
        for entry in fs::read_dir(&path)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                left.push(entry.path());
            } else {
                lchown(entry.path(), Some(user.uid), Some(user.gid))?;
            }
        }
        // The topmost is done first; it says nothing until the end.
        if path != directory {
            lchown(&path, Some(user.uid), Some(user.gid))?;
        }
    }
    lchown(directory, Some(user.uid), Some(user.gid))
}
