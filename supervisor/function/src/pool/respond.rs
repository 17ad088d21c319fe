//! What an event changes by itself.

use std::time::Duration;

use super::failing::{Failing, STEADY};
use super::member::{Frost, Member, Run, State};
use super::{
    Action, Event, HANG_UPS, LAST_WORDS, Limits, NotGiven, Outcome, Pool, Refusal, SETTLE, Ticket,
    Waiting,
};
use crate::fault::Fault;
use crate::{Ended, InstanceId};

impl Pool {
    pub(super) fn respond(&mut self, event: Event, now: Duration, actions: &mut Vec<Action>) {
        match event {
            Event::Invoked { ticket, expires } => self.invoked(ticket, expires, actions),
            Event::Abandoned(ticket) => self.waiting.retain(|waiting| waiting.ticket != ticket),
            Event::Defined { limits, replaced } => self.defined(limits, replaced, actions),
            Event::Start => self.start(),
            Event::Stop { grace } => self.stop(now + grace, actions),
            Event::Reclaim => self.reclaim(actions),
            Event::Tick => {}
            Event::Closed(id) => self.members.retain(|member| member.id != id),
            Event::Opened(id) => self.with(id, |pool, place| pool.opened(place, now, actions)),
            Event::OpenFailed(id, error) => self.with(id, |pool, place| {
                pool.cold_start_failed(place, Fault::Open(error), now, actions);
            }),
            Event::Polled { id, delivered } => {
                self.with(id, |pool, place| pool.polled(place, delivered, now, actions));
            }
            Event::NotGiven { id, why } => {
                self.with(id, |pool, place| pool.not_given(place, why, now, actions));
            }
            Event::Answered { id, streams } => {
                self.with(id, |pool, place| pool.answered(place, streams, now, actions));
            }
            Event::InitFailed(id, error) => self.with(id, |pool, place| {
                pool.init_failed(place, Fault::Init(error), now, actions);
            }),
            Event::Ended { id, how, delivered } => {
                self.with(id, |pool, place| pool.ended(place, how, delivered, now, actions));
            }
            Event::Froze { id, done } => {
                self.with(id, |pool, place| pool.froze(place, done, now));
            }
            Event::Thawed { id, done } => {
                self.with(id, |pool, place| pool.thawed(place, done, now, actions));
            }
        }
    }

    /// News of an instance that is gone concern nobody.
    fn with(&mut self, id: InstanceId, respond: impl FnOnce(&mut Self, usize)) {
        if let Some(place) = self.place(id) {
            respond(self, place);
        }
    }

    fn invoked(&mut self, ticket: Ticket, expires: Option<Duration>, actions: &mut Vec<Action>) {
        // Whoever finds a free instance does not wait.
        let is_free = self.waiting.is_empty()
            && self.members.iter().any(|member| member.ready_since().is_some());
        if self.stopped.is_some() {
            actions.push(Action::Refuse { ticket, why: Refusal::Stopped });
        } else if self.is_full() && !is_free {
            let waiting = self.waiting.len();
            actions.push(Action::Refuse { ticket, why: Refusal::Full { waiting } });
        } else {
            self.waiting.push_back(Waiting { ticket, expires, hung_up: 0 });
        }
    }

    fn defined(&mut self, limits: Limits, replaced: bool, actions: &mut Vec<Action>) {
        let replaced = replaced || limits.pinned != self.limits.pinned;
        self.limits = limits;
        if replaced {
            self.failing = None;
            self.backoff.forget();
            self.dismiss_all(actions);
        }
    }

    fn start(&mut self) {
        self.stopped = None;
        self.failing = None;
        self.backoff.forget();
    }

    fn stop(&mut self, until: Duration, actions: &mut Vec<Action>) {
        self.stopped = Some(until);
        self.failing = None;
        self.dismiss_all(actions);
        for Waiting { ticket, .. } in self.waiting.drain(..) {
            actions.push(Action::Refuse { ticket, why: Refusal::Stopped });
        }
    }

    fn reclaim(&mut self, actions: &mut Vec<Action>) {
        if self.limits.pinned {
            return;
        }
        let spare =
            self.members.iter_mut().filter_map(|member| Some((member.spare_since()?, member)));
        if let Some((_, member)) = spare.min_by_key(|(since, _)| *since) {
            close(member, actions);
        }
    }

    fn opened(&mut self, place: usize, now: Duration, actions: &mut Vec<Action>) {
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
            State::Starting { .. }
            | State::Idle { .. }
            | State::Busy { .. }
            | State::Exited { .. }
            | State::Streaming { .. }
            | State::Settling { .. }
            | State::Closing => {}
        }
    }

    fn polled(&mut self, place: usize, delivered: bool, now: Duration, actions: &mut Vec<Action>) {
        let member = &mut self.members[place];
        match &mut member.state {
            State::Opening { polled } => *polled = true,
            State::Starting { .. } => self.ready(place, now),
            State::Busy { polled, .. } if delivered => *polled = true,
            State::Busy { run, .. } => {
                let run = *run;
                self.settled(place, now, actions);
                self.wait_again(run, place, now, actions);
            }
            State::Streaming { run } => {
                let run = *run;
                self.finish(place, run, Outcome::Answered, now, actions);
                self.settled(place, now, actions);
            }
            State::Settling { .. } => self.settled(place, now, actions),
            State::Idle { .. } | State::Exited { .. } | State::Closing => {}
        }
    }

    fn not_given(&mut self, place: usize, why: NotGiven, now: Duration, actions: &mut Vec<Action>) {
        let State::Busy { run, .. } = self.members[place].state else {
            return;
        };
        match why {
            NotGiven::Unwanted => self.settled(place, now, actions),
            NotGiven::HungUp => {
                self.members[place].state = self.settling(now);
                self.wait_again(run, place, now, actions);
            }
        }
    }

    fn answered(&mut self, place: usize, streams: bool, now: Duration, actions: &mut Vec<Action>) {
        let member = &mut self.members[place];
        let (run, is_over) = match member.state {
            // Of a runtime that polls already nothing else tells the end of its stream.
            State::Busy { run, polled } => (run, !streams || polled),
            State::Exited { run, .. } => (run, true),
            State::Opening { .. }
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
            | State::Opening { .. }
            | State::Starting { .. }
            | State::Idle { .. }
            | State::Streaming { .. }
            | State::Settling { .. }
            | State::Closing => self.members[place].state = self.settling(now),
        }
    }

    fn init_failed(
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
            // Too late to fail to start.
            State::Idle { .. }
            | State::Busy { .. }
            | State::Exited { .. }
            | State::Streaming { .. }
            | State::Settling { .. }
            | State::Closing => {}
        }
    }

    fn ended(
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
                self.wait_again(run, place, now, actions);
                self.lost(place, Fault::Exit(how), now, actions);
            }
            State::Streaming { run } => {
                self.finish(place, run, Outcome::Failed(Fault::Exit(how.clone())), now, actions);
                self.lost(place, Fault::Exit(how), now, actions);
            }
            State::Idle { .. } | State::Settling { .. } => {
                self.lost(place, Fault::Exit(how), now, actions);
            }
            State::Exited { .. } | State::Closing => {}
        }
    }

    fn froze(&mut self, place: usize, done: bool, now: Duration) {
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

    fn thawed(&mut self, place: usize, done: bool, now: Duration, actions: &mut Vec<Action>) {
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

    /// An invocation that no runtime has seen goes back to the head of the line.
    fn wait_again(&mut self, run: Run, place: usize, now: Duration, actions: &mut Vec<Action>) {
        let Run { ticket, expires, hung_up, .. } = run;
        let hung_up = hung_up + 1;
        if self.stopped.is_some() {
            actions.push(Action::Refuse { ticket, why: Refusal::Stopped });
        } else if hung_up >= HANG_UPS {
            self.finish(place, run, Outcome::Failed(Fault::HungUp), now, actions);
        } else {
            self.waiting.push_front(Waiting { ticket, expires, hung_up });
        }
    }

    pub(super) fn finish(
        &mut self,
        place: usize,
        run: Run,
        outcome: Outcome,
        now: Duration,
        actions: &mut Vec<Action>,
    ) {
        let member = &mut self.members[place];
        actions.push(Action::Finish {
            id: member.id,
            ticket: run.ticket,
            outcome,
            duration: now.saturating_sub(run.since),
            init: member.init.take(),
        });
    }

    pub(super) fn cold_start_failed(
        &mut self,
        place: usize,
        fault: Fault,
        now: Duration,
        actions: &mut Vec<Action>,
    ) {
        let member = &mut self.members[place];
        let (id, duration) = (member.id, now.saturating_sub(member.began));
        close(member, actions);
        if !member.leaving {
            actions.push(Action::ReportInit { id, fault: fault.clone(), duration });
            self.fail(fault, duration, now);
        }
    }

    /// An instance that was ready is no more. Of a function on demand the next invocation starts another one.
    pub(super) fn lost(
        &mut self,
        place: usize,
        fault: Fault,
        now: Duration,
        actions: &mut Vec<Action>,
    ) {
        let member = &mut self.members[place];
        let lived = now.saturating_sub(member.began);
        close(member, actions);
        if self.limits.pinned && !member.leaving {
            self.fail(fault, lived, now);
        }
    }

    fn fail(&mut self, fault: Fault, lived: Duration, now: Duration) {
        if self.limits.pinned && lived >= STEADY {
            self.backoff.forget();
        }
        let since = self.failing.as_ref().map_or(now, |failing| failing.since);
        let retry_at = now + self.backoff.next(self.limits.pinned);
        self.failing = Some(Failing { fault, since, retry_at });
    }

    fn dismiss_all(&mut self, actions: &mut Vec<Action>) {
        for member in &mut self.members {
            member.leaving = true;
            match member.state {
                State::Starting { .. } | State::Idle { .. } => close(member, actions),
                // `Opened` or `OpenFailed` comes.
                State::Opening { .. }
                | State::Busy { .. }
                | State::Exited { .. }
                | State::Streaming { .. }
                | State::Settling { .. }
                | State::Closing => {}
            }
        }
    }
}

pub(super) fn close(member: &mut Member, actions: &mut Vec<Action>) {
    member.state = State::Closing;
    actions.push(Action::Close(member.id));
}
