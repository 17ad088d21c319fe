//! The task of one function: tells its pool what happens, and does what the pool says.
//!
//! It waits for messages and for the pool's alarm, and for nothing else: what takes time (opening, freezing, closing an
//! instance) runs beside it and comes back as a message. A function without instances has no timer.

mod act;
mod call;
mod finish;
mod publish;

use std::collections::{HashMap, VecDeque};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, Sleep, sleep_until};

pub(crate) use call::Call;

use crate::functions::Parts;
use crate::link::{Answered, Asked};
use crate::metrics::Overview;
use crate::pool::{Event, Limits, Pool, Ticket};
use crate::{
    Answer, Ended, FunctionSpec, InstanceId, Instances, InvokeError, LogTail, OpenError, Work,
};
use finish::PendingReport;

/// An invocation may wait for one that runs, and for a cold start: for so long where a function may take for ever.
const LONGEST_COLD_START: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) enum Message {
    Invoke(Box<Call>),
    Define(Arc<FunctionSpec>),
    Start,
    /// Answered when no instance is left.
    Stop(Box<(Stop, oneshot::Sender<()>)>),
    Reclaim,
    Asked(InstanceId, Asked),
    Opened(InstanceId, Box<Result<LogTail, OpenError>>),
    Ended(InstanceId, Box<Ended>),
    Froze(InstanceId, bool),
    Thawed(InstanceId, bool),
    Closed(InstanceId),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Stop {
    /// What runs may go on for so long.
    pub grace: Duration,
    /// And the function ends with it.
    pub remove: bool,
}

#[derive(Debug)]
pub(crate) struct Task<I> {
    instances: Arc<I>,
    spec: Arc<FunctionSpec>,
    pool: Pool,
    seats: HashMap<InstanceId, Seat>,
    calls: HashMap<Ticket, Call>,
    last_ticket: u64,
    messages: mpsc::Receiver<Message>,
    /// For what runs beside: weak, so that the function ends with its last handle.
    own: mpsc::WeakSender<Message>,
    overview: Arc<watch::Sender<Overview>>,
    spare: watch::Sender<()>,
    /// The pool's times count from here.
    origin: Instant,
    /// To be told when no instance of what was stopped is left.
    stopping: Vec<oneshot::Sender<()>>,
    is_removed: bool,
    /// What the runtime has just sent, until the pool has said whose it is.
    answer: Option<Answer>,
    /// Invocations that are over in this step, and whose memory is to be measured before an instance goes.
    reports: Vec<PendingReport>,
    /// What was found out while the pool's actions were carried out.
    events: VecDeque<Event>,
    /// Figures have changed since watchers were told.
    is_counted: bool,
}

/// An instance.
#[derive(Debug)]
struct Seat {
    /// What it was opened for.
    spec: Arc<FunctionSpec>,
    poll: Option<oneshot::Sender<Work>>,
    /// Whether the runtime has seen what it was given last.
    delivered: Option<Arc<AtomicBool>>,
    log_tail: LogTail,
    /// The most memory that it was seen to use: bytes.
    peak_memory: Arc<AtomicU64>,
    measured: Option<Instant>,
}

impl<I: Instances> Task<I> {
    pub fn new(instances: Arc<I>, parts: Parts) -> Self {
        let Parts { spec, first, messages, own, overview, spare } = parts;
        Self {
            instances,
            // Where the seed comes from does not matter, only that functions differ.
            pool: Pool::new(Limits::from(&*spec), first, first.0 ^ 0x9e37_79b9_7f4a_7c15),
            spec,
            seats: HashMap::new(),
            calls: HashMap::new(),
            last_ticket: 0,
            messages,
            own,
            overview,
            spare,
            origin: Instant::now(),
            stopping: vec![],
            is_removed: false,
            answer: None,
            reports: vec![],
            events: VecDeque::new(),
            is_counted: false,
        }
    }

    pub async fn run(mut self) {
        let mut alarm = pin!(sleep_until(self.origin));
        let mut armed = None;
        // A pinned function starts by itself.
        self.step(Event::Start);
        while !self.is_over() {
            self.arm(alarm.as_mut(), &mut armed);
            tokio::select! {
                message = self.messages.recv() => match message {
                    Some(message) => self.receive(message),
                    None => return,
                },
                () = &mut alarm, if armed.is_some() => {
                    armed = None;
                    self.step(Event::Tick);
                }
            }
        }
    }

    /// A timer that is set to an earlier time than needed stays: it comes once too often, which is cheaper than to set
    /// it twice for each invocation.
    fn arm(&self, alarm: std::pin::Pin<&mut Sleep>, armed: &mut Option<Instant>) {
        let due = self.pool.alarm(self.now()).map(|due| self.origin + due);
        match (due, *armed) {
            (None, _) => *armed = None,
            (Some(due), Some(earlier)) if earlier <= due => {}
            (Some(due), Some(_) | None) => {
                alarm.reset(due);
                *armed = Some(due);
            }
        }
    }

    fn is_over(&self) -> bool {
        self.is_removed && self.stopping.is_empty()
    }

    fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    fn receive(&mut self, message: Message) {
        match message {
            Message::Invoke(call) => self.invoke(*call),
            Message::Define(spec) => self.define(spec),
            Message::Start => self.step(Event::Start),
            Message::Stop(stop) => {
                let (Stop { grace, remove }, done) = *stop;
                self.stopping.push(done);
                self.is_removed |= remove;
                self.step(Event::Stop { grace });
            }
            Message::Reclaim => self.step(Event::Reclaim),
            Message::Asked(id, asked) => self.asked(id, asked),
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
            }
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
        let longest = self.spec.init_timeout.unwrap_or(LONGEST_COLD_START) + self.spec.timeout;
        let expires = call.is_impatient.then(|| self.now() + longest);
        self.calls.insert(ticket, call);
        self.step(Event::Invoked { ticket, expires });
    }

    fn define(&mut self, spec: Arc<FunctionSpec>) {
        let replaced = spec.digest != self.spec.digest;
        self.spec = Arc::clone(&spec);
        let limits = Limits::from(&*spec);
        let unanswered = self
            .calls
            .iter()
            .filter(|(_, call)| !call.is_running && !spec.answers_to(call.qualifier.as_deref()));
        let unanswered: Vec<Ticket> = unanswered.map(|(ticket, _)| *ticket).collect();
        for ticket in unanswered {
            if let Some(mut call) = self.calls.remove(&ticket) {
                self.events.push_back(Event::Abandoned(ticket));
                let error = self.no_such_version(&call);
                call.reply(Err(error));
            }
        }
        self.events.push_back(Event::Defined { limits, replaced });
        self.overview.send_modify(|overview| overview.spec = spec);
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
        let events = &mut self.events;
        self.calls.retain(|ticket, call| {
            let is_abandoned = !call.is_running && call.is_abandoned();
            if is_abandoned {
                events.push_back(Event::Abandoned(*ticket));
            }
            !is_abandoned
        });
        self.steps();
    }

    fn no_such_version(&self, call: &Call) -> InvokeError {
        let qualifier = call.qualifier.as_deref().unwrap_or_default();
        let target = format_args!("{}:{qualifier}", self.spec.name);
        crate::functions::no_such_version(target, &self.spec.version)
    }

    fn step(&mut self, event: Event) {
        self.events.push_back(event);
        self.steps();
    }

    fn steps(&mut self) {
        while let Some(event) = self.events.pop_front() {
            for action in self.pool.step(event, self.now()) {
                self.carry_out(action);
            }
            self.flush_reports();
        }
        let counts = self.publish();
        if counts.draining + counts.ending == 0 {
            for done in self.stopping.drain(..) {
                // Who does not wait for it needs no telling.
                let _ = done.send(());
            }
        }
    }
}
