//! Why a package could not be had.

use std::io;
use std::path::PathBuf;

use hedgerow_component::ComponentName;
use hedgerow_component::artifacts::ImportError;

#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    #[error(transparent)]
    Artifact { source: Box<ImportError> },
    #[error("{component} has artifacts, but no artifact directory was given")]
    NoArtifactDirectory { component: ComponentName },
    #[error(transparent)]
    Room(#[from] NoRoom),
    #[error("{}: {source}", path.display())]
    Disk { path: PathBuf, source: io::Error },
}

impl From<ImportError> for PackageError {
    fn from(source: ImportError) -> Self {
        Self::Artifact { source: Box::new(source) }
    }
}

/// All in bytes. Nothing was copied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    #[error(
        "{needed} bytes have to be copied, but the file system of {} has only {free} bytes free, of which {reserve} \
         stay free (store.keep-free); free some space there",
        path.display()
    )]
    Disk { path: PathBuf, needed: u64, free: u64, reserve: u64 },
    #[error(
        "{needed} bytes have to be copied, but {stored} of the {limit} bytes for artifacts are taken (store.max-size); \
         remove components, or raise the limit"
    )]
    Limit { needed: u64, stored: u64, limit: u64 },
}
