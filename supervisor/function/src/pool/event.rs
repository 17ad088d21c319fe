//! What happens to a pool, and what it wants done.

use std::time::Duration;

use crate::fault::Fault;
use crate::{Ended, FunctionError, FunctionSpec, InstanceId, OpenError};

/// One invocation that the pool was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Ticket(pub u64);

/// No time of a function is shorter, so that nothing is over before it began.
const SHORTEST: Duration = Duration::from_millis(1);

/// What of a function's specification the pool decides by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub pinned: bool,
    pub max_instances: usize,
    pub max_waiting: usize,
    pub timeout: Duration,
    pub init_timeout: Option<Duration>,
    pub max_idle: Duration,
}

/// Times are those of one clock that stands still while the device sleeps, as runtimes do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// An invocation came that may wait until `expires`.
    Invoked {
        ticket: Ticket,
        expires: Duration,
    },
    /// Nobody wants it any more, if it still waits.
    Abandoned(Ticket),
    /// A new specification. `replaced`: instances of the one before are out of date.
    Defined {
        limits: Limits,
        replaced: bool,
    },
    Start,
    /// What runs may go on for `grace`.
    Stop {
        grace: Duration,
    },
    /// Memory is short: the longest idle instance is to go.
    Reclaim,
    /// After [`Action::Queue`]: it is its turn to be opened.
    Admitted(InstanceId),
    Opened(InstanceId),
    OpenFailed(InstanceId, OpenError),
    /// The runtime asks for work. `delivered`: it has seen what it was given before, if anything.
    Polled {
        id: InstanceId,
        delivered: bool,
    },
    /// What [`Action::Give`] said could not be done.
    NotGiven {
        id: InstanceId,
        why: NotGiven,
    },
    /// To the ticket that [`super::Pool::holds`] says. `streams`: the response has only begun.
    Answered {
        id: InstanceId,
        streams: bool,
    },
    InitFailed(InstanceId, FunctionError),
    Ended {
        id: InstanceId,
        how: Ended,
        delivered: bool,
    },
    /// A freeze has succeeded or failed.
    Froze {
        id: InstanceId,
        done: bool,
    },
    Thawed {
        id: InstanceId,
        done: bool,
    },
    Closed(InstanceId),
    /// The time of [`super::Pool::alarm`] has come.
    Tick,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotGiven {
    /// The runtime does not poll any more.
    HungUp,
    /// The caller does not wait any more.
    Unwanted,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// [`Event::Admitted`] is to follow when it may be opened.
    Queue(InstanceId),
    Open(InstanceId),
    Freeze(InstanceId),
    Thaw(InstanceId),
    Close(InstanceId),
    Give {
        id: InstanceId,
        ticket: Ticket,
    },
    /// It never ran.
    Refuse {
        ticket: Ticket,
        why: Refusal,
    },
    /// Pass the beginning of the answer on; `Finish` follows.
    Stream {
        id: InstanceId,
        ticket: Ticket,
    },
    /// The last that is to be said of an invocation that ran.
    Finish {
        id: InstanceId,
        ticket: Ticket,
        outcome: Outcome,
        duration: Duration,
        /// How long the instance's cold start took, if this was its first invocation.
        init: Option<Duration>,
    },
    /// A cold start failed after that time.
    ReportInit {
        fault: Fault,
        duration: Duration,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// So many wait already.
    Full {
        waiting: usize,
    },
    /// No instance became free in time.
    Expired,
    Stopped,
    /// Instances do not come up.
    Failing(Fault),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Answered,
    Failed(Fault),
}

impl Event {
    /// Whose turn it is.
    pub fn admitted(&self) -> Option<InstanceId> {
        if let Self::Admitted(id) = self { Some(*id) } else { None }
    }
}

impl From<&FunctionSpec> for Limits {
    fn from(spec: &FunctionSpec) -> Self {
        let max_instances = if spec.pinned { 1 } else { spec.max_instances };
        let count = |number: u32| usize::try_from(number.max(1)).unwrap_or(usize::MAX);
        let time = |time: Duration| time.max(SHORTEST);
        Self {
            pinned: spec.pinned,
            max_instances: count(max_instances),
            max_waiting: count(spec.queue.length),
            timeout: time(spec.timeout),
            init_timeout: spec.init_timeout.map(time),
            max_idle: time(spec.max_idle),
        }
    }
}
