//! News of one instance, which `place` says.

use std::time::Duration;

use super::ending::close;
use super::member::{Frost, State};
use super::{Action, LAST_WORDS, NotGiven, Outcome, Pool, SETTLE};
use crate::fault::Fault;
use crate::{Ended, OpenError};

impl Pool {
    pub(super) fn opened(&mut self, place: usize, now: Duration, actions: &mut Vec<Action>) {
        let member = &mut self.members[place];
        match member.state {
            State::Opening { .. } if member.leaving => close(member, actions),
            State::Opening { polled } => {
                let deadline = self.limits.init_timeout.map(|limit| now + limit);
                member.state = State::Starting { deadline };
                if polled {
                    self.ready(place, now);
                }
            }
            State::Queued
            | State::Starting { .. }
            | State::Idle { .. }
            | State::Busy { .. }
            | State::Exited { .. }
            | State::Streaming { .. }
            | State::Settling { .. }
            | State::Closing => {}
        }
    }

    pub(super) fn open_failed(
        &mut self,
        place: usize,
        error: OpenError,
        now: Duration,
        actions: &mut Vec<Action>,
    ) {
        match self.members[place].state {
            State::Opening { .. } => {
                self.cold_start_failed(place, Fault::Open(error), now, actions);
            }
            // It has been given up already.
            State::Queued
            | State::Starting { .. }
            | State::Idle { .. }
            | State::Busy { .. }
            | State::Exited { .. }
            | State::Streaming { .. }
            | State::Settling { .. }
            | State::Closing => {}
        }
    }

    pub(super) fn polled(
        &mut self,
        place: usize,
        delivered: bool,
        now: Duration,
        actions: &mut Vec<Action>,
    ) {
        let member = &mut self.members[place];
        match &mut member.state {
            State::Opening { polled } => *polled = true,
            State::Starting { .. } => self.ready(place, now),
            State::Busy { polled, .. } if delivered => *polled = true,
            State::Busy { run, .. } => {
                let run = *run;
                self.settled(place, now, actions);
                self.undelivered(run, place, now, actions);
            }
            State::Streaming { run } => {
                let run = *run;
                self.finish(place, run, Outcome::Answered, now, actions);
                self.settled(place, now, actions);
            }
            State::Settling { .. } => self.settled(place, now, actions),
            State::Queued | State::Idle { .. } | State::Exited { .. } | State::Closing => {}
        }
    }

    pub(super) fn not_given(
        &mut self,
        place: usize,
        why: NotGiven,
        now: Duration,
        actions: &mut Vec<Action>,
    ) {
        let State::Busy { run, .. } = self.members[place].state else {
            return;
        };
        match why {
            NotGiven::Unwanted => self.settled(place, now, actions),
            // It was not even tried, so that does not count.
            NotGiven::HungUp => {
                self.members[place].state = self.settling(now);
                self.wait_again(run.waiting(), actions);
            }
        }
    }

    pub(super) fn answered(
        &mut self,
        place: usize,
        streams: bool,
        now: Duration,
        actions: &mut Vec<Action>,
    ) {
        let member = &mut self.members[place];
        let (run, is_over) = match member.state {
            // Of a runtime that polls already nothing else tells the end of its stream.
            State::Busy { run, polled } => (run, !streams || polled),
            State::Exited { run, .. } => (run, true),
            State::Queued
            | State::Opening { .. }
            | State::Starting { .. }
            | State::Idle { .. }
            | State::Streaming { .. }
            | State::Settling { .. }
            | State::Closing => return,
        };
        if streams {
            actions.push(Action::Stream { id: member.id, ticket: run.ticket });
        }
        let was = std::mem::replace(&mut member.state, State::Streaming { run });
        if !is_over {
            return;
        }
        self.finish(place, run, Outcome::Answered, now, actions);
        match was {
            State::Exited { how, .. } => self.lost(place, Fault::Exit(how), now, actions),
            State::Busy { polled: true, .. } => self.settled(place, now, actions),
            State::Busy { polled: false, .. }
            | State::Queued
            | State::Opening { .. }
            | State::Starting { .. }
            | State::Idle { .. }
            | State::Streaming { .. }
            | State::Settling { .. }
            | State::Closing => self.members[place].state = self.settling(now),
        }
    }

    pub(super) fn init_failed(
        &mut self,
        place: usize,
        fault: Fault,
        now: Duration,
        actions: &mut Vec<Action>,
    ) {
        match self.members[place].state {
            State::Opening { .. } | State::Starting { .. } => {
                self.cold_start_failed(place, fault, now, actions);
            }
            // Too early or too late to fail to start.
            State::Queued
            | State::Idle { .. }
            | State::Busy { .. }
            | State::Exited { .. }
            | State::Streaming { .. }
            | State::Settling { .. }
            | State::Closing => {}
        }
    }

    pub(super) fn ended(
        &mut self,
        place: usize,
        how: Ended,
        delivered: bool,
        now: Duration,
        actions: &mut Vec<Action>,
    ) {
        match self.members[place].state {
            State::Opening { .. } | State::Starting { .. } => {
                self.cold_start_failed(place, Fault::InitExit(how), now, actions);
            }
            State::Busy { run, .. } if delivered => {
                self.members[place].state = State::Exited { run, how, until: now + LAST_WORDS };
            }
            State::Busy { run, .. } => {
                self.undelivered(run, place, now, actions);
                self.lost(place, Fault::Exit(how), now, actions);
            }
            State::Streaming { run } => {
                self.finish(place, run, Outcome::Failed(Fault::Exit(how.clone())), now, actions);
                self.lost(place, Fault::Exit(how), now, actions);
            }
            State::Idle { .. } | State::Settling { .. } => {
                self.lost(place, Fault::Exit(how), now, actions);
            }
            State::Queued | State::Exited { .. } | State::Closing => {}
        }
    }

    pub(super) fn froze(&mut self, place: usize, done: bool, now: Duration) {
        let member = &mut self.members[place];
        let State::Idle { frost: frost @ Frost::Freezing { .. }, .. } = &mut member.state else {
            return;
        };
        match done {
            true => *frost = Frost::Frozen,
            false => {
                *frost = Frost::Thawed { since: now };
                member.unfreezable = true;
            }
        }
    }

    pub(super) fn thawed(
        &mut self,
        place: usize,
        done: bool,
        now: Duration,
        actions: &mut Vec<Action>,
    ) {
        let member = &mut self.members[place];
        let State::Idle { frost: frost @ Frost::Thawing, .. } = &mut member.state else {
            return;
        };
        match done {
            true => *frost = Frost::Thawed { since: now },
            // It got no work, so nothing is lost with it.
            false => close(member, actions),
        }
    }

    /// Its first poll: the cold start is over.
    fn ready(&mut self, place: usize, now: Duration) {
        self.failing = None;
        if !self.limits.pinned {
            self.backoff.forget();
        }
        let member = &mut self.members[place];
        member.init = Some(now.saturating_sub(member.began));
        member.state = State::Idle { since: now, frost: Frost::Thawed { since: now } };
    }

    /// It polls again.
    fn settled(&mut self, place: usize, now: Duration, actions: &mut Vec<Action>) {
        let member = &mut self.members[place];
        match member.leaving {
            true => close(member, actions),
            false => {
                member.state = State::Idle { since: now, frost: Frost::Thawed { since: now } };
            }
        }
    }

    fn settling(&self, now: Duration) -> State {
        State::Settling { patience: now + SETTLE, deadline: now + self.limits.timeout.max(SETTLE) }
    }
}
