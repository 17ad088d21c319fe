//! What the launcher keeps of a fence for the daemon's successor.

use hedgerow_isolation::plan::StepId;
use hedgerow_isolation::protocol::StepReport;
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
    /// Every process of the fence is frozen.
    pub paused: bool,
    /// It is observed, for a daemon that is no more.
    pub observed: bool,
    /// Each step that was started, with its name.
    pub steps: Vec<(StepId, StepKind)>,
}

impl Note {
    /// Whether a new daemon can go on from here with what the launcher has of the steps, once the definition is
    /// known to be the same: a step is under way or the component is up, and nobody waits on a connection that is
    /// gone. Any other moment is short, and its fence is replaced. So is one where a step runs that was started
    /// after the note was written.
    pub fn is_adoptable(&self, steps: &[StepReport]) -> bool {
        let is_noted = |step: &StepReport| self.steps.iter().any(|(id, _)| *id == step.id);
        let is_kept = |id| steps.iter().any(|step| step.id == id);
        let has = |kind| self.steps.iter().any(|(id, step)| *step == kind && is_kept(*id));
        self.sessions == 0
            && !self.observed
            && steps.iter().filter(|step| step.exit.is_none()).all(is_noted)
            && match self.machine.state {
                State::Running => true,
                State::Installing => has(StepKind::Install),
                State::Startup => has(StepKind::Startup),
                State::New
                | State::Opening(_)
                | State::Installed
                | State::Launching
                | State::Recovering(_)
                | State::ShuttingDown(_)
                | State::Terminating(_)
                | State::Closing(_)
                | State::Errored(_)
                | State::Broken
                | State::Finished
                | State::Uninstalling
                | State::Removed => false,
            }
    }
}
