//! Where a component is in its life, and what others see of that.

use hedgerow_api::ComponentState;
use serde::{Deserialize, Serialize};

use super::StepKind;

/// Why a fence is being opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    Install,
    Start,
    Uninstall,
}

/// The published state in which something went wrong: each is counted for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    New,
    Starting,
    Running,
}

/// Why a fence is being torn down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// Something failed while the component was in this state.
    Fault(Source),
    /// The launcher's doing, not the component's.
    Loss(Source),
    /// `run` ended with exit code 0, or there was nothing to run.
    Done,
    /// The goal, the dependencies or the definition changed.
    Change,
    /// The `uninstall` step has ended, one way or another.
    Uninstalled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    New,
    Opening(Purpose),
    Installing,
    Installed,
    /// The `startup` step is under way.
    Startup,
    /// The `run` step has been asked for.
    Launching,
    Running,
    /// The `recover` step is under way, after a fault in this state.
    Recovering(Source),
    ShuttingDown(Cause),
    Terminating(Cause),
    Closing(Cause),
    /// Waits for the back-off to pass. No fence is open.
    Errored(Source),
    /// Failed too often for the deployment that waits for it, or for Greengrass's rule. No fence is open.
    Broken,
    Finished,
    Uninstalling,
    Removed,
}

impl State {
    /// In Greengrass's names, as D-Bus, IPC and people see it.
    pub fn published(self) -> ComponentState {
        match self {
            Self::New | Self::Opening(Purpose::Install) | Self::Installing => ComponentState::New,
            Self::Installed => ComponentState::Installed,
            Self::Opening(Purpose::Start) | Self::Startup | Self::Launching => {
                ComponentState::Starting
            }
            Self::Running => ComponentState::Running,
            Self::ShuttingDown(cause) | Self::Terminating(cause) | Self::Closing(cause) => {
                match cause {
                    Cause::Fault(_) => ComponentState::Errored,
                    Cause::Loss(_) | Cause::Done | Cause::Change | Cause::Uninstalled => {
                        ComponentState::Stopping
                    }
                }
            }
            Self::Recovering(_) | Self::Errored(_) => ComponentState::Errored,
            Self::Broken => ComponentState::Broken,
            Self::Opening(Purpose::Uninstall) | Self::Uninstalling => ComponentState::Stopping,
            Self::Finished | Self::Removed => ComponentState::Finished,
        }
    }

    /// What a component that depends on this one with `HARD` may rely on (inventory 2.5).
    pub fn is_ready(self) -> bool {
        match self {
            Self::Running | Self::Finished => true,
            Self::ShuttingDown(cause) | Self::Terminating(cause) | Self::Closing(cause) => {
                match cause {
                    Cause::Done | Cause::Change => true,
                    Cause::Fault(_) | Cause::Loss(_) | Cause::Uninstalled => false,
                }
            }
            Self::New
            | Self::Opening(_)
            | Self::Installing
            | Self::Installed
            | Self::Startup
            | Self::Launching
            | Self::Recovering(_)
            | Self::Errored(_)
            | Self::Broken
            | Self::Uninstalling
            | Self::Removed => false,
        }
    }

    /// The step whose news the state waits for. In RUNNING that is whichever of the two has a process.
    pub(super) fn step(self, main: Option<StepKind>) -> Option<StepKind> {
        match self {
            Self::Installing => Some(StepKind::Install),
            Self::Startup => Some(StepKind::Startup),
            Self::Launching => Some(StepKind::Run),
            Self::Running => main,
            Self::Recovering(_) => Some(StepKind::Recover),
            Self::ShuttingDown(_) => Some(StepKind::Shutdown),
            Self::Uninstalling => Some(StepKind::Uninstall),
            Self::New
            | Self::Opening(_)
            | Self::Installed
            | Self::Terminating(_)
            | Self::Closing(_)
            | Self::Errored(_)
            | Self::Broken
            | Self::Finished
            | Self::Removed => None,
        }
    }
}
