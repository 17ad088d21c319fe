//! How a deployment stands, for whoever asks: D-Bus, IPC, people.

use serde::{Deserialize, Serialize};

pub use hedgerow_api::{DeploymentStage as Stage, DeploymentStatus};

use super::document::{DeploymentId, Document, Group};
use super::fault::Fault;

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
