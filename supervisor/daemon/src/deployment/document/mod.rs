//! What a deployment asks for: the target group's root components, their configuration and how to go about it.
//!
//! The semantics are those of Greengrass's deployment documents. A local deployment is a [`Change::Delta`] on top of
//! its group's roots; a document from the cloud or a file says all of them ([`Change::Complete`]).

mod group;
mod id;
mod json;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hedgerow_component::{ComponentName, VersionReq};
use hedgerow_isolation::moment::Moment;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use group::{Group, InvalidGroup};
pub use id::{DeploymentId, InvalidId};
pub use json::InvalidDocument;

/// Time that components have to answer before an update, unless the document says otherwise.
const NOTIFY_TIMEOUT: Duration = Duration::from_secs(60);
/// Time that components have to judge a configuration where the document is silent (Greengrass waits that long, though
/// its documents default to 60 s).
const VALIDATION_TIMEOUT: Duration = Duration::from_secs(20);

/// What this version can do of what a document may require.
pub const CAPABILITIES: [&str; 3] =
    ["LARGE_CONFIGURATION", "LINUX_RESOURCE_LIMITS", "SUB_DEPLOYMENTS"];

#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    pub id: DeploymentId,
    pub name: String,
    pub group: Group,
    /// Milliseconds since 1970. Configuration merges at this time; a complete document that is older than its
    /// group's last is refused.
    pub created: i64,
    pub change: Change,
    /// Applies to root components only, as in Greengrass.
    pub configuration: BTreeMap<ComponentName, ConfigurationUpdate>,
    /// Applies to root components only.
    pub run_with: BTreeMap<ComponentName, RunWith>,
    pub failure_policy: FailurePolicy,
    pub update_policy: UpdatePolicy,
    pub validation_timeout: Duration,
    pub required_capabilities: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// On top of the group's roots as they are now.
    Delta { add: BTreeMap<ComponentName, VersionReq>, remove: BTreeSet<ComponentName> },
    /// All of the group's roots.
    Complete { components: BTreeMap<ComponentName, VersionReq> },
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConfigurationUpdate {
    pub merge: Option<Map<String, Value>>,
    /// JSON pointers; `""` is everything.
    pub reset: Vec<String>,
}

/// As whom a component's steps run, and what they may use.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RunWith {
    /// `user` or `user:group`, of the fence's own users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub posix_user: Option<String>,
    /// KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// CPUs: 0.5 is half of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidRunWith {
    #[error("runWith: {0} CPUs; more than 0 and at most 1024 can be given")]
    Cpus(f64),
    #[error("runWith: a memory limit of 0 KB leaves nothing to run in")]
    Memory,
}

impl RunWith {
    pub fn check(&self) -> Result<(), InvalidRunWith> {
        match (self.cpus, self.memory) {
            (Some(cpus), _) if !(cpus > 0.0 && cpus <= 1024.0) => Err(InvalidRunWith::Cpus(cpus)),
            (_, Some(0)) => Err(InvalidRunWith::Memory),
            _ => Ok(()),
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FailurePolicy {
    #[default]
    Rollback,
    DoNothing,
}

/// Whether components are asked before they are changed, and how long they have to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpdatePolicy {
    pub action: UpdateAction,
    pub timeout: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum UpdateAction {
    #[serde(rename = "NOTIFY_COMPONENTS")]
    Notify,
    #[serde(rename = "SKIP_NOTIFY_COMPONENTS")]
    SkipNotify,
}

impl Default for UpdatePolicy {
    fn default() -> Self {
        Self { action: UpdateAction::Notify, timeout: NOTIFY_TIMEOUT }
    }
}

impl Document {
    /// A local deployment with Greengrass's defaults: it does not ask components.
    pub fn local(
        add: BTreeMap<ComponentName, VersionReq>,
        remove: BTreeSet<ComponentName>,
    ) -> Self {
        let update_policy =
            UpdatePolicy { action: UpdateAction::SkipNotify, ..UpdatePolicy::default() };
        Self { update_policy, ..Self::of(Group::Local, Change::Delta { add, remove }) }
    }

    /// Made now, with every policy as it is by default.
    pub fn of(group: Group, change: Change) -> Self {
        let id = DeploymentId::made();
        Self {
            name: String::new(),
            id,
            group,
            created: now(),
            change,
            configuration: BTreeMap::new(),
            run_with: BTreeMap::new(),
            failure_policy: FailurePolicy::default(),
            update_policy: UpdatePolicy::default(),
            validation_timeout: VALIDATION_TIMEOUT,
            required_capabilities: vec![],
        }
    }

    /// The roots that it names, with their ranges.
    pub fn named(&self) -> &BTreeMap<ComponentName, VersionReq> {
        match &self.change {
            Change::Delta { add, .. } => add,
            Change::Complete { components } => components,
        }
    }

    /// What it requires and this version cannot do.
    pub fn missing_capabilities(&self) -> Vec<&str> {
        let is_missing = |capability: &&str| !CAPABILITIES.contains(capability);
        self.required_capabilities.iter().map(String::as_str).filter(is_missing).collect()
    }
}

/// Milliseconds since 1970.
pub fn now() -> i64 {
    Moment::now().realtime / 1_000_000
}
