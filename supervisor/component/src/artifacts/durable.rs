//! Writing so that a power cut finds either nothing or all of it.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What is being written, at its temporary name; removed unless it is finished.
pub(super) struct Partial {
    path: PathBuf,
    finished: bool,
}

impl Partial {
    /// Takes the temporary name in a directory, removing what an interrupted import left there.
    pub fn new(directory: &Path) -> io::Result<Self> {
        let path = directory.join(".incoming");
        remove(&path)?;
        Ok(Self { path, finished: false })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it its name, in place of what had that name. Its contents have to be synced before.
    pub fn finish(mut self, target: &Path) -> io::Result<()> {
        if self.path.is_dir() {
            // A directory with something in it cannot be renamed over.
            remove(target)?;
        }
        fs::rename(&self.path, target)?;
        self.finished = true;
        sync_parent(target)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.finished {
            // What cannot be removed now is removed by the next import here.
            let _ = remove(&self.path);
        }
    }
}

/// Makes a directory and what it lies in, each on disk before the next and readable by everyone:
/// who sees it is decided by what is mounted where.
pub(super) fn create_directories(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        create_directories(parent)?;
    }
    fs::create_dir(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o755))?;
    sync_parent(path)
}

pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
