//! Keeping artifacts: immutable trees, of which files with the same content are one.
//!
//! ```text
//! <tree>/artifacts/<file>               what {artifacts:path} shows
//! <tree>/unarchived/<archive>/<file>    what {artifacts:decompressedPath} shows
//! .blobs/<sha256>-<mode>                a hard link to each file
//! ```
//!
//! A tree has the name of its content: versions with the same artifacts have the same tree, and no file is ever
//! written to again. A blob whose only link is its own is referred to by no tree.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use super::blob::hex;
use super::delivery::Content;
use super::error::{ArtifactFault, Failure, ImportError};
use super::staging::{Staging, remove_tree};
use super::unarchive::unarchive;
use crate::recipe::Unarchive;

const BLOBS: &str = ".blobs";
const STAGING: &str = ".new-";

/// Imports since this process started. One that was given up may end only when the next is at work, so each has a
/// place of its own.
static IMPORTS: AtomicU64 = AtomicU64::new(0);

/// A directory of trees. One import or collection at a time, but for imports whose end nobody waits for.
#[derive(Clone, Debug)]
pub struct Store {
    directory: PathBuf,
    blobs: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// The name of its directory.
    pub id: String,
}

impl Store {
    pub fn at(directory: PathBuf) -> Self {
        Self { blobs: directory.join(BLOBS), directory }
    }

    /// The most bytes that [`Store::import`] would write.
    pub fn lacks(&self, contents: &[Content<'_>]) -> u64 {
        if self.directory.join(id(contents)).is_dir() {
            return 0;
        }
        // What an archive unpacks to is not known to be here before it is unpacked.
        let cost = |content: &Content<'_>| {
            let is_here = self.blobs.join(content.blob().to_string()).exists();
            content.unpacked_bytes + if is_here { 0 } else { content.bytes }
        };
        contents.iter().map(cost).sum()
    }

    /// Brings in the artifacts of versions, each version's as one tree; they are on disk when this returns. Writes
    /// nothing where a tree is here, and of a new tree only files that are not. On an error nothing new is left.
    pub fn import(&self, versions: &[Vec<Content<'_>>]) -> Result<Vec<Tree>, ImportError> {
        let trees: Vec<Tree> = versions.iter().map(|contents| Tree { id: id(contents) }).collect();
        let missing: BTreeMap<&str, &Vec<Content<'_>>> = trees
            .iter()
            .zip(versions)
            .map(|(tree, contents)| (tree.id.as_str(), contents))
            .filter(|(id, _)| !self.directory.join(id).is_dir())
            .collect();
        if missing.is_empty() {
            return Ok(trees);
        }
        let here = |error: io::Error| ImportError::of_device(&self.directory, error);
        let number = IMPORTS.fetch_add(1, Ordering::Relaxed);
        let place = self.directory.join(format!("{STAGING}{number}"));
        let mut staging = Staging::new(place, &self.blobs).map_err(here)?;
        for (id, contents) in &missing {
            stage(&mut staging, id, contents)?;
        }
        staging.finish(&self.directory, missing.keys().copied()).map_err(here)?;
        Ok(trees)
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> io::Result<u64> {
        let mut bytes = 0;
        for blob in entries(&self.blobs)? {
            bytes += blob.metadata()?.len();
        }
        Ok(bytes)
    }

    /// Removes the trees that are not kept, and the files that only they had.
    pub fn collect(&self, kept: &BTreeSet<String>) -> io::Result<()> {
        for entry in entries(&self.directory)? {
            let name = entry.file_name();
            let is_kept = name.to_str().is_some_and(|name| kept.contains(name));
            if !is_kept && name != OsStr::new(BLOBS) {
                remove_tree(&entry.path())?;
            }
        }
        for blob in entries(&self.blobs)? {
            if blob.metadata()?.nlink() == 1 {
                fs::remove_file(blob.path())?;
            }
        }
        Ok(())
    }
}

/// The name of a tree with these files: over their names, contents and modes.
pub fn id(contents: &[Content<'_>]) -> String {
    let mut files: Vec<_> = contents.iter().collect();
    files.sort_by_key(|content| &content.artifact.file_name);
    let mut hasher = Sha256::new();
    for content in files {
        let artifact = content.artifact;
        let unarchived = artifact.unarchive == Unarchive::Zip;
        hasher.update(artifact.file_name.as_bytes());
        // No file name has a NUL.
        hasher.update([0, u8::from(unarchived)]);
        hasher.update(content.blob().to_string());
    }
    hex(hasher.finalize().get(..12).unwrap_or_default())
}

/// Puts one tree together.
fn stage(staging: &mut Staging<'_>, id: &str, contents: &[Content<'_>]) -> Result<(), ImportError> {
    let root = staging.root().join(id);
    let (artifacts, unarchived) = (root.join("artifacts"), root.join("unarchived"));
    for directory in [&root, &artifacts, &unarchived] {
        let made = staging.make_directory(directory);
        made.map_err(|error| ImportError::of_device(directory, error))?;
    }
    for content in contents {
        let artifact = content.artifact;
        let mut bring_in = || -> Result<(), Failure> {
            let target = artifacts.join(&artifact.file_name);
            make_directories(staging, &artifacts, &target)?;
            let archive = copy(content, staging, &target)?;
            match artifact.unarchive {
                Unarchive::None => Ok(()),
                Unarchive::Zip => {
                    let root = unarchived.join(artifact.stem());
                    unarchive(content, archive, &root, staging)
                }
            }
        };
        bring_in()
            .map_err(|failure| failure.of(&artifact.uri, &content.delivery.path(artifact)))?;
    }
    Ok(())
}

/// Those between `root` and the file, where it lies deeper.
fn make_directories(staging: &mut Staging<'_>, root: &Path, file: &Path) -> io::Result<()> {
    let above = file.ancestors().skip(1).take_while(|directory| *directory != root);
    let missing: Vec<_> = above.take_while(|directory| !directory.is_dir()).collect();
    missing.into_iter().rev().try_for_each(|directory| staging.make_directory(directory))
}

/// Has the file in the tree, and open for reading.
fn copy(content: &Content<'_>, staging: &mut Staging<'_>, target: &Path) -> Result<File, Failure> {
    let blob = content.blob();
    // What nobody may read could not be opened again to be unpacked.
    if blob.is_readable() && staging.share(blob, target)? {
        return Ok(File::open(target)?);
    }
    let mut input = content.delivery.open(content.artifact)?;
    let mut file = staging.create(target)?;
    let (sha256, _) = content.delivery.copy(&mut input, &mut file)?;
    if sha256 != content.sha256 {
        return Err(ArtifactFault::Changed.into());
    }
    staging.written(&file, target, blob)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

fn entries(directory: &Path) -> io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(directory) {
        Ok(entries) => entries.collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
