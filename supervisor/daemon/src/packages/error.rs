//! Why a package could not be had.

use std::io;
use std::path::PathBuf;

use hedgerow_component::ComponentName;
use hedgerow_component::artifacts::ImportError;

#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    #[error("{component}: {source}")]
    Artifact { component: ComponentName, source: Box<ImportError> },
    #[error("{component} has artifacts, but no artifact directory was given")]
    NoArtifactDirectory { component: ComponentName },
    #[error("{}: {source}", path.display())]
    Disk { path: PathBuf, source: io::Error },
}
