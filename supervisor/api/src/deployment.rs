//! The words of a deployment.

use std::fmt;

use serde::{Deserialize, Serialize};
use zbus::Type;

/// What a deployment is doing, in the order in which it comes; a string on the bus.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Type,
)]
#[zbus(signature = "s")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeploymentStage {
    /// Waits for the one before it.
    Queued,
    /// Recipes, dependencies, configuration.
    Resolving,
    /// Artifacts are fetched and checked.
    Copying,
    /// Components that asked for it are told, and may defer it.
    Notifying,
    /// Components that asked for it judge their new configuration.
    Validating,
    /// `bootstrap` steps run.
    Bootstrap,
    /// It is committed, and the components change over.
    Applying,
    /// What was before is made desired again.
    RollingBack,
    /// It has ended; `Status` says how.
    Done,
}

impl DeploymentStage {
    /// As on the bus.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::Resolving => "RESOLVING",
            Self::Copying => "COPYING",
            Self::Notifying => "NOTIFYING",
            Self::Validating => "VALIDATING",
            Self::Bootstrap => "BOOTSTRAP",
            Self::Applying => "APPLYING",
            Self::RollingBack => "ROLLING_BACK",
            Self::Done => "DONE",
        }
    }
}

impl fmt::Display for DeploymentStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How a deployment stands, with Greengrass' names; a string on the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Type)]
#[zbus(signature = "s")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeploymentStatus {
    Queued,
    InProgress,
    /// Final.
    Succeeded,
    /// Final.
    Failed,
    /// Final; somebody cancelled it.
    Canceled,
    /// Final; it was not tried, e.g. because a newer one of its group was there already.
    Rejected,
}

impl DeploymentStatus {
    /// Whether it will not change any more.
    pub fn is_final(self) -> bool {
        match self {
            Self::Queued | Self::InProgress => false,
            Self::Succeeded | Self::Failed | Self::Canceled | Self::Rejected => true,
        }
    }

    /// As on the bus.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::InProgress => "IN_PROGRESS",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Canceled => "CANCELED",
            Self::Rejected => "REJECTED",
        }
    }
}

impl fmt::Display for DeploymentStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One leaf of a component's configuration: where its value came from, and when. `(sssx)` on the bus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct ConfigurationLeaf {
    /// A JSON pointer.
    pub pointer: String,
    /// A JSON text; a list is one leaf.
    pub value: String,
    /// Who set it: `recipe <version>`, `deployment <id>`, `component <name>`, or `image`.
    pub origin: String,
    /// Milliseconds since 1970 of the write that won; 1 for a recipe's default.
    pub time: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_read_alike_on_the_bus_and_in_text() {
        use DeploymentStage::*;
        for stage in [
            Queued,
            Resolving,
            Copying,
            Notifying,
            Validating,
            Bootstrap,
            Applying,
            RollingBack,
            Done,
        ] {
            assert_eq!(serde_json::to_string(&stage).unwrap(), format!("\"{stage}\""));
        }
        for status in [
            DeploymentStatus::Queued,
            DeploymentStatus::InProgress,
            DeploymentStatus::Succeeded,
            DeploymentStatus::Failed,
            DeploymentStatus::Canceled,
            DeploymentStatus::Rejected,
        ] {
            assert_eq!(serde_json::to_string(&status).unwrap(), format!("\"{status}\""));
        }
    }
}
