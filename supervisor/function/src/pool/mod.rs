//! Which instances a function has and which invocation runs on which, as a pure, total function:
//! [`Pool::step`]`(event, now) -> actions`. No clock and no I/O inside.
//!
//! ```text
//!  Queue ─▶ Queued
//!             │ Admitted: Open
//!             ▼      Opened                 Polled
//!          Opening ────────▶ Starting ───────────────▶ Idle ◀──────────────┐
//!             │                 │               thawed ⇄ frozen            │ Polled
//!             │ OpenFailed      │ InitFailed,     │  Give                  │
//!             │                 │ Ended,          ▼                        │
//!             │                 │ deadline      Busy ──── Answered ──▶ Settling
//!             │                 │                 │ ╲                      ▲
//!             │                 │                 │  Answered, Ended       │ Polled
//!             │                 │       deadline, │   ╲       ╲            │
//!             │                 │       Ended     │    ▼       Streaming ──┘
//!             ▼                 ▼                 ▼   Exited ─ its answer, or a moment later
//!             └──────────────▶ Closing ◀──────────┴────┘  (idle for too long, memory is short, replaced, stopped)
//!                                 │ Closed
//!                                 ▼ (gone)
//! ```
//!
//! Invocations wait in one line. Whatever happened, at the end of each step the first of them get the instances that are
//! ready, the one that was used last first, so that the others can go; for the rest instances are thawed, or opened up to
//! the limit, but never more than there is waiting. How many are opened at once on the device, others decide: an instance is
//! queued until it is its turn, and forgotten if nothing waits for it by then.

mod balance;
mod ending;
mod event;
mod expire;
mod failing;
mod member;
mod news;
mod respond;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

pub(crate) use event::{Action, Event, Limits, NotGiven, Outcome, Refusal, Ticket};
pub(crate) use failing::Failing;

use crate::InstanceId;
use crate::metrics::Counts;
use failing::Backoff;
use member::{Frost, Member, State};

/// An instance that had nothing to do for so long is frozen.
const FREEZE_AFTER: Duration = Duration::from_millis(100);

/// A runtime that has answered polls again within this, as a rule.
const SETTLE: Duration = Duration::from_millis(20);

/// The answer of a runtime that has ended since arrives within this.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// An invocation is sent so often to instances that hang up before they have it.
const HANG_UPS: u8 = 3;

#[derive(Debug)]
pub(crate) struct Pool {
    limits: Limits,
    /// `None`: started. Else until when what runs may go on.
    stopped: Option<Duration>,
    members: Vec<Member>,
    waiting: VecDeque<Waiting>,
    failing: Option<Failing>,
    backoff: Backoff,
    next_id: InstanceId,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    ticket: Ticket,
    /// Until when it may wait.
    expires: Duration,
    /// How often it was sent to an instance that hung up before it had it.
    hung_up: u8,
}

impl Pool {
    /// Its instances are numbered from `first` on.
    pub fn new(limits: Limits, first: InstanceId, seed: u64) -> Self {
        Self {
            limits,
            stopped: None,
            members: vec![],
            waiting: VecDeque::new(),
            failing: None,
            backoff: Backoff::new(seed),
            next_id: first,
        }
    }

    /// The next state and what to do, in this order. `now` never goes back.
    pub fn step(&mut self, event: Event, now: Duration) -> Vec<Action> {
        let mut actions = vec![];
        self.respond(event, now, &mut actions);
        // Before idle ones go for having been idle.
        self.give(now, &mut actions);
        self.expire(now, &mut actions);
        self.balance(now, &mut actions);
        actions
    }

    /// What the instance works on and has not answered.
    pub fn holds(&self, id: InstanceId) -> Option<Ticket> {
        match self.members.iter().find(|member| member.id == id)?.state {
            State::Busy { run, .. } | State::Exited { run, .. } => Some(run.ticket),
            State::Queued
            | State::Opening { .. }
            | State::Starting { .. }
            | State::Idle { .. }
            | State::Streaming { .. }
            | State::Settling { .. }
            | State::Closing => None,
        }
    }

    pub fn is_stopped(&self) -> bool {
        self.stopped.is_some()
    }

    pub fn failing(&self) -> Option<&Failing> {
        self.failing.as_ref()
    }

    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for member in &self.members {
            let count = match member.state {
                State::Closing => &mut counts.ending,
                State::Queued | State::Opening { .. } | State::Starting { .. } => {
                    match member.leaving {
                        true => &mut counts.ending,
                        false => &mut counts.starting,
                    }
                }
                State::Busy { .. }
                | State::Exited { .. }
                | State::Streaming { .. }
                | State::Settling { .. } => match member.leaving {
                    true => &mut counts.draining,
                    false => &mut counts.busy,
                },
                State::Idle { frost: Frost::Frozen, .. } => &mut counts.frozen,
                State::Idle {
                    frost: Frost::Thawed { .. } | Frost::Freezing { .. } | Frost::Thawing,
                    ..
                } => &mut counts.idle,
            };
            *count += 1;
        }
        counts
    }

    /// Whether one more invocation that has to wait is refused.
    pub fn is_full(&self) -> bool {
        self.waiting.len() >= self.limits.max_waiting
    }

    /// The line, from its head.
    pub fn waiting(&self) -> impl ExactSizeIterator<Item = Ticket> {
        self.waiting.iter().map(|waiting| waiting.ticket)
    }

    /// Since when the instance is idle that [`Event::Reclaim`] would end.
    pub fn longest_idle(&self) -> Option<Duration> {
        match self.limits.pinned {
            true => None,
            false => self.members.iter().filter_map(Member::spare_since).min(),
        }
    }

    /// Room that a rush has left behind.
    pub fn give_memory_back(&mut self) {
        self.members.shrink_to_fit();
        self.waiting.shrink_to_fit();
    }

    fn place(&self, id: InstanceId) -> Option<usize> {
        self.members.iter().position(|member| member.id == id)
    }
}
