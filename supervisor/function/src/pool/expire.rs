//! What time changes by itself.

use std::time::Duration;

use super::ending::close;
use super::member::{Frost, Member, Run, State};
use super::{Action, FREEZE_AFTER, Outcome, Pool, Refusal, Waiting};
use crate::fault::Fault;

impl Pool {
    /// When [`super::Event::Tick`] is due: later than the last step, and `None` while only events can change anything.
    pub fn alarm(&self, now: Duration) -> Option<Duration> {
        let members = self.members.iter().filter_map(|member| self.due(member));
        let waiting = self.waiting.iter().map(|waiting| waiting.expires);
        // Instances that could be opened then.
        let is_needed = !self.waiting.is_empty() || self.lacks_pinned();
        let retry = self.failing.as_ref().map(|failing| failing.retry_at);
        let patience = self.members.iter().filter_map(|member| match member.state {
            State::Settling { patience, .. } => Some(patience),
            State::Queued
            | State::Opening { .. }
            | State::Starting { .. }
            | State::Idle { .. }
            | State::Busy { .. }
            | State::Exited { .. }
            | State::Streaming { .. }
            | State::Closing => None,
        });
        let chances = retry.into_iter().chain(patience).filter(|at| is_needed && *at > now);
        members.chain(waiting).chain(chances).min()
    }

    pub(super) fn expire(&mut self, now: Duration, actions: &mut Vec<Action>) {
        for place in 0..self.members.len() {
            if self.due(&self.members[place]).is_some_and(|due| due <= now) {
                self.is_due(place, now, actions);
            }
        }
        if self.waiting.iter().any(|waiting| waiting.expires <= now) {
            self.waiting.retain(|Waiting { ticket, expires, .. }| {
                let is_over = *expires <= now;
                if is_over {
                    actions.push(Action::Refuse { ticket: *ticket, why: Refusal::Expired });
                }
                !is_over
            });
        }
    }

    /// When the instance's state is over, if nothing happens.
    fn due(&self, member: &Member) -> Option<Duration> {
        let at_stop = |deadline: Duration| match self.stopped {
            Some(until) => deadline.min(until),
            None => deadline,
        };
        match member.state {
            State::Starting { deadline } => deadline,
            State::Busy { run, .. } | State::Streaming { run } => Some(at_stop(run.deadline)),
            State::Exited { until, .. } => Some(until),
            State::Settling { deadline, .. } => Some(at_stop(deadline)),
            State::Idle { since, frost } if !self.limits.pinned => {
                let idle = since + self.limits.max_idle;
                match frost {
                    Frost::Thawed { since } if !member.unfreezable => {
                        Some(idle.min(since + FREEZE_AFTER))
                    }
                    Frost::Thawed { .. } | Frost::Freezing { wanted: false } | Frost::Frozen => {
                        Some(idle)
                    }
                    // On its way to work.
                    Frost::Freezing { wanted: true } | Frost::Thawing => None,
                }
            }
            State::Queued | State::Idle { .. } | State::Opening { .. } | State::Closing => None,
        }
    }

    fn is_due(&mut self, place: usize, now: Duration, actions: &mut Vec<Action>) {
        let member = &mut self.members[place];
        match &mut member.state {
            State::Starting { .. } => {
                let limit = self.limits.init_timeout.unwrap_or_default();
                self.cold_start_failed(place, Fault::InitTimeout(limit), now, actions);
            }
            State::Busy { run, .. } | State::Streaming { run } => {
                let run = *run;
                let fault = overdue(run, now);
                self.finish(place, run, Outcome::Failed(fault), now, actions);
                close(&mut self.members[place], actions);
            }
            State::Exited { run, how, .. } => {
                let (run, fault) = (*run, Fault::Exit(how.clone()));
                self.finish(place, run, Outcome::Failed(fault.clone()), now, actions);
                self.lost(place, fault, now, actions);
            }
            State::Settling { .. } => close(member, actions),
            State::Idle { since, frost } => {
                let is_over = *since + self.limits.max_idle <= now;
                match is_over {
                    true => close(member, actions),
                    false => {
                        *frost = Frost::Freezing { wanted: false };
                        actions.push(Action::Freeze(member.id));
                    }
                }
            }
            State::Queued | State::Opening { .. } | State::Closing => {}
        }
    }
}

fn overdue(run: Run, now: Duration) -> Fault {
    match run.deadline <= now {
        true => Fault::Timeout(run.deadline.saturating_sub(run.since)),
        false => Fault::Stopped,
    }
}
