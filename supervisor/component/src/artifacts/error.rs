//! Why an artifact was not imported, and whose matter that is.

use std::io;
use std::path::{Path, PathBuf};

use super::beneath::NotOpened;

#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The author's matter: importing again will fail again.
    #[error("artifact {artifact}: {}: {fault}", path.display())]
    Artifact { artifact: String, path: PathBuf, fault: ArtifactFault },
    /// Room has to be made; then importing again works.
    #[error("{}: no space is left on the device", path.display())]
    DiskFull { path: PathBuf },
    /// The device's matter.
    #[error("{}: {source}", path.display())]
    Device { path: PathBuf, source: io::Error },
    /// Whoever watched said so.
    #[error("canceled")]
    Canceled,
}

impl ImportError {
    pub(super) fn of_device(path: &Path, error: io::Error) -> Self {
        let path = path.to_owned();
        if is_full(&error) { Self::DiskFull { path } } else { Self::Device { path, source: error } }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArtifactFault {
    #[error("there is no such file beneath the artifact directory")]
    Missing,
    #[error("it is a symbolic link, or lies behind one; put the file itself there")]
    SymbolicLink,
    #[error("it is not a regular file")]
    NotAFile,
    #[error("not every user may read it; make it so, or let the client open the directory")]
    NotPublic,
    #[error("its SHA-256 is {found}, the recipe says {expected}")]
    Digest { expected: String, found: String },
    #[error("it was changed while it was read; deploy again")]
    Changed,
    #[error("it has more than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("it is not a sound ZIP archive: {0}")]
    NotAnArchive(String),
    #[error("its entry {entry:?} {why}")]
    Entry { entry: String, why: EntryFault },
    #[error("it unpacks to more than {limit} bytes")]
    UnpacksTooLarge { limit: u64 },
    #[error("it unpacks to more than {limit} files and directories")]
    TooManyEntries { limit: u64 },
}

/// What is wrong with one entry of an archive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryFault {
    #[error("would be written outside the archive's own directory")]
    Escapes,
    #[error("is a symbolic link")]
    SymbolicLink,
    #[error("is a device, a pipe or a socket")]
    Special,
    #[error("has a name that is not UTF-8, or has a NUL or a part that is too long")]
    Name,
    #[error("is a file where another entry needs a directory, or the reverse")]
    Clash,
    #[error("is encrypted")]
    Encrypted,
    #[error("is compressed with method {0}; only 0 (store) and 8 (deflate) can be read")]
    Method(String),
    #[error("is damaged: {0}")]
    Damaged(String),
}

/// What went wrong while something was written to the device, or its archive was read.
#[derive(Debug)]
pub(super) enum Failure {
    Fault(ArtifactFault),
    Write(io::Error),
    Canceled,
}

impl From<ArtifactFault> for Failure {
    fn from(fault: ArtifactFault) -> Self {
        Self::Fault(fault)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

impl From<NotOpened> for Failure {
    fn from(reason: NotOpened) -> Self {
        match reason {
            NotOpened::Missing => Self::Fault(ArtifactFault::Missing),
            NotOpened::SymbolicLink => Self::Fault(ArtifactFault::SymbolicLink),
            NotOpened::NotAFile => Self::Fault(ArtifactFault::NotAFile),
            NotOpened::NotPublic => Self::Fault(ArtifactFault::NotPublic),
            NotOpened::Device(errno) => Self::Write(errno.into()),
        }
    }
}

impl Failure {
    pub fn of(self, artifact: &str, path: &Path) -> ImportError {
        let (artifact, path) = (artifact.to_owned(), path.to_owned());
        match self {
            Self::Fault(fault) => ImportError::Artifact { artifact, path, fault },
            Self::Write(error) => ImportError::of_device(&path, error),
            Self::Canceled => ImportError::Canceled,
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
