//! What is stored of a deployment: enough to go on after the power was cut, and to say later how it ended.

use std::collections::BTreeSet;

use hedgerow_component::ComponentName;
use serde::{Deserialize, Serialize};

use super::document::{DeploymentId, Document, FailurePolicy, Group};
use super::fault::Fault;
use super::view::{DeploymentStatus, DeploymentView, DetailedStatus, Stage};
use crate::jobs::Failure;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeploymentRecord {
    pub id: DeploymentId,
    pub job: u64,
    pub name: String,
    pub group: Group,
    /// Milliseconds since 1970.
    pub created: i64,
    pub failure_policy: FailurePolicy,
    pub phase: Phase,
    /// Components that have to come up for it to succeed.
    pub changed: BTreeSet<ComponentName>,
    /// Components that nobody asks for any more. They stay until the others are up.
    pub removed: BTreeSet<ComponentName>,
    /// Were broken, or failing, before it began, so that no rollback waits for them.
    pub broken_before: BTreeSet<ComponentName>,
    /// Whose `bootstrap` is still to run, in this order.
    pub bootstraps: Vec<ComponentName>,
    /// Whose `bootstrap` runs when it is rolled back, in this order.
    #[serde(default)]
    pub rollback_bootstraps: Vec<ComponentName>,
    /// The boot in which a bootstrap step asked for a reboot that has not come.
    #[serde(default)]
    pub reboot: Option<String>,
    pub canceled: bool,
    pub fault: Option<Fault>,
    /// What its job shows of the component at fault.
    pub failure: Option<Failure>,
}

/// What is left to be done of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Its components are desired and held until every bootstrap has run.
    Bootstrap,
    Applying,
    /// It has succeeded but for the removal.
    Removing,
    /// What was desired before is desired again.
    RollingBack,
    Ended {
        status: DeploymentStatus,
        /// `None` of one that was canceled before it changed anything.
        detailed: Option<DetailedStatus>,
    },
}

impl DeploymentRecord {
    pub fn of(document: &Document, job: u64) -> Self {
        Self {
            id: document.id.clone(),
            job,
            name: document.name.clone(),
            group: document.group.clone(),
            created: document.created,
            failure_policy: document.failure_policy,
            phase: Phase::Applying,
            changed: BTreeSet::new(),
            removed: BTreeSet::new(),
            broken_before: BTreeSet::new(),
            bootstraps: vec![],
            rollback_bootstraps: vec![],
            reboot: None,
            canceled: false,
            fault: None,
            failure: None,
        }
    }

    pub fn is_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended { .. })
    }

    /// Everything that it touches.
    pub fn components(&self) -> BTreeSet<ComponentName> {
        self.changed.union(&self.removed).cloned().collect()
    }

    pub fn view(&self) -> DeploymentView {
        let (stage, percent, status, detailed) = match self.phase {
            Phase::Bootstrap => (Stage::Bootstrap, 55, DeploymentStatus::InProgress, None),
            Phase::Applying => (Stage::Applying, 60, DeploymentStatus::InProgress, None),
            Phase::Removing => (Stage::Applying, 90, DeploymentStatus::InProgress, None),
            Phase::RollingBack => (Stage::RollingBack, 90, DeploymentStatus::InProgress, None),
            Phase::Ended { status, detailed } => (Stage::Done, 100, status, detailed),
        };
        let names =
            |names: BTreeSet<ComponentName>| names.iter().map(ToString::to_string).collect();
        let mut view = DeploymentView {
            id: self.id.clone(),
            job: self.job,
            name: self.name.clone(),
            group: self.group.clone(),
            created: self.created,
            stage,
            percent,
            status,
            detailed,
            error_stack: vec![],
            error_types: vec![],
            failure_cause: String::new(),
            components: names(self.components()),
        };
        if let Some(fault) = &self.fault {
            view.set_fault(fault);
        }
        view
    }
}
