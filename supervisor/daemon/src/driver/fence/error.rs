//! Why a fence does not do what its driver wants.

use std::io;
use std::path::PathBuf;

use hedgerow_ipc::NoRandomness;

use crate::disk::{CountError, Refused};
use crate::fault::Reason;
use crate::launcher::CallError;
use crate::lifecycle::{Blame, StepKind};

#[derive(Debug, thiserror::Error)]
pub enum FenceError {
    #[error("no fence is open")]
    NotOpen,
    #[error("the definition has no step {0}")]
    NoStep(StepKind),
    #[error("{0}")]
    Invalid(String),
    #[error(transparent)]
    Launcher(#[from] CallError),
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    #[error("the IPC socket {}: {source}", path.display())]
    Socket { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Disk(#[from] Refused),
    #[error("the launcher handed back {found} descriptors where {expected} were expected")]
    Descriptors { expected: usize, found: usize },
}

impl FenceError {
    pub fn reason(&self) -> Reason {
        match self {
            Self::Invalid(_) => Reason::ConfigNotValid,
            Self::NotOpen
            | Self::NoStep(_)
            | Self::Launcher(_)
            | Self::Randomness(_)
            | Self::Socket { .. }
            | Self::Disk(_)
            | Self::Descriptors { .. } => Reason::IoError,
        }
    }

    /// Whose doing it is.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Launcher(CallError::Gone)
            | Self::Disk(Refused::Count(CountError::Launcher(CallError::Gone))) => Blame::Launcher,
            Self::NotOpen
            | Self::NoStep(_)
            | Self::Invalid(_)
            | Self::Launcher(
                CallError::Refused(_) | CallError::Unsendable(_) | CallError::Confused,
            )
            | Self::Randomness(_)
            | Self::Socket { .. }
            | Self::Disk(_)
            | Self::Descriptors { .. } => Blame::Component,
        }
    }
}
