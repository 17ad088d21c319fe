//! The ends of invocations, cold starts and instances.

use std::time::Duration;

use super::failing::{Failing, STEADY};
use super::member::{Member, Run, State};
use super::{Action, HANG_UPS, Outcome, Pool, Refusal, Waiting};
use crate::fault::Fault;

impl Pool {
    /// An invocation that was sent to a runtime which never had it goes back to the head of the line.
    pub(super) fn undelivered(
        &mut self,
        run: Run,
        place: usize,
        now: Duration,
        actions: &mut Vec<Action>,
    ) {
        let hung_up = run.hung_up + 1;
        match hung_up >= HANG_UPS {
            true => self.finish(place, run, Outcome::Failed(Fault::HungUp), now, actions),
            false => self.wait_again(Waiting { hung_up, ..run.waiting() }, actions),
        }
    }

    pub(super) fn wait_again(&mut self, waiting: Waiting, actions: &mut Vec<Action>) {
        let ticket = waiting.ticket;
        match self.stopped {
            Some(_) => actions.push(Action::Refuse { ticket, why: Refusal::Stopped }),
            None => self.waiting.push_front(waiting),
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
        let duration = now.saturating_sub(member.began);
        close(member, actions);
        if !member.leaving {
            actions.push(Action::ReportInit { fault: fault.clone(), duration });
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
}

pub(super) fn close(member: &mut Member, actions: &mut Vec<Action>) {
    member.state = State::Closing;
    actions.push(Action::Close(member.id));
}
