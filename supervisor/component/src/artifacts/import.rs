//! Copying one artifact to where components are run from.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::Limits;
use super::beneath::{Source, open_file};
use super::durable::{Partial, create_directories};
use super::error::{ArtifactFault, Failure, ImportError};
use super::unarchive::{Unpacked, unarchive};
use crate::name::ComponentName;
use crate::recipe::{Access, Artifact, Unarchive};
use crate::version::Version;

/// Where the artifacts of one version of one component go. The directories are made as needed;
/// only one import at a time may write to them. Nothing that runs should be using them: a failed
/// import of an archive takes the archive's earlier copy along.
#[derive(Clone, Copy, Debug)]
pub struct Destination<'a> {
    /// The files: what `{artifacts:path}` shows.
    pub artifacts: &'a Path,
    /// A directory for each archive: what `{artifacts:decompressedPath}` shows.
    pub unarchived: &'a Path,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    pub file: PathBuf,
    pub sha256: [u8; 32],
    /// Of the file itself.
    pub bytes: u64,
    /// What a ZIP with `Unarchive: ZIP` became.
    pub unpacked: Option<Unpacked>,
}

/// Imports one artifact from `source`, an artifact directory, and unpacks it if its recipe says so.
///
/// Files end with mode 0644, or 0755 where the recipe's `Permission.Execute` or the archive's own
/// mode says so; who can see them is decided by what is mounted into a fence. An earlier import of
/// the same file is replaced. On an error nothing new is left.
pub fn import(
    source: Source<'_>,
    component: &ComponentName,
    version: &Version,
    artifact: &Artifact,
    destination: Destination<'_>,
    limits: &Limits,
) -> Result<Imported, ImportError> {
    let relative: PathBuf =
        [component.as_str(), &version.to_string(), &artifact.file_name].iter().collect();
    let file = destination.artifacts.join(&artifact.file_name);
    let (sha256, bytes) = copy(source, &relative, artifact, &file, limits)
        .map_err(|(failure, path)| failure.of(&artifact.uri, &path))?;
    let unpacked = match artifact.unarchive {
        Unarchive::None => None,
        Unarchive::Zip => {
            let directory = destination.unarchived.join(artifact.stem());
            let unpacked = unpack(&file, &directory, bytes, artifact, limits);
            let unpacked = unpacked.map_err(|failure| {
                // What cannot be removed is replaced by the next import.
                let _ = fs::remove_file(&file);
                let place = if let Failure::Fault(_) = failure { &relative } else { &directory };
                failure.of(&artifact.uri, place)
            })?;
            Some(unpacked)
        }
    };
    Ok(Imported { file, sha256, bytes, unpacked })
}

type Copied = ([u8; 32], u64);

/// The copy's digest and size; or what went wrong, and with which path.
fn copy(
    source: Source<'_>,
    relative: &Path,
    artifact: &Artifact,
    target: &Path,
    limits: &Limits,
) -> Result<Copied, (Failure, PathBuf)> {
    let (mut input, _) =
        open_file(source, relative).map_err(|e| (e.into(), relative.to_owned()))?;
    let at = |failure: Failure| match failure {
        Failure::Fault(_) => (failure, relative.to_owned()),
        Failure::Write(_) => (failure, target.to_owned()),
    };
    let mut write = || -> Result<Copied, Failure> {
        let directory = target.parent().unwrap_or(Path::new("."));
        create_directories(directory)?;
        let partial = Partial::new(directory)?;
        let mut output = OpenOptions::new().write(true).create_new(true).open(partial.path())?;
        let copied = digest_copy(&mut input, &mut output, limits.file_bytes)?;
        check_digest(artifact, &copied.0)?;
        let executable = artifact.permission.execute != Access::None;
        output.set_permissions(permissions(executable))?;
        output.sync_all()?;
        partial.finish(target)?;
        Ok(copied)
    };
    write().map_err(at)
}

fn digest_copy(input: &mut File, output: &mut File, limit: u64) -> Result<Copied, Failure> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut bytes = 0;
    loop {
        let read = match input.read(&mut buffer) {
            Ok(read) => buffer.get(..read).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        if read.is_empty() {
            return Ok((hasher.finalize().into(), bytes));
        }
        bytes += read.len() as u64;
        if bytes > limit {
            return Err(ArtifactFault::TooLarge { limit }.into());
        }
        hasher.update(read);
        output.write_all(read)?;
    }
}

fn check_digest(artifact: &Artifact, found: &[u8; 32]) -> Result<(), ArtifactFault> {
    match &artifact.digest {
        Some(expected) if expected != found => Err(ArtifactFault::Digest {
            expected: STANDARD.encode(expected),
            found: STANDARD.encode(found),
        }),
        _ => Ok(()),
    }
}

fn unpack(
    file: &Path,
    directory: &Path,
    bytes: u64,
    artifact: &Artifact,
    limits: &Limits,
) -> Result<Unpacked, Failure> {
    let parent = directory.parent().unwrap_or(Path::new("."));
    create_directories(parent)?;
    let partial = Partial::new(parent)?;
    let executable = artifact.permission.execute != Access::None;
    let archive = File::open(file)?;
    let mut unpacked = unarchive(archive, bytes, partial.path(), executable, limits)?;
    partial.finish(directory)?;
    unpacked.directory = directory.to_owned();
    Ok(unpacked)
}

pub(super) fn permissions(executable: bool) -> Permissions {
    Permissions::from_mode(if executable { 0o755 } else { 0o644 })
}
