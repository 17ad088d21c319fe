//! How a deployment stands, for whoever asks: D-Bus, IPC, people.

use serde::{Deserialize, Serialize};

use super::document::{DeploymentId, Document, Group};
use super::fault::Fault;

/// Where a deployment is on its way. Each stage has a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Stage {
    Queued,
    /// Reads recipes and resolves versions.
    Resolving,
    /// Brings artifacts into the store.
    Copying,
    /// Asks components whether it may go on; also while they have put it off.
    Notifying,
    /// Asks components whether they can live with their new configuration.
    Validating,
    /// It is desired; `bootstrap` steps run.
    Bootstrap,
    /// It is desired; components are started, replaced and removed.
    Applying,
    /// What was desired before is desired again.
    RollingBack,
    Done,
}

impl Stage {
    pub fn name(self) -> &'static str {
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

/// Greengrass's word for how it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeploymentStatus {
    Queued,
    InProgress,
    Succeeded,
    Failed,
    Canceled,
    Rejected,
}

impl DeploymentStatus {
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::InProgress => "IN_PROGRESS",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Canceled => "CANCELED",
            Self::Rejected => "REJECTED",
        }
    }

    pub fn is_final(self) -> bool {
        match self {
            Self::Queued | Self::InProgress => false,
            Self::Succeeded | Self::Failed | Self::Canceled | Self::Rejected => true,
        }
    }
}

/// Greengrass's word for how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DetailedStatus {
    Successful,
    FailedNoStateChange,
    FailedRollbackNotRequested,
    FailedRollbackComplete,
    FailedUnableToRollback,
    Rejected,
}

impl DetailedStatus {
    pub fn name(self) -> &'static str {
        match self {
            Self::Successful => "SUCCESSFUL",
            Self::FailedNoStateChange => "FAILED_NO_STATE_CHANGE",
            Self::FailedRollbackNotRequested => "FAILED_ROLLBACK_NOT_REQUESTED",
            Self::FailedRollbackComplete => "FAILED_ROLLBACK_COMPLETE",
            Self::FailedUnableToRollback => "FAILED_UNABLE_TO_ROLLBACK",
            Self::Rejected => "REJECTED",
        }
    }
}

/// All that is shown of a deployment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeploymentView {
    pub id: DeploymentId,
    /// The job that stands for it.
    pub job: u64,
    pub name: String,
    pub group: Group,
    /// Milliseconds since 1970.
    pub created: i64,
    pub stage: Stage,
    /// 0 to 100, never falling.
    pub percent: u32,
    pub status: DeploymentStatus,
    /// Set once it has ended, unless it was canceled before it changed anything.
    pub detailed: Option<DetailedStatus>,
    /// Greengrass's codes, from the least to the most specific; empty where nothing went wrong.
    pub error_stack: Vec<String>,
    pub error_types: Vec<String>,
    /// For people; empty where nothing went wrong.
    pub failure_cause: String,
    /// What it changes or removes.
    pub components: Vec<String>,
}

impl DeploymentView {
    /// Of one that has not begun.
    pub(super) fn of(document: &Document, job: u64) -> Self {
        Self {
            id: document.id.clone(),
            job,
            name: document.name.clone(),
            group: document.group.clone(),
            created: document.created,
            stage: Stage::Queued,
            percent: 0,
            status: DeploymentStatus::Queued,
            detailed: None,
            error_stack: vec![],
            error_types: vec![],
            failure_cause: String::new(),
            components: vec![],
        }
    }

    pub(super) fn set_fault(&mut self, fault: &Fault) {
        self.error_stack = fault.codes().map(|code| code.name().to_owned()).collect();
        self.error_types = fault.types().map(|kind| kind.name().to_owned()).collect();
        self.failure_cause = fault.cause.clone();
    }
}

/// What became of a request to cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelOutcome {
    /// Nothing was changed, and nothing will be.
    Canceled,
    /// It was being applied: it is rolled back, or left as it is, by its failure policy.
    Canceling,
    /// It had ended already.
    Ended(DeploymentStatus),
    Unknown,
}
