//! What an event changes by itself.

use std::time::Duration;

use super::ending::close;
use super::member::State;
use super::{Action, Event, Limits, Pool, Refusal, Ticket, Waiting};
use crate::InstanceId;
use crate::fault::Fault;

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
            Event::Admitted(id) => self.with(id, |pool, place| pool.admitted(place, now, actions)),
            Event::Opened(id) => self.with(id, |pool, place| pool.opened(place, now, actions)),
            Event::OpenFailed(id, error) => self.with(id, |pool, place| {
                pool.open_failed(place, error, now, actions);
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

    fn invoked(&mut self, ticket: Ticket, expires: Duration, actions: &mut Vec<Action>) {
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

    fn dismiss_all(&mut self, actions: &mut Vec<Action>) {
        // Nothing has been opened of them.
        self.members.retain(|member| !matches!(member.state, State::Queued));
        for member in &mut self.members {
            member.leaving = true;
            match member.state {
                State::Starting { .. } | State::Idle { .. } => close(member, actions),
                // `Opened` or `OpenFailed` comes.
                State::Queued
                | State::Opening { .. }
                | State::Busy { .. }
                | State::Exited { .. }
                | State::Streaming { .. }
                | State::Settling { .. }
                | State::Closing => {}
            }
        }
    }
}
