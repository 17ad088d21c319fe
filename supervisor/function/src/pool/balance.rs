//! Who gets which instance, and how many there are to be.

use std::time::Duration;

use super::member::{Frost, Member, Run, State};
use super::{Action, Failing, Pool, Refusal, Waiting};
use crate::InstanceId;

impl Pool {
    pub(super) fn balance(&mut self, now: Duration, actions: &mut Vec<Action>) {
        if self.stopped.is_some() {
            return;
        }
        self.give(now, actions);
        let coming = self.members.iter().filter(|member| member.is_coming(now)).count();
        let lacking = match self.limits.pinned {
            true => usize::from(self.lacks_pinned()),
            false => self.waiting.len().saturating_sub(coming),
        };
        for _ in 0..lacking {
            if !self.thaw(actions) && !self.queue(now, actions) {
                break;
            }
        }
        self.give_up(now, actions);
    }

    /// A pinned function has an instance whether or not anything waits for it.
    pub(super) fn lacks_pinned(&self) -> bool {
        self.limits.pinned && self.stopped.is_none() && !self.members.iter().any(Member::is_alive)
    }

    pub(super) fn give(&mut self, now: Duration, actions: &mut Vec<Action>) {
        while !self.waiting.is_empty() {
            let ready = self.members.iter_mut();
            let ready = ready.filter_map(|member| Some((member.ready_since()?, member)));
            let Some((_, member)) = ready.max_by_key(|(since, member)| (*since, member.id)) else {
                return;
            };
            let Some(Waiting { ticket, expires, hung_up }) = self.waiting.pop_front() else {
                return;
            };
            let deadline = now + self.limits.timeout;
            let run = Run { ticket, expires, hung_up, since: now, deadline };
            member.state = State::Busy { run, polled: false };
            actions.push(Action::Give { id: member.id, ticket });
        }
    }

    /// The one that was used last. One that is being frozen is thawed when it is.
    fn thaw(&mut self, actions: &mut Vec<Action>) -> bool {
        let frozen = self.members.iter_mut().filter(|member| !member.leaving);
        let frozen = frozen.filter_map(|member| match &mut member.state {
            State::Idle {
                since,
                frost: frost @ (Frost::Frozen | Frost::Freezing { wanted: false }),
            } => Some((*since, member.id, frost)),
            State::Idle { .. }
            | State::Queued
            | State::Opening { .. }
            | State::Starting { .. }
            | State::Busy { .. }
            | State::Exited { .. }
            | State::Streaming { .. }
            | State::Settling { .. }
            | State::Closing => None,
        });
        let Some((_, id, frost)) = frozen.max_by_key(|(since, id, _)| (*since, *id)) else {
            return false;
        };
        match frost {
            Frost::Frozen => {
                *frost = Frost::Thawing;
                actions.push(Action::Thaw(id));
            }
            Frost::Thawed { .. } | Frost::Freezing { .. } | Frost::Thawing => {
                *frost = Frost::Freezing { wanted: true };
            }
        }
        true
    }

    /// Instances that are on their way out count: there are never more fences than allowed. One is queued after the other:
    /// no function waits behind many instances of another.
    fn queue(&mut self, now: Duration, actions: &mut Vec<Action>) -> bool {
        let is_queued = self.members.iter().any(|member| matches!(member.state, State::Queued));
        let is_full = self.members.len() >= self.limits.max_instances;
        if is_queued || is_full || self.is_backing_off(now) {
            return false;
        }
        let id = self.next_id;
        self.next_id = InstanceId(id.0 + 1);
        self.members.push(Member::queued(id, now));
        actions.push(Action::Queue(id));
        true
    }

    /// It is its turn to be opened, if that is still needed.
    pub(super) fn admitted(&mut self, place: usize, now: Duration, actions: &mut Vec<Action>) {
        let State::Queued = self.members[place].state else {
            return;
        };
        let opened = self.members.iter().filter(|member| !matches!(member.state, State::Queued));
        let coming = opened.filter(|member| member.is_coming(now)).count();
        let is_needed = self.limits.pinned || self.waiting.len() > coming;
        if !is_needed || self.is_backing_off(now) {
            self.members.remove(place);
            return;
        }
        let member = &mut self.members[place];
        member.began = now;
        member.state = State::Opening { polled: false };
        actions.push(Action::Open(member.id));
    }

    /// While instances do not come up, whoever would need one is told so at once.
    fn give_up(&mut self, now: Duration, actions: &mut Vec<Action>) {
        if !self.is_backing_off(now) || self.members.iter().any(Member::is_alive) {
            return;
        }
        let Some(Failing { fault, .. }) = &self.failing else {
            return;
        };
        for Waiting { ticket, .. } in self.waiting.drain(..) {
            actions.push(Action::Refuse { ticket, why: Refusal::Failing(fault.clone()) });
        }
    }

    fn is_backing_off(&self, now: Duration) -> bool {
        self.failing.as_ref().is_some_and(|failing| failing.retry_at > now)
    }
}
