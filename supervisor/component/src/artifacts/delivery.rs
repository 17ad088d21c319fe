//! One version's artifacts as their author hands them over.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::Limits;
use super::beneath::{Source, open_file};
use super::blob::{Blob, mode};
use super::error::{ArtifactFault, Failure, ImportError};
use super::unarchive::unpacked_bytes;
use crate::name::ComponentName;
use crate::recipe::{Artifact, Unarchive};
use crate::version::Version;

#[derive(Clone, Copy)]
pub struct Delivery<'a> {
    /// The artifact directory.
    pub source: Source<'a>,
    pub component: &'a ComponentName,
    pub version: &'a Version,
    pub limits: &'a Limits,
    /// Told of every so many bytes that were read; its `Break` ends the work with [`ImportError::Canceled`].
    pub watch: &'a dyn Fn(u64) -> ControlFlow<()>,
}

/// An artifact, and what was found under its name.
#[derive(Clone, Copy, Debug)]
pub struct Content<'a> {
    pub delivery: &'a Delivery<'a>,
    pub artifact: &'a Artifact,
    pub sha256: [u8; 32],
    /// Of the file itself.
    pub bytes: u64,
    /// Permission bits of the file itself.
    pub mode: u32,
    /// What its archive says that it unpacks to; 0 where it is not to be unpacked.
    pub unpacked_bytes: u64,
}

impl Content<'_> {
    /// Whether a component can use it where it is: nothing is to be unpacked, and its mode gives every user at least
    /// what the recipe wants for the component's.
    pub fn is_usable_in_place(&self) -> bool {
        let wanted = mode(self.artifact.permission, false) & 0o005;
        self.artifact.unarchive == Unarchive::None && self.mode & wanted == wanted
    }

    pub(super) fn blob(&self) -> Blob {
        Blob { sha256: self.sha256, mode: mode(self.artifact.permission, false) }
    }
}

impl fmt::Debug for Delivery<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Delivery({} {})", self.component, self.version)
    }
}

impl<'a> Delivery<'a> {
    /// Reads an artifact and checks it against its recipe. Nothing is written.
    pub fn examine(&'a self, artifact: &'a Artifact) -> Result<Content<'a>, ImportError> {
        let examine = || -> Result<Content<'a>, Failure> {
            let mut file = self.open(artifact)?;
            let mode = file.metadata()?.permissions().mode();
            let (sha256, bytes) = self.copy(&mut file, &mut io::sink())?;
            check_digest(artifact, &sha256)?;
            let unpacked_bytes = match artifact.unarchive {
                Unarchive::None => 0,
                Unarchive::Zip => {
                    file.seek(SeekFrom::Start(0))?;
                    unpacked_bytes(file)?.min(self.limits.unpacked_bytes)
                }
            };
            Ok(Content { delivery: self, artifact, sha256, bytes, mode, unpacked_bytes })
        };
        examine().map_err(|failure| failure.of(&artifact.uri, &self.path(artifact)))
    }

    /// Relative to the artifact directory.
    pub(super) fn path(&self, artifact: &Artifact) -> PathBuf {
        self.root().join(&artifact.file_name)
    }

    /// The version's own directory, relative to the artifact directory.
    pub(super) fn root(&self) -> PathBuf {
        [self.component.as_str(), &self.version.to_string()].iter().collect()
    }

    pub(super) fn open(&self, artifact: &Artifact) -> Result<File, Failure> {
        Ok(open_file(self.source, &self.path(artifact))?.0)
    }

    /// The digest and number of the bytes.
    pub(super) fn copy(
        &self,
        input: &mut impl Read,
        output: &mut impl Write,
    ) -> Result<([u8; 32], u64), Failure> {
        let limit = self.limits.file_bytes;
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
            if (self.watch)(read.len() as u64).is_break() {
                return Err(Failure::Canceled);
            }
        }
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
