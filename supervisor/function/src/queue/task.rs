//! The one task that has the lines of all functions. It waits for events, for the end of its jobs and for the next moment
//! at which a line has something to do; while no event waits, for nothing that ticks.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::age::{Boots, Boottime, Note, duration, milliseconds};
use super::dead_letter::Condition;
use super::event::Event;
use super::job::{self, Done, Reply};
use super::line::{Line, Next};
use super::policy::{Outcome, Verdict};
use super::{DeadLetters, EventKey, EventLog, LogError, Stored};
use crate::{Clock, FunctionSpec, Functions, Health, InvokeError};

/// Bytes of events of all functions that are in memory for delivery.
const ROOM: usize = 16 * 1024 * 1024;

/// Events that are given up at once: each is in memory twice, and many may become too old together.
const BURIALS: usize = 4;

#[derive(Debug)]
pub(super) enum Message {
    Enqueue(Box<Enqueue>),
    Forget(Arc<str>, oneshot::Sender<Result<(), LogError>>),
    Finish(oneshot::Sender<()>),
}

#[derive(Debug)]
pub(super) struct Enqueue {
    pub spec: Arc<FunctionSpec>,
    pub event: Event,
    pub reply: Reply,
}

pub(super) struct Task<L, D, C> {
    functions: Functions,
    log: Arc<L>,
    dead_letters: Arc<D>,
    clock: C,
    messages: mpsc::Receiver<Message>,
    /// Why the last event was not stored.
    fault: watch::Sender<Option<String>>,
    /// Bytes of all events that wait or are being stored.
    size: u64,
    max_size: u64,
    changes: watch::Receiver<()>,
    lines: BTreeMap<Arc<str>, Line>,
    jobs: JoinSet<Done>,
    /// Each ends when a function that was stopped may not be any more.
    starts: JoinSet<Arc<str>>,
    room: Arc<Semaphore>,
    burials: Arc<Semaphore>,
    next_number: u64,
    /// Functions whose start is waited for.
    stopped: BTreeSet<Arc<str>>,
    /// Told when nothing is under way any more; nothing new is begun.
    finishing: Option<oneshot::Sender<()>>,
}

impl<L: EventLog, D: DeadLetters, C: Clock> Task<L, D, C> {
    pub fn new(
        functions: Functions,
        (log, dead_letters, clock): (Arc<L>, Arc<D>, C),
        messages: mpsc::Receiver<Message>,
        fault: watch::Sender<Option<String>>,
        max_size: u64,
    ) -> Self {
        let changes = functions.changes();
        Self {
            functions,
            log,
            dead_letters,
            clock,
            messages,
            fault,
            size: 0,
            max_size,
            changes,
            lines: BTreeMap::new(),
            jobs: JoinSet::new(),
            starts: JoinSet::new(),
            room: Arc::new(Semaphore::new(ROOM)),
            burials: Arc::new(Semaphore::new(BURIALS)),
            next_number: 0,
            stopped: BTreeSet::new(),
            finishing: None,
        }
    }

    /// `stored`: what waited when the daemon ended.
    pub async fn run(mut self, stored: Vec<Stored>) {
        self.take_up(stored);
        self.pump_all();
        loop {
            if self.finishing.is_some() && self.jobs.is_empty() {
                return;
            }
            let alarm = self.alarm();
            tokio::select! {
                message = self.messages.recv(), if self.finishing.is_none() => match message {
                    Some(message) => self.receive(message),
                    None => return,
                },
                Some(done) = self.jobs.join_next() => {
                    // A job that panicked is one that never ends: its event is taken up after the next start.
                    if let Ok(done) = done {
                        self.done(done);
                    }
                }
                Some(Ok(function)) = self.starts.join_next() => self.started(&function),
                // The sender lives as long as the functions do.
                Ok(()) = self.changes.changed() => self.pump_all(),
                () = sleep(&self.clock, alarm) => self.pump_all(),
            }
        }
    }

    fn take_up(&mut self, stored: Vec<Stored>) {
        let notes: Vec<Option<Note>> =
            stored.iter().map(|stored| Note::from_row(&stored.note)).collect();
        let this_boot = self.clock.boot_id().to_owned();
        let boots = Boots::new(&this_boot, notes.iter().flatten());
        let now = self.now();
        for (Stored { key, size, .. }, note) in stored.into_iter().zip(&notes) {
            self.next_number = self.next_number.max(key.number.saturating_add(1));
            let Some(note) = note else {
                self.jobs.spawn(job::remove(Arc::clone(&self.log), key));
                continue;
            };
            let carried = boots.carry_over(note);
            if let Some(note) = &carried {
                self.jobs.spawn(job::note(Arc::clone(&self.log), key.clone(), note.clone()));
            }
            let note = carried.unwrap_or_else(|| note.clone());
            self.size += size as u64;
            let since = Instant::now().checked_sub(duration(now.saturating_sub(note.born)));
            self.lines.entry(key.function).or_default().insert(key.number, note, size, since);
        }
    }

    fn receive(&mut self, message: Message) {
        match message {
            Message::Enqueue(enqueue) => self.enqueue(*enqueue),
            Message::Forget(function, done) => {
                if let Some(line) = self.lines.remove(&function) {
                    self.size = self.size.saturating_sub(line.size());
                }
                // What comes after this is of a function that is there again.
                let events = (function, self.next_number);
                self.jobs.spawn(job::clear(Arc::clone(&self.log), events, done));
            }
            Message::Finish(done) => {
                self.finishing = Some(done);
                self.messages.close();
            }
        }
    }

    fn enqueue(&mut self, Enqueue { spec, event, reply }: Enqueue) {
        let row = event.to_row();
        let size = row.len() as u64;
        if self.size + size > self.max_size {
            // A caller that went away does not want to know.
            let _ = reply.send(Err(no_room(self.max_size)));
            return;
        }
        let function: Arc<str> = spec.name.as_str().into();
        let line = self.lines.entry(Arc::clone(&function)).or_default();
        if !line.reserve(spec.queue.length) {
            // A caller that went away does not want to know.
            let _ = reply.send(Err(full(&spec)));
            return;
        }
        let key = EventKey { function, number: self.next_number };
        self.next_number += 1;
        let now = self.now();
        let note = Note {
            request_id: event.invocation.request_id.clone(),
            boot: self.clock.boot_id().to_owned(),
            born: now,
            tries: 0,
            due: now,
        };
        self.size += size;
        self.jobs.spawn(job::store(Arc::clone(&self.log), key, row, note, reply));
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Stored { key, note, size, result, reply } => {
                let result = result.map_err(|error| not_stored(&error));
                self.stored(key, note, size, &result);
                // A caller that went away does not want to know.
                let _ = reply.send(result);
            }
            Done::Tried { key, outcome } => {
                self.settle(&key, outcome);
                self.pump(&key.function);
            }
            Done::Removed(key) => {
                if let Some(line) = self.lines.get_mut(&key.function) {
                    self.size = self.size.saturating_sub(line.gone(key.number));
                }
                self.publish(&key.function);
            }
            Done::Other => {}
        }
    }

    fn stored(&mut self, key: EventKey, note: Note, size: usize, result: &Result<(), InvokeError>) {
        self.tell(result.as_ref().err().map(ToString::to_string));
        let Some(line) = self.lines.get_mut(&key.function) else {
            // The function was forgotten meanwhile, and perhaps before this was stored.
            self.size = self.size.saturating_sub(size as u64);
            self.jobs.spawn(job::remove(Arc::clone(&self.log), key));
            return;
        };
        line.release();
        match result {
            Ok(()) => line.insert(key.number, note, size, Some(Instant::now())),
            Err(_) => self.size = self.size.saturating_sub(size as u64),
        }
        self.pump(&key.function);
    }

    fn tell(&self, fault: Option<String>) {
        self.fault.send_if_modified(|told| {
            let is_new = *told != fault;
            *told = fault;
            is_new
        });
    }

    fn started(&mut self, function: &Arc<str>) {
        self.stopped.remove(function);
        if let Some(line) = self.lines.get_mut(function) {
            line.resume();
        }
        self.pump(function);
    }

    fn settle(&mut self, key: &EventKey, outcome: Outcome) {
        let now = self.now();
        let spec = self.spec(&key.function);
        let Some(line) = self.lines.get_mut(&key.function) else {
            return;
        };
        let Some(spec) = spec else {
            // It was removed meanwhile; what waits stays until that is final.
            return line.put_back(key.number, now);
        };
        let Some(verdict) = line.settle(key.number, &outcome, now, &spec.queue) else {
            return;
        };
        let note = line.note(key.number).cloned();
        match verdict {
            Verdict::Complete => {
                self.jobs.spawn(job::remove(Arc::clone(&self.log), key.clone()));
            }
            Verdict::Retry(_) => {
                if let Some(note) = note {
                    self.jobs.spawn(job::note(Arc::clone(&self.log), key.clone(), note));
                }
            }
            Verdict::Pause => {}
            Verdict::GiveUp(condition) => self.bury(&spec, key, condition, Some(outcome)),
        }
    }

    fn bury(
        &mut self,
        spec: &Arc<FunctionSpec>,
        key: &EventKey,
        condition: Condition,
        outcome: Option<Outcome>,
    ) {
        let Some(line) = self.lines.get_mut(&key.function) else {
            return;
        };
        line.gave_up();
        if let Some(note) = line.note(key.number).cloned() {
            self.jobs.spawn(job::bury(
                Arc::clone(&self.log),
                Arc::clone(&self.dead_letters),
                Arc::clone(&self.burials),
                self.functions.clone(),
                (Arc::clone(spec), key.clone(), note),
                (condition, outcome),
            ));
        }
    }

    fn pump_all(&mut self) {
        let functions: Vec<Arc<str>> = self.lines.keys().cloned().collect();
        for function in functions {
            self.pump(&function);
        }
    }

    /// Does what the line has to do now.
    fn pump(&mut self, function: &Arc<str>) {
        let Some(spec) = self.spec(function) else {
            return;
        };
        let now = self.now();
        let is_stopped = self.is_stopped(function);
        while let Some(line) = self.lines.get_mut(function)
            && self.finishing.is_none()
            && !is_stopped
            && let Some(next) = line.next(now, &spec)
        {
            match next {
                Next::Deliver { number, size, patience } => {
                    let key = EventKey { function: Arc::clone(function), number };
                    let (log, room) = (Arc::clone(&self.log), Arc::clone(&self.room));
                    let functions = self.functions.clone();
                    self.jobs.spawn(job::deliver(functions, log, room, key, (size, patience)));
                }
                Next::Expire { number } => {
                    let key = EventKey { function: Arc::clone(function), number };
                    self.bury(&spec, &key, Condition::EventAgeExceeded, None);
                }
            }
        }
        self.publish(function);
    }

    /// Nothing is tried of a function that its operator stopped, until it is started.
    fn is_stopped(&mut self, function: &Arc<str>) -> bool {
        let overview = self.functions.watch(function);
        let is_stopped =
            overview.is_some_and(|overview| overview.borrow().health == Health::Stopped);
        let has_events = self.lines.get(function).is_some_and(|line| !line.is_empty());
        if is_stopped && has_events && self.stopped.insert(Arc::clone(function)) {
            self.starts.spawn(job::await_start(self.functions.clone(), Arc::clone(function)));
        }
        is_stopped
    }

    fn publish(&self, function: &Arc<str>) {
        if let Some(line) = self.lines.get(function) {
            self.functions.queue_changed(function, line.metrics());
        }
    }

    fn alarm(&self) -> Option<Boottime> {
        let now = self.now();
        let lines = self.lines.iter().filter(|(_, line)| !line.is_empty());
        let alarms = lines.filter_map(|(function, line)| {
            line.alarm(now, &self.spec(function)?.queue)
                .filter(|_| !self.stopped.contains(function))
        });
        alarms.min().filter(|_| self.finishing.is_none())
    }

    fn spec(&self, function: &str) -> Option<Arc<FunctionSpec>> {
        self.functions.get(function)
    }

    fn now(&self) -> Boottime {
        milliseconds(self.clock.boottime())
    }
}

async fn sleep(clock: &impl Clock, alarm: Option<Boottime>) {
    match alarm {
        Some(at) => clock.sleep_until(duration(at)).await,
        None => pending().await,
    }
}

fn full(spec: &FunctionSpec) -> InvokeError {
    InvokeError::TooManyRequests(format!(
        "{}: {} events wait already; try again later, or raise maxQueueSize",
        spec.name, spec.queue.length
    ))
}

fn no_room(max_size: u64) -> InvokeError {
    InvokeError::TooManyRequests(format!(
        "the events of all functions that wait have {max_size} bytes already; try again later, or raise \
         function.queue-max-size"
    ))
}

fn not_stored(error: &LogError) -> InvokeError {
    InvokeError::Service(format!("the event was not stored: {error}"))
}
