//! The words that properties hold.

use std::fmt;

use serde::{Deserialize, Serialize};
use zbus::{DeserializeDict, SerializeDict, Type};

/// The lifecycle state of a component, with Greengrass' names; a string on the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Type)]
#[zbus(signature = "s")]
#[serde(rename_all = "UPPERCASE")]
pub enum ComponentState {
    /// Deployed, not installed yet.
    New,
    /// `install` has succeeded.
    Installed,
    /// `startup` or `run` has been started, readiness is awaited.
    Starting,
    /// Up: `startup` ended well, or `run` reported itself or is simply alive.
    Running,
    /// `shutdown` is under way.
    Stopping,
    /// A step failed; it will be tried again.
    Errored,
    /// It failed too often; only a deployment or a restart by hand tries again.
    Broken,
    /// It ended by itself, successfully, or was stopped.
    Finished,
}

impl ComponentState {
    /// As on the bus.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "NEW",
            Self::Installed => "INSTALLED",
            Self::Starting => "STARTING",
            Self::Running => "RUNNING",
            Self::Stopping => "STOPPING",
            Self::Errored => "ERRORED",
            Self::Broken => "BROKEN",
            Self::Finished => "FINISHED",
        }
    }
}

impl fmt::Display for ComponentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a job does; a string on the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Type)]
#[zbus(signature = "s")]
#[serde(rename_all = "lowercase")]
pub enum JobKind {
    Deploy,
    Start,
    Stop,
    Restart,
    Observe,
}

/// How far a job is; a string on the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Type)]
#[zbus(signature = "s")]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Waits for another job.
    Queued,
    Running,
    /// Final.
    Succeeded,
    /// Final; the job's `Error` says why.
    Failed,
}

impl JobState {
    /// Whether it will not change any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

/// How far a running job is, `(us)` on the bus.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Progress {
    /// 0 to 100, never falling.
    pub percent: u32,
    /// What is being done, in words, e.g. `installing com.example.Sensor`.
    pub stage: String,
}

/// What a job brought about, `a{sv}` on the bus; a key is absent where it says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "dict")]
pub struct JobResult {
    /// Components that were started or replaced.
    pub started: Option<Vec<String>>,
    /// Components that were desired before and kept running.
    pub kept: Option<Vec<String>>,
    /// Components that were removed.
    pub removed: Option<Vec<String>>,
    /// The id of the deployment that the job carries out.
    pub deployment: Option<String>,
    /// On failure: the component at fault.
    pub component: Option<String>,
    /// On failure: its step, e.g. `install`.
    pub step: Option<String>,
    /// On failure: the last lines that the step wrote.
    pub log: Option<Vec<String>>,
}

/// Why a job failed, `(ss)` on the bus; both empty where it did not. See [`crate::Error::from_job`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct JobError {
    /// A D-Bus error name.
    pub name: String,
    /// The sentence for people.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_state_reads_alike_on_the_bus_and_in_text() {
        for state in [
            ComponentState::New,
            ComponentState::Installed,
            ComponentState::Starting,
            ComponentState::Running,
            ComponentState::Stopping,
            ComponentState::Errored,
            ComponentState::Broken,
            ComponentState::Finished,
        ] {
            let on_the_bus = serde_json::to_string(&state).unwrap();
            assert_eq!(on_the_bus, format!("\"{state}\""));
        }
    }
}
