//! What the launcher keeps of a fence for the daemon's successor.

use hedgerow_isolation::plan::StepId;
use serde::{Deserialize, Serialize};

use crate::lifecycle::{Machine, State, StepKind};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub component: String,
    /// [`crate::definition::Definition::digest`] of what runs in the fence.
    pub digest: String,
    pub machine: Machine,
    /// The IPC token that the fence's processes have in their environment.
    pub token: String,
    /// IPC sessions that were open. The SDKs do not reconnect: a component that had one must be replaced.
    pub sessions: u32,
    /// Each step that was started, with its name.
    pub steps: Vec<(StepId, StepKind)>,
}

impl Note {
    /// Whether a new daemon can go on from here, once the definition is known to be the same: a step is under
    /// way or the component is up, and nobody waits on a connection that is gone. Any other moment is short, and
    /// its fence is replaced.
    pub fn is_adoptable(&self) -> bool {
        self.sessions == 0
            && match self.machine.state {
                State::Running => true,
                State::Installing => self.has(StepKind::Install),
                State::Startup => self.has(StepKind::Startup),
                State::New
                | State::Opening(_)
                | State::Installed
                | State::Launching
                | State::ShuttingDown(_)
                | State::Terminating(_)
                | State::Closing(_)
                | State::Errored(_)
                | State::Broken
                | State::Finished
                | State::Removed => false,
            }
    }

    fn has(&self, kind: StepKind) -> bool {
        self.steps.iter().any(|(_, step)| *step == kind)
    }
}
