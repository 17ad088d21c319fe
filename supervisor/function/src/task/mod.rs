//! The task of one function: tells its pool what happens, and does what the pool says.
//!
//! It waits for messages and for the pool's alarm, and for nothing else: what takes time (opening, freezing, closing an
//! instance) runs beside it and comes back as a message. A function without instances has no timer.

mod act;
mod call;
mod finish;
mod publish;
mod receive;

use std::collections::{BTreeMap, VecDeque};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::time::{Instant, Sleep, sleep_until};

pub(crate) use call::Call;

use crate::functions::Parts;
use crate::link::Asked;
use crate::log_tail::Capture;
use crate::metrics::{Overview, Standing};
use crate::pool::{Event, Limits, Pool, Ticket};
use crate::{Answer, Ended, FunctionSpec, InstanceId, Instances, LogTail, OpenError, Work};
use finish::PendingReport;

#[derive(Debug)]
pub(crate) enum Message {
    Invoke(Box<Call>),
    Define(Arc<FunctionSpec>),
    Start,
    /// Answered when no instance is left.
    Stop(Box<(Stop, oneshot::Sender<()>)>),
    Reclaim,
    /// It may be opened for as long as the permit is kept.
    Admitted(InstanceId, Option<OwnedSemaphorePermit>),
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
    pub what: Stopped,
}

/// What becomes of a function that is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// It may be started again.
    Waits,
    /// It is about to be removed.
    Leaves,
    /// The function ends with it.
    Removed,
}

#[derive(Debug)]
pub(crate) struct Task<I> {
    instances: Arc<I>,
    spec: Arc<FunctionSpec>,
    pool: Pool,
    seats: BTreeMap<InstanceId, Seat>,
    calls: BTreeMap<Ticket, Call>,
    last_ticket: u64,
    messages: mpsc::Receiver<Message>,
    /// For what runs beside: weak, so that the function ends with its last handle.
    own: mpsc::WeakSender<Message>,
    overview: Arc<watch::Sender<Overview>>,
    standing: watch::Sender<Standing>,
    /// How many instances of all functions may start at once.
    starts: Arc<Semaphore>,
    /// Those that may be opened, until the pool has said whether they are.
    turns: Vec<(InstanceId, OwnedSemaphorePermit)>,
    spare: watch::Sender<()>,
    activity: watch::Sender<()>,
    /// The pool's times count from here.
    origin: Instant,
    /// To be told when no instance of what was stopped is left.
    stopping: Vec<oneshot::Sender<()>>,
    stopped: Stopped,
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
    /// Tells its link by being dropped that it has been closed.
    _present: watch::Sender<()>,
    /// Tells by being dropped that another instance may start.
    starting: Option<oneshot::Sender<()>>,
    poll: Option<oneshot::Sender<Work>>,
    /// Whether the runtime has seen what it was given last.
    delivered: Option<Arc<AtomicBool>>,
    log_tail: LogTail,
    /// Of what it works on, where the caller wants the log.
    capture: Option<Capture>,
    /// The most memory that it was seen to use: bytes.
    peak_memory: Arc<AtomicU64>,
    measured: Option<Instant>,
}

impl<I: Instances> Task<I> {
    pub fn new(instances: Arc<I>, parts: Parts) -> Self {
        let Parts {
            spec,
            first,
            messages,
            own,
            overview,
            standing,
            is_stopped,
            starts,
            spare,
            activity,
        } = parts;
        // A pinned function starts by itself.
        let first_event = match is_stopped {
            true => Event::Stop { grace: Duration::ZERO },
            false => Event::Start,
        };
        Self {
            instances,
            // Where the seed comes from does not matter, only that functions differ.
            pool: Pool::new(Limits::from(&*spec), first, first.0 ^ 0x9e37_79b9_7f4a_7c15),
            spec,
            seats: BTreeMap::new(),
            calls: BTreeMap::new(),
            last_ticket: 0,
            messages,
            own,
            overview,
            standing,
            starts,
            turns: vec![],
            spare,
            activity,
            origin: Instant::now(),
            stopping: vec![],
            stopped: Stopped::Waits,
            answer: None,
            reports: vec![],
            events: [first_event].into(),
            is_counted: false,
        }
    }

    pub async fn run(mut self) {
        let mut alarm = pin!(sleep_until(self.origin));
        let mut armed = None;
        self.steps();
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
        self.stopped == Stopped::Removed && self.stopping.is_empty()
    }

    fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    fn step(&mut self, event: Event) {
        self.events.push_back(event);
        self.steps();
    }

    fn steps(&mut self) {
        while let Some(event) = self.events.pop_front() {
            let admitted = event.admitted();
            for action in self.pool.step(event, self.now()) {
                self.carry_out(action);
            }
            // Of one that is not needed any more nothing was opened.
            self.turns.retain(|(id, _)| Some(*id) != admitted);
            self.write_reports();
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
