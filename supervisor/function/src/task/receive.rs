//! What messages mean to the pool.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot;

use super::{Call, Message, Stop, Stopped, Task};
use crate::functions::no_such_version;
use crate::link::{Answered, Asked};
use crate::pool::{Event, Limits, Ticket};
use crate::{Answer, FunctionSpec, InstanceId, Instances, InvokeError};

/// An invocation may wait for one that runs, and for a cold start: for so long where a function may take for ever.
const LONGEST_COLD_START: Duration = Duration::from_secs(60);

impl<I: Instances> Task<I> {
    pub(super) fn receive(&mut self, message: Message) {
        match message {
            Message::Invoke(call) => self.invoke(*call),
            Message::Define(spec) => self.define(spec),
            Message::Start => {
                self.becomes(Stopped::Waits);
                self.step(Event::Start);
            }
            Message::Stop(stop) => {
                let (Stop { grace, what }, done) = *stop;
                self.stopping.push(done);
                self.becomes(what);
                self.step(Event::Stop { grace });
            }
            Message::Reclaim => self.step(Event::Reclaim),
            Message::Asked(id, asked) => self.asked(id, asked),
            Message::Admitted(id, turn) => {
                self.turns.extend(turn.map(|turn| (id, turn)));
                self.step(Event::Admitted(id));
            }
            Message::Opened(id, opened) => match *opened {
                Ok(log_tail) => {
                    if let Some(seat) = self.seats.get_mut(&id) {
                        seat.log_tail = log_tail;
                    }
                    self.step(Event::Opened(id));
                }
                Err(error) => self.step(Event::OpenFailed(id, error)),
            },
            Message::Ended(id, how) => {
                let delivered = self.has_delivered(id);
                self.step(Event::Ended { id, how: *how, delivered });
            }
            Message::Froze(id, done) => self.step(Event::Froze { id, done }),
            Message::Thawed(id, done) => self.step(Event::Thawed { id, done }),
            Message::Closed(id) => {
                self.seats.remove(&id);
                self.step(Event::Closed(id));
                if self.seats.is_empty() {
                    self.give_memory_back();
                }
            }
        }
    }

    /// Nothing comes after the end.
    fn becomes(&mut self, what: Stopped) {
        if self.stopped != Stopped::Removed {
            self.stopped = what;
        }
    }

    fn invoke(&mut self, mut call: Call) {
        if !self.spec.answers_to(call.qualifier.as_deref()) {
            // Replaced while the call was on its way.
            let error = self.no_such_version(&call);
            call.reply(Err(error));
            return;
        }
        if self.pool.is_full() {
            self.forget_abandoned();
        }
        self.last_ticket += 1;
        let ticket = Ticket(self.last_ticket);
        let usual = || self.spec.init_timeout.unwrap_or(LONGEST_COLD_START) + self.spec.timeout;
        let expires = self.now().saturating_add(call.patience.unwrap_or_else(usual));
        self.calls.insert(ticket, call);
        self.step(Event::Invoked { ticket, expires });
    }

    fn define(&mut self, spec: Arc<FunctionSpec>) {
        let replaced = spec.digest != self.spec.digest;
        self.spec = Arc::clone(&spec);
        let limits = Limits::from(&*spec);
        for ticket in self.waiting(|call| !spec.answers_to(call.qualifier.as_deref())) {
            if let Some(mut call) = self.calls.remove(&ticket) {
                let error = self.no_such_version(&call);
                call.reply(Err(error));
                self.events.push_back(Event::Abandoned(ticket));
            }
        }
        self.events.push_back(Event::Defined { limits, replaced });
        self.overview.send_modify(|overview| overview.spec = spec);
        self.activity.send_replace(());
        self.steps();
    }

    fn asked(&mut self, id: InstanceId, asked: Asked) {
        match asked {
            Asked::Next(poll) => {
                let Some(seat) = self.seats.get_mut(&id) else {
                    return;
                };
                // Of two that wait at once, the first stays: to drop the one tells the other's runtime.
                if seat.poll.as_ref().is_none_or(oneshot::Sender::is_closed) {
                    seat.poll = Some(poll);
                    seat.starting = None;
                    let delivered = self.has_delivered(id);
                    self.step(Event::Polled { id, delivered });
                }
            }
            Asked::Answered(answered) => {
                let Answered { request_id, answer, accepted } = *answered;
                let call = self.pool.holds(id).and_then(|ticket| self.calls.get(&ticket));
                let is_right =
                    call.is_some_and(|call| call.invocation.request_id.as_str() == request_id);
                if is_right {
                    let streams = matches!(answer, Answer::Stream(_));
                    self.answer = Some(answer);
                    self.step(Event::Answered { id, streams });
                }
                // A server that does not wait for it has ended.
                let _ = accepted.send(is_right);
            }
            Asked::InitFailed(error) => self.step(Event::InitFailed(id, *error)),
        }
    }

    /// Without anything given nothing is undelivered.
    fn has_delivered(&self, id: InstanceId) -> bool {
        let delivered = self.seats.get(&id).and_then(|seat| seat.delivered.as_ref());
        delivered.is_none_or(|delivered| delivered.load(Ordering::Acquire))
    }

    /// Callers that went away while they waited make room.
    fn forget_abandoned(&mut self) {
        for ticket in self.waiting(Call::is_abandoned) {
            self.calls.remove(&ticket);
            self.events.push_back(Event::Abandoned(ticket));
        }
        self.steps();
    }

    fn waiting(&self, which: impl Fn(&Call) -> bool) -> Vec<Ticket> {
        let is_one = |ticket: &Ticket| self.calls.get(ticket).is_some_and(&which);
        self.pool.waiting().filter(is_one).collect()
    }

    /// A rush leaves room behind that an idle function does not need.
    fn give_memory_back(&mut self) {
        self.events.shrink_to_fit();
        self.pool.give_memory_back();
    }

    fn no_such_version(&self, call: &Call) -> InvokeError {
        let qualifier = call.qualifier.as_deref().unwrap_or_default();
        let target = format_args!("{}:{qualifier}", self.spec.name);
        no_such_version(target, &self.spec.version)
    }
}
