//! Why a deployment ends before it changes anything, in the words of D-Bus and in Greengrass's codes.

use std::time::Duration;

use hedgerow_api::Error;
use hedgerow_component::artifacts::{ArtifactFault, ImportError};
use hedgerow_component::resolve::Conflict;

use super::document::{DeploymentId, Group};
use super::fault::{ErrorCode, Fault};
use super::prepare::PrepareError;
use crate::consent::Invalid;
use crate::packages::{NoRoom, PackageError};
use crate::records::RecordsError;

#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    #[error(transparent)]
    Invalid(#[from] Invalid),
    #[error(transparent)]
    Records(#[from] RecordsError),
    #[error(
        "deployment {id} of {group} is older ({created}) than the one that its group has ({newest}, in ms since 1970); \
         it is not carried out"
    )]
    Stale { id: DeploymentId, group: Group, created: i64, newest: i64 },
    #[error("the deployment requires what this version cannot do: {}", .0.join(", "))]
    Capabilities(Vec<String>),
    #[error("{what} took longer than {} s ({key})", limit.as_secs())]
    TimedOut { what: &'static str, limit: Duration, key: &'static str },
    #[error("components have put it off for longer than {} s (deployment.defer-limit)", limit.as_secs())]
    DeferredTooLong { limit: Duration },
    #[error("it was canceled")]
    Canceled,
    #[error("the work on it ended unexpectedly: {0}")]
    Lost(#[from] tokio::task::JoinError),
}

impl Refusal {
    /// Whether Greengrass calls that rejected, not failed.
    pub fn is_rejection(&self) -> bool {
        matches!(self, Self::Stale { .. } | Self::Capabilities(_))
    }

    pub fn error(&self) -> Error {
        let message = self.to_string();
        match self {
            Self::Prepare(error) => error_of(error, message),
            Self::Stale { .. } | Self::Capabilities(_) => Error::InvalidArgument(message),
            Self::Records(_) | Self::Lost(_) => Error::Internal(message),
            Self::Invalid(_)
            | Self::TimedOut { .. }
            | Self::DeferredTooLong { .. }
            | Self::Canceled => Error::DeploymentFailed(message),
        }
    }

    pub fn fault(&self) -> Fault {
        use ErrorCode::{
            ComponentConfigurationNotValid, DeploymentInterrupted, DeploymentRejected,
            NucleusMissingRequiredCapabilities, RejectedStaleDeployment,
        };
        let cause = self.to_string();
        match self {
            Self::Prepare(error) => fault_of(error, cause),
            Self::Invalid(
                Invalid::Rejected { component, .. }
                | Invalid::TimedOut { component, .. }
                | Invalid::Gone { component },
            ) => Fault::of_component(component, &[ComponentConfigurationNotValid], cause),
            Self::Stale { .. } => Fault::new(&[DeploymentRejected, RejectedStaleDeployment], cause),
            Self::Capabilities(_) => {
                Fault::new(&[DeploymentRejected, NucleusMissingRequiredCapabilities], cause)
            }
            Self::TimedOut { .. } | Self::DeferredTooLong { .. } | Self::Canceled => {
                Fault::new(&[DeploymentInterrupted], cause)
            }
            Self::Records(_) | Self::Lost(_) => Fault::internal(cause),
        }
    }
}

pub fn error_of(error: &PrepareError, message: String) -> Error {
    match error {
        PrepareError::Recipe(_)
        | PrepareError::Twice { .. }
        | PrepareError::Conflict(_)
        | PrepareError::Unreadable { .. }
        | PrepareError::Package(
            PackageError::Artifact { .. } | PackageError::NoArtifactDirectory { .. },
        )
        | PrepareError::Define(_) => Error::InvalidRecipe(message),
        PrepareError::Package(PackageError::Room(NoRoom::Disk { .. } | NoRoom::Limit { .. })) => {
            Error::DeploymentFailed(message)
        }
        PrepareError::NotDeployed(_) => Error::NoSuchComponent(message),
        PrepareError::Directory(_)
        | PrepareError::Merge { .. }
        | PrepareError::RunWith { .. }
        | PrepareError::TypeChange { .. }
        | PrepareError::UpdateOfNothing(_) => Error::InvalidArgument(message),
        PrepareError::Package(PackageError::Disk { .. }) | PrepareError::Records(_) => {
            Error::Internal(message)
        }
    }
}

fn fault_of(error: &PrepareError, cause: String) -> Fault {
    use ErrorCode::{
        ArtifactChecksumMismatch, ArtifactDownload, ComponentCircularDependency,
        ComponentPackageLoading, ComponentVersionRequirementsNotMet, ConfigInterpolate,
        DeploymentDocumentNotValid, DiskSpaceCritical, Io, IoRead, IoWrite,
        NoAvailableComponentVersion, RecipeMissingManifest, RecipeParse, RunWithConfigNotValid,
    };
    let codes: &[ErrorCode] = match error {
        PrepareError::Directory(_) => &[Io, IoRead],
        PrepareError::Recipe(_) | PrepareError::Twice { .. } | PrepareError::Unreadable { .. } => {
            &[ComponentPackageLoading, RecipeParse]
        }
        PrepareError::Conflict(conflict) => match conflict.as_ref() {
            Conflict::Missing { .. } | Conflict::NoVersion { .. } | Conflict::NotBuiltIn { .. } => {
                &[NoAvailableComponentVersion, ComponentVersionRequirementsNotMet]
            }
            Conflict::NoPlatform { .. } => &[ComponentPackageLoading, RecipeMissingManifest],
            Conflict::Unrunnable { .. } | Conflict::Refused { .. } => {
                &[ComponentPackageLoading, RecipeParse]
            }
            Conflict::Cycle { .. } => &[ComponentCircularDependency],
            Conflict::TooComplex { .. } => &[ComponentVersionRequirementsNotMet],
        },
        PrepareError::Package(PackageError::Artifact { source, .. }) => match source.as_ref() {
            ImportError::Artifact { fault: ArtifactFault::Digest { .. }, .. } => {
                &[ArtifactDownload, ArtifactChecksumMismatch]
            }
            ImportError::Artifact { .. } | ImportError::Canceled => &[ArtifactDownload],
            ImportError::DiskFull { .. } => &[ArtifactDownload, Io, DiskSpaceCritical],
            ImportError::Device { .. } => &[ArtifactDownload, Io, IoRead],
        },
        PrepareError::Package(PackageError::NoArtifactDirectory { .. }) => &[ArtifactDownload],
        PrepareError::Package(PackageError::Room(_)) => &[ArtifactDownload, Io, DiskSpaceCritical],
        PrepareError::Package(PackageError::Disk { .. }) => &[ArtifactDownload, Io, IoWrite],
        PrepareError::Define(_) => &[ComponentPackageLoading, ConfigInterpolate],
        PrepareError::RunWith { .. } => &[RunWithConfigNotValid],
        PrepareError::NotDeployed(_)
        | PrepareError::TypeChange { .. }
        | PrepareError::UpdateOfNothing(_)
        | PrepareError::Merge { .. } => &[DeploymentDocumentNotValid],
        PrepareError::Records(_) => return Fault::internal(cause),
    };
    Fault::new(codes, cause)
}
