//! Carries out what the pool says.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{Message, Seat, Stopped, Task};
use crate::metrics::Counts;
use crate::pool::{Action, Event, NotGiven, Refusal, Ticket};
use crate::report::{self, InitReport};
use crate::{Answer, Completed, Ended, InstanceId, InstanceLink, Instances, InvokeError, Work};

/// A runtime that has not asked for work by then initializes beside the next one: others are not to wait for one that
/// hangs.
const LONGEST_START: Duration = Duration::from_secs(3);

impl<I: Instances> Task<I> {
    pub(super) fn carry_out(&mut self, action: Action) {
        match action {
            Action::Queue(id) => self.queue(id),
            Action::Open(id) => self.open(id),
            Action::Freeze(id) => self.beside(move |instances| async move {
                Message::Froze(id, instances.freeze(id).await.is_ok())
            }),
            Action::Thaw(id) => self.beside(move |instances| async move {
                Message::Thawed(id, instances.thaw(id).await.is_ok())
            }),
            Action::Close(id) => self.close(id),
            Action::Give { id, ticket } => {
                if let Err(why) = self.give(id, ticket) {
                    self.events.push_back(Event::NotGiven { id, why });
                }
            }
            Action::Refuse { ticket, why } => self.refuse(ticket, &why),
            Action::Stream { id, ticket } => self.stream(id, ticket),
            Action::Finish { id, ticket, outcome, duration, init } => {
                self.finish(id, ticket, outcome, duration, init);
            }
            Action::ReportInit { fault, duration } => {
                self.log(&InitReport { duration, fault: &fault }.to_string());
                self.log(&fault.to_string());
            }
        }
    }

    /// Runs it to its end, and takes what it says as a message.
    fn beside<F>(&self, work: impl FnOnce(Arc<I>) -> F)
    where
        F: Future<Output = Message> + Send + 'static,
    {
        let work = work(Arc::clone(&self.instances));
        let own = self.own.clone();
        tokio::spawn(async move {
            let message = work.await;
            if let Some(own) = own.upgrade() {
                // A function that is gone needs no news.
                let _ = own.send(message).await;
            }
        });
    }

    fn queue(&mut self, id: InstanceId) {
        let starts = Arc::clone(&self.starts);
        match Arc::clone(&starts).try_acquire_owned() {
            Ok(turn) => {
                self.turns.push((id, turn));
                self.events.push_back(Event::Admitted(id));
            }
            Err(_) => self.beside(move |_| async move {
                // It is never closed.
                Message::Admitted(id, starts.acquire_owned().await.ok())
            }),
        }
    }

    fn open(&mut self, id: InstanceId) {
        let Some(own) = self.own.upgrade() else {
            return;
        };
        let turn = self.turns.iter().position(|(turn, _)| *turn == id);
        let turn = turn.map(|place| self.turns.swap_remove(place));
        self.count(|metrics| metrics.cold_starts += 1);
        let (link, present) = InstanceLink::new(id, own.clone());
        let (starting, started) = oneshot::channel();
        self.seats.insert(id, Seat::new(Arc::clone(&self.spec), present, starting));
        let (instances, spec) = (Arc::clone(&self.instances), Arc::clone(&self.spec));
        let own = own.downgrade();
        tokio::spawn(async move {
            // The seat drops the other end, which is as good as telling.
            let _ = timeout(LONGEST_START, started).await;
            drop(turn);
        });
        tokio::spawn(async move {
            let say = async |message| {
                if let Some(own) = own.upgrade() {
                    // A function that is gone needs no news.
                    let _ = own.send(message).await;
                }
            };
            match instances.open(&spec, link).await {
                Ok(instance) => {
                    say(Message::Opened(id, Box::new(Ok(instance.log_tail)))).await;
                    let gone = |_| Ended::Gone("nobody looks after it any more".to_owned());
                    let ended = instance.ended.await.unwrap_or_else(gone);
                    say(Message::Ended(id, Box::new(ended))).await;
                }
                Err(error) => say(Message::Opened(id, Box::new(Err(error)))).await,
            }
        });
    }

    fn close(&mut self, id: InstanceId) {
        self.has_started(id);
        let report = self.take_report(id);
        self.beside(move |instances| async move {
            if let Some(report) = report {
                report.write(&*instances).await;
            }
            instances.close(id).await;
            Message::Closed(id)
        });
    }

    fn give(&mut self, id: InstanceId, ticket: Ticket) -> Result<(), NotGiven> {
        let is_abandoned = self.calls.get(&ticket).is_none_or(|call| call.is_abandoned());
        if is_abandoned {
            self.calls.remove(&ticket);
            return Err(NotGiven::Unwanted);
        }
        let (Some(call), Some(seat)) = (self.calls.get(&ticket), self.seats.get_mut(&id)) else {
            return Err(NotGiven::HungUp);
        };
        let poll = seat.poll.take().ok_or(NotGiven::HungUp)?;
        let arn = match &call.qualifier {
            Some(qualifier) => format!("{}:{qualifier}", seat.spec.arn),
            None => seat.spec.arn.clone(),
        };
        let (work, delivered) = Work::new(&call.invocation, arn, deadline(self.spec.timeout));
        seat.capture = call.invocation.log_tail.then(|| seat.log_tail.capture());
        poll.send(work).map_err(|_| NotGiven::HungUp)?;
        seat.delivered = Some(delivered);
        let line = report::start(&call.invocation.request_id, &seat.spec.version);
        self.instances.log(&self.spec.name, &line);
        Ok(())
    }

    /// Another instance may start.
    pub(super) fn has_started(&mut self, id: InstanceId) {
        if let Some(seat) = self.seats.get_mut(&id) {
            seat.starting = None;
        }
    }

    /// The end of a stream is told by its own channel, so the caller has nothing more to wait for here.
    fn stream(&mut self, id: InstanceId, ticket: Ticket) {
        let Some(answer) = self.answer.take() else {
            return;
        };
        if let (Some(call), Some(seat)) = (self.calls.get_mut(&ticket), self.seats.get(&id)) {
            let executed_version = seat.spec.version.clone();
            call.reply(Ok(Completed { answer, executed_version, log_tail: None }));
        }
    }

    fn refuse(&mut self, ticket: Ticket, why: &Refusal) {
        let Some(mut call) = self.calls.remove(&ticket) else {
            return;
        };
        let name = &self.spec.name;
        let error = match why {
            Refusal::Full { waiting } => InvokeError::TooManyRequests(format!(
                "{name}: {waiting} invocations wait already; try again later, or raise maxQueueSize"
            )),
            Refusal::Expired => InvokeError::TooManyRequests(self.why_none_came()),
            Refusal::Stopped => match self.stopped {
                Stopped::Waits => InvokeError::ResourceConflict(format!(
                    "{name} is stopped; start it, or see in its status what it waits for"
                )),
                Stopped::Leaves | Stopped::Removed => {
                    InvokeError::ResourceNotFound(format!("{name} does not exist any more"))
                }
            },
            Refusal::Failing(fault) => {
                self.count(|metrics| {
                    metrics.invocations += 1;
                    metrics.errors += 1;
                });
                let answer = fault.answer(&call.invocation.request_id);
                call.reply(answer.map(|error| Completed {
                    answer: Answer::Failure(error),
                    executed_version: self.spec.version.clone(),
                    log_tail: None,
                }));
                return;
            }
        };
        if let InvokeError::TooManyRequests(_) = error {
            self.count(|metrics| metrics.throttles += 1);
        }
        call.reply(Err(error));
    }

    fn why_none_came(&self) -> String {
        let name = &self.spec.name;
        let counts = self.pool.counts();
        match counts {
            Counts { busy: 0, draining: 0, starting: 1.., .. } => format!(
                "{name}: no instance has asked for an event yet, they still initialize (see the function's log) or wait \
                 for those of other functions; see also function.concurrent-starts"
            ),
            Counts { busy: 0, draining: 0, ending: 1.., .. } => format!(
                "{name}: {} instances are still being closed (see the daemon's journal), and no other one became free in time",
                counts.ending
            ),
            _ => format!(
                "{name}: no instance became free in time, {} of at most {} are busy; try again later, or raise maxInstancesCount",
                counts.busy + counts.draining,
                self.spec.max_instances
            ),
        }
    }

    pub(super) fn log(&self, line: &str) {
        self.instances.log(&self.spec.name, line);
    }
}

/// Milliseconds since 1970: the runtime reckons with the same clock.
fn deadline(timeout: Duration) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from((now + timeout).as_millis()).unwrap_or(u64::MAX)
}
