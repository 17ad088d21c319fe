//! Putting trees together, so that a power cut finds either nothing or all of each.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::unistd::syncfs;

use super::blob::Blob;

/// Files and directories that are flushed one by one; of more, the file system is flushed as a whole, which costs
/// less.
const FLUSHED_SINGLY: usize = 16;

/// Trees at a temporary place, which is removed at the end.
pub(super) struct Staging<'a> {
    blobs: &'a Path,
    root: PathBuf,
    directories: Vec<PathBuf>,
    /// What the store did not have.
    fresh: BTreeMap<Blob, PathBuf>,
}

impl<'a> Staging<'a> {
    /// Takes the temporary place, removing what an import of an earlier process left there.
    pub fn new(root: PathBuf, blobs: &'a Path) -> io::Result<Self> {
        remove_tree(&root)?;
        fs::create_dir_all(blobs)?;
        fs::create_dir(&root)?;
        let (directories, fresh) = (Vec::new(), BTreeMap::new());
        Ok(Self { blobs, root, directories, fresh })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Readable by everyone: who sees it is decided by what is mounted where.
    pub fn make_directory(&mut self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)?;
        fs::set_permissions(path, Permissions::from_mode(0o755))?;
        self.directories.push(path.to_owned());
        Ok(())
    }

    /// Links a file that the store or these trees have; `false` where neither has it.
    pub fn share(&mut self, blob: Blob, target: &Path) -> io::Result<bool> {
        self.make_way(target)?;
        let stored = self.blobs.join(blob.to_string());
        let known = self.fresh.get(&blob).unwrap_or(&stored);
        match fs::hard_link(known, target) {
            Ok(()) => Ok(true),
            Err(error) => match error.kind() {
                // The last two: a file has as many links as the file system can count, or it knows no links.
                io::ErrorKind::NotFound
                | io::ErrorKind::TooManyLinks
                | io::ErrorKind::PermissionDenied => Ok(false),
                _ => Err(error),
            },
        }
    }

    /// For writing, and for reading what was written.
    pub fn create(&mut self, target: &Path) -> io::Result<File> {
        self.make_way(target)?;
        OpenOptions::new().read(true).write(true).create_new(true).open(target)
    }

    /// The file has all of its content now.
    pub fn written(&mut self, file: &File, target: &Path, blob: Blob) -> io::Result<()> {
        file.set_permissions(Permissions::from_mode(blob.mode))?;
        self.fresh.insert(blob, target.to_owned());
        Ok(())
    }

    /// Moves the trees of these names to where they stay.
    pub fn finish<'n>(
        self,
        target: &Path,
        names: impl IntoIterator<Item = &'n str>,
    ) -> io::Result<()> {
        // What cannot be opened cannot be flushed singly.
        let is_closed = self.fresh.keys().any(|blob| !blob.is_readable());
        if is_closed || self.fresh.len() + self.directories.len() > FLUSHED_SINGLY {
            syncfs(File::open(&self.root)?)?;
        } else {
            for path in self.fresh.values().chain(self.directories.iter().rev()) {
                sync(path)?;
            }
        }
        // Only now, that a blob has its content whatever happens. One that cannot be linked is merely not shared.
        for (blob, path) in &self.fresh {
            let _ = fs::hard_link(path, self.blobs.join(blob.to_string()));
        }
        for name in names {
            match fs::rename(self.root.join(name), target.join(name)) {
                // Another import was faster; trees of one name are the same.
                Err(_) if target.join(name).is_dir() => {}
                renamed => renamed?,
            }
        }
        sync(target)
    }

    /// Of two files with one name the last wins; the first may be a blob's link and must not be written to.
    fn make_way(&mut self, target: &Path) -> io::Result<()> {
        match fs::remove_file(target) {
            Ok(()) => self.fresh.retain(|_, path| path != target),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next collection.
        let _ = remove_tree(&self.root);
    }
}

pub(super) fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
