//! One instance, as its pool sees it.

use std::time::Duration;

use super::{Ticket, Waiting};
use crate::{Ended, InstanceId};

#[derive(Debug)]
pub(super) struct Member {
    pub id: InstanceId,
    pub state: State,
    /// Of a version that was replaced, or of a function that was stopped: it gets no work any more and is closed as
    /// soon as it has none.
    pub leaving: bool,
    /// When its fence began to be opened, or it began to wait for that.
    pub began: Duration,
    /// How long its cold start took, until an invocation has reported it.
    pub init: Option<Duration>,
    /// Freezing it has failed: not tried again.
    pub unfreezable: bool,
}

#[derive(Debug)]
pub(super) enum State {
    /// It is to be opened when that is its turn.
    Queued,
    /// `polled`: its runtime was faster than the news that it is there.
    Opening { polled: bool },
    /// Its runtime has not asked for work yet.
    Starting { deadline: Option<Duration> },
    /// It polls for work.
    Idle { since: Duration, frost: Frost },
    /// `polled`: it polls for more while it works.
    Busy { run: Run, polled: bool },
    /// Its runtime ended while it worked; an answer that it sent before may still come in.
    Exited { run: Run, how: Ended, until: Duration },
    /// Its answer has begun.
    Streaming { run: Run },
    /// It has answered and is about to poll again; up to `patience` it is not worth starting another one instead.
    Settling { patience: Duration, deadline: Duration },
    /// Being closed.
    Closing,
}

/// An invocation that an instance has been given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub ticket: Ticket,
    pub expires: Duration,
    pub hung_up: u8,
    pub since: Duration,
    pub deadline: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frost {
    Thawed {
        since: Duration,
    },
    /// `wanted`: something waits for it meanwhile.
    Freezing {
        wanted: bool,
    },
    Frozen,
    Thawing,
}

impl Run {
    /// As it waited.
    pub fn waiting(self) -> Waiting {
        let Self { ticket, expires, hung_up, .. } = self;
        Waiting { ticket, expires, hung_up }
    }
}

impl Member {
    pub fn queued(id: InstanceId, now: Duration) -> Self {
        Self {
            id,
            state: State::Queued,
            leaving: false,
            began: now,
            init: None,
            unfreezable: false,
        }
    }

    /// Polls, awake, and may be given work: since when it is idle.
    pub fn ready_since(&self) -> Option<Duration> {
        match self.state {
            State::Idle { since, frost: Frost::Thawed { .. } } if !self.leaving => Some(since),
            _ => None,
        }
    }

    /// Has nothing to do, and nothing is on its way to it: since when.
    pub fn spare_since(&self) -> Option<Duration> {
        match self.state {
            State::Idle {
                since,
                frost: Frost::Thawed { .. } | Frost::Freezing { wanted: false } | Frost::Frozen,
            } => Some(since),
            _ => None,
        }
    }

    /// Will ask for work soon.
    pub fn is_coming(&self, now: Duration) -> bool {
        !self.leaving
            && match self.state {
                State::Queued | State::Opening { .. } | State::Starting { .. } => true,
                State::Idle { frost, .. } => match frost {
                    Frost::Thawing | Frost::Freezing { wanted: true } => true,
                    Frost::Thawed { .. } | Frost::Freezing { wanted: false } | Frost::Frozen => {
                        false
                    }
                },
                State::Settling { patience, .. } => patience > now,
                State::Busy { .. }
                | State::Exited { .. }
                | State::Streaming { .. }
                | State::Closing => false,
            }
    }

    /// Will ask for work some day.
    pub fn is_alive(&self) -> bool {
        !self.leaving
            && match self.state {
                State::Queued
                | State::Opening { .. }
                | State::Starting { .. }
                | State::Idle { .. }
                | State::Busy { .. }
                | State::Streaming { .. }
                | State::Settling { .. } => true,
                State::Exited { .. } | State::Closing => false,
            }
    }
}
