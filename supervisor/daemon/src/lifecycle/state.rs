//! Where a component is in its life, and what others see of that.

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

/// Greengrass's names, as D-Bus, IPC and people see them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Published {
    New,
    Installed,
    Starting,
    Running,
    Stopping,
    Errored,
    Broken,
    Finished,
}

impl Published {
    pub fn name(self) -> &'static str {
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

impl State {
    pub fn published(self) -> Published {
        match self {
            Self::New | Self::Opening(Purpose::Install) | Self::Installing => Published::New,
            Self::Installed => Published::Installed,
            Self::Opening(Purpose::Start) | Self::Startup | Self::Launching => Published::Starting,
            Self::Running => Published::Running,
            Self::ShuttingDown(cause) | Self::Terminating(cause) | Self::Closing(cause) => {
                match cause {
                    Cause::Fault(_) => Published::Errored,
                    Cause::Loss(_) | Cause::Done | Cause::Change | Cause::Uninstalled => {
                        Published::Stopping
                    }
                }
            }
            Self::Recovering(_) | Self::Errored(_) => Published::Errored,
            Self::Broken => Published::Broken,
            Self::Opening(Purpose::Uninstall) | Self::Uninstalling => Published::Stopping,
            Self::Finished | Self::Removed => Published::Finished,
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
