//! What happens to a component, and what is to be done about it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{StepKind, Steps};

/// What is wanted of the component, from the stored desired state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Goal {
    Run,
    Stop,
    Remove,
}

/// Whose doing it is that something did not work or ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    Component,
    /// The launcher ended: every fence did with it.
    Launcher,
}

/// What became of a step that was to be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepNews {
    /// Its process exists.
    Started,
    /// Its process could not be made.
    StartFailed(Blame),
    /// Its `Skipif` is true: it counts as absent.
    Skipped,
    Exited {
        success: bool,
    },
    TimedOut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The stored desired state changed.
    Goal(Goal),
    /// Stop and start again. Also what an operator's `start` of a finished or broken component means.
    Restart,
    /// Forget what went wrong, and do not wait any longer where that is why it waits.
    Reset,
    /// The definition was replaced by another: start over from NEW with these steps.
    Replaced {
        steps: Steps,
        installed: bool,
    },
    /// The definition was replaced by one of which what runs takes no notice.
    Adjusted {
        steps: Steps,
    },
    /// Everything that the component waits for before it starts is there, or what it needs is there no longer.
    Dependencies {
        ready: bool,
    },
    Opened,
    OpenFailed(Blame),
    Step(StepKind, StepNews),
    /// IPC UpdateState.
    Reported {
        healthy: bool,
    },
    /// The time between SIGTERM and SIGKILL.
    GraceOver,
    BackoffOver,
    /// No process but its init is left in the fence.
    Emptied,
    /// The fence's init is gone, and every process with it.
    Ended(Blame),
    Closed,
    /// There is no time left to ask politely.
    Kill,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timer {
    Step(StepKind),
    Grace,
    Backoff,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Open,
    Start(StepKind),
    /// SIGTERM to every process of the fence.
    Terminate,
    /// SIGKILL to what is left, and remove everything.
    Close,
    /// The install step succeeded: make that durable.
    RecordInstalled,
    /// Starts the step's own timeout from the recipe, [`super::GRACE`], or a back-off. Replaces a running timer.
    Arm(Timer, Option<Duration>),
    Disarm,
}
