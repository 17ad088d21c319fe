//! All functions, as callers have them.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZero;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use crate::admit::{EVENT_LIMIT, PAYLOAD_LIMIT, admit};
use crate::metrics::{Overview, QueueMetrics, Standing};
use crate::task::{Call, Message, Stop, Stopped, Task};
use crate::{Completed, FunctionSpec, InstanceId, Instances, Invocation, InvokeError, Target};

/// What an invocation takes beside its payload, about.
const OVERHEAD: usize = 1024;

/// Messages to one function that were not looked at yet: senders wait.
const MESSAGES: usize = 32;

/// Instances of one daemon's life that a function can have before its numbers meet the next function's.
const IDS: u64 = 1 << 32;

/// What all functions together may take of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of all invocations that wait or run; at least as many as one may have.
    pub invocations: usize,
    /// Instances that start at once; at least one.
    pub starts: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        let processors = available_parallelism().map_or(1, NonZero::get);
        Self { invocations: 32 * 1024 * 1024, starts: 2 * processors }
    }
}

/// A handle: cheap to clone, and the functions live as long as one of them.
#[derive(Clone)]
pub struct Functions(Arc<Shared>);

struct Shared {
    spawn: Box<dyn Fn(Parts) + Send + Sync>,
    entries: Mutex<Entries>,
    /// Told whenever a function comes, goes or changes.
    changed: watch::Sender<()>,
    room: Arc<Semaphore>,
    /// Bytes that all invocations may have.
    max_room: usize,
    starts: Arc<Semaphore>,
    /// Told whenever the first idle instance of a function is there.
    spare: watch::Sender<()>,
    /// Told whenever an [`Overview`] has changed.
    activity: watch::Sender<()>,
}

#[derive(Default)]
struct Entries {
    by_name: BTreeMap<String, Entry>,
    made: u64,
}

#[derive(Debug, Clone)]
struct Entry {
    spec: Arc<FunctionSpec>,
    messages: mpsc::Sender<Message>,
    overview: Arc<watch::Sender<Overview>>,
    standing: watch::Receiver<Standing>,
}

/// What a function's task begins with.
pub(crate) struct Parts {
    pub spec: Arc<FunctionSpec>,
    pub first: InstanceId,
    pub messages: mpsc::Receiver<Message>,
    pub own: mpsc::WeakSender<Message>,
    pub overview: Arc<watch::Sender<Overview>>,
    pub standing: watch::Sender<Standing>,
    /// It begins as one that was stopped.
    pub is_stopped: bool,
    /// How many instances of all functions may start at once.
    pub starts: Arc<Semaphore>,
    /// To be told when it has an idle instance.
    pub spare: watch::Sender<()>,
    /// To be told when its overview has changed.
    pub activity: watch::Sender<()>,
}

impl Functions {
    /// To be called in a Tokio runtime, in which the functions then live.
    pub fn new<I: Instances>(instances: Arc<I>) -> Self {
        Self::within(Bounds::default(), instances)
    }

    /// To be called as [`Self::new`].
    pub fn within<I: Instances>(bounds: Bounds, instances: Arc<I>) -> Self {
        let invocations =
            bounds.invocations.clamp(PAYLOAD_LIMIT + OVERHEAD, Semaphore::MAX_PERMITS);
        let starts = bounds.starts.clamp(1, Semaphore::MAX_PERMITS);
        let runtime = tokio::runtime::Handle::current();
        let spawn = move |parts: Parts| {
            runtime.spawn(Task::new(Arc::clone(&instances), parts).run());
        };
        Self(Arc::new(Shared {
            spawn: Box::new(spawn),
            entries: Mutex::default(),
            changed: watch::Sender::new(()),
            room: Arc::new(Semaphore::new(invocations)),
            max_room: invocations,
            starts: Arc::new(Semaphore::new(starts)),
            spare: watch::Sender::new(()),
            activity: watch::Sender::new(()),
        }))
    }

    /// From here on the function is this. A new one is started, and if it is pinned gets its instance. Of one that was
    /// there, instances of another digest finish what they run and go, and what waits runs on the new ones.
    pub async fn define(&self, spec: FunctionSpec) {
        self.define_as(spec, false).await;
    }

    /// The same, but a new one is stopped until [`Self::start`].
    pub async fn define_stopped(&self, spec: FunctionSpec) {
        self.define_as(spec, true).await;
    }

    async fn define_as(&self, spec: FunctionSpec, is_stopped: bool) {
        let spec = Arc::new(spec);
        let known = {
            let mut entries = self.entries();
            let known = entries.by_name.get_mut(&spec.name).map(|entry| {
                entry.spec = Arc::clone(&spec);
                entry.messages.clone()
            });
            if known.is_none() {
                let first = InstanceId(entries.made * IDS);
                entries.made += 1;
                let entry = self.spawn(&spec, first, is_stopped);
                entries.by_name.insert(spec.name.clone(), entry);
            }
            known
        };
        if let Some(messages) = known {
            // Removed meanwhile: then that is what came last.
            let _ = messages.send(Message::Define(spec)).await;
        }
        self.0.changed.send_replace(());
    }

    /// The function is not found any more. What runs may go on for `grace`. Returns when no instance is left.
    pub async fn remove(&self, name: &str, grace: Duration) {
        let removed = self.entries().by_name.remove(name);
        self.0.changed.send_replace(());
        if let Some(entry) = removed {
            entry.stop(Stop { grace, what: Stopped::Removed }).await;
        }
    }

    /// Invocations are refused from here on, what waits included; what runs may go on for `grace`. Returns when no
    /// instance is left. A function that is not there is stopped.
    pub async fn stop(&self, name: &str, grace: Duration) {
        self.stop_as(name, Stop { grace, what: Stopped::Waits }).await;
    }

    /// The same for a function that is about to be removed: callers are told that it does not exist any more.
    pub async fn retire(&self, name: &str, grace: Duration) {
        self.stop_as(name, Stop { grace, what: Stopped::Leaves }).await;
    }

    async fn stop_as(&self, name: &str, stop: Stop) {
        if let Ok(entry) = self.named(name) {
            entry.stop(stop).await;
        }
    }

    /// After [`Self::stop`]; of one that fails to start, tries it again at once.
    pub async fn start(&self, name: &str) -> Result<(), InvokeError> {
        let entry = self.named(name)?;
        entry.messages.send(Message::Start).await.map_err(|_| not_found(name))
    }

    /// Runs the function. The answer is the function's, failures included; an error says that it did not run, or
    /// that the machine failed it.
    pub async fn invoke(
        &self,
        target: &Target,
        invocation: Invocation,
    ) -> Result<Completed, InvokeError> {
        let entry = self.resolve(target)?;
        let invocation = admit(&entry.spec, invocation, PAYLOAD_LIMIT)?;
        let room = Arc::clone(&self.0.room);
        let Ok(room) = room.try_acquire_many_owned(weight(&invocation)) else {
            entry.overview.send_modify(|overview| overview.metrics.throttles += 1);
            self.0.activity.send_replace(());
            return Err(InvokeError::TooManyRequests(format!(
                "the payloads of all invocations that wait or run would have more than {} bytes; try again later, or \
                 raise function.invocations-max-size",
                self.0.max_room
            )));
        };
        entry.call(target, invocation, None, room).await
    }

    /// Runs the function of that name for an event from the durable queue: like [`Self::invoke`], but it waits for its
    /// turn as long as the caller says. One that drops the future before an instance has the event has not delivered it.
    pub async fn deliver(
        &self,
        target: &Target,
        invocation: Invocation,
        patience: Duration,
    ) -> Result<Completed, InvokeError> {
        let entry = self.named(&target.function)?.fitting(target)?;
        let invocation = admit(&entry.spec, invocation, EVENT_LIMIT)?;
        let room = Arc::clone(&self.0.room).acquire_many_owned(weight(&invocation));
        let room = room.await.map_err(|closed| InvokeError::Service(closed.to_string()))?;
        entry.call(target, invocation, Some(patience), room).await
    }

    /// What may become an event of the function, in the form in which [`Self::deliver`] takes it.
    pub fn admit_event(
        &self,
        target: &Target,
        invocation: Invocation,
    ) -> Result<Invocation, InvokeError> {
        admit(&self.resolve(target)?.spec, invocation, EVENT_LIMIT)
    }

    pub fn find(&self, target: &Target) -> Result<Arc<FunctionSpec>, InvokeError> {
        Ok(self.resolve(target)?.spec)
    }

    /// The function of that name. Other names of it, as [`Self::find`] knows them, may be another's tomorrow.
    pub fn get(&self, name: &str) -> Option<Arc<FunctionSpec>> {
        self.named(name).ok().map(|entry| entry.spec)
    }

    /// By name.
    pub fn list(&self) -> Vec<Arc<FunctionSpec>> {
        self.entries().by_name.values().map(|entry| Arc::clone(&entry.spec)).collect()
    }

    pub fn watch(&self, name: &str) -> Option<watch::Receiver<Overview>> {
        Some(self.entries().by_name.get(name)?.overview.subscribe())
    }

    /// As [`Self::watch`], but told only of what it says.
    pub fn watch_standing(&self, name: &str) -> Option<watch::Receiver<Standing>> {
        Some(self.entries().by_name.get(name)?.standing.clone())
    }

    /// Told whenever [`Self::list`] may have changed.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.0.changed.subscribe()
    }

    /// Told whenever an [`Overview`] of [`Self::watch`] has changed.
    pub fn activity(&self) -> watch::Receiver<()> {
        self.0.activity.subscribe()
    }

    /// For the queue, of whose events nothing is known here.
    pub fn queue_changed(&self, name: &str, queue: QueueMetrics) {
        if let Some(entry) = self.entries().by_name.get(name) {
            let is_new = entry.overview.send_if_modified(|overview| {
                let is_new = overview.metrics.queue != queue;
                overview.metrics.queue = queue;
                is_new
            });
            if is_new {
                self.0.activity.send_replace(());
            }
        }
    }

    /// Ends the instance that has been idle for the longest of all. Whether there was one.
    pub(crate) async fn reclaim(&self) -> bool {
        let longest_idle = {
            let entries = self.entries();
            let idle = entries.by_name.values().filter_map(|entry| {
                let since: Instant = entry.overview.borrow().longest_idle?;
                Some((since, entry.messages.clone()))
            });
            idle.min_by_key(|(since, _)| *since)
        };
        match longest_idle {
            Some((_, messages)) => messages.send(Message::Reclaim).await.is_ok(),
            None => false,
        }
    }

    /// Waits until there is an instance that [`Self::reclaim`] could end.
    pub(crate) async fn spare(&self) {
        let mut spare = self.0.spare.subscribe();
        loop {
            spare.mark_unchanged();
            let has_spare = self.entries().by_name.values().any(Entry::has_spare);
            // The sender lives in this handle.
            if has_spare || spare.changed().await.is_err() {
                return;
            }
        }
    }

    fn spawn(&self, spec: &Arc<FunctionSpec>, first: InstanceId, is_stopped: bool) -> Entry {
        let (messages, received) = mpsc::channel(MESSAGES);
        let overview = Overview::new(Arc::clone(spec), is_stopped);
        let (digest, health) = (spec.digest.clone(), overview.health.clone());
        let (standing, watched) = watch::channel(Standing { digest, health });
        let overview = Arc::new(watch::Sender::new(overview));
        (self.0.spawn)(Parts {
            spec: Arc::clone(spec),
            first,
            messages: received,
            own: messages.downgrade(),
            overview: Arc::clone(&overview),
            standing,
            is_stopped,
            starts: Arc::clone(&self.0.starts),
            spare: self.0.spare.clone(),
            activity: self.0.activity.clone(),
        });
        Entry { spec: Arc::clone(spec), messages, overview, standing: watched }
    }

    fn named(&self, name: &str) -> Result<Entry, InvokeError> {
        self.entries().by_name.get(name).cloned().ok_or_else(|| not_found(name))
    }

    /// By its name, its ARN or last parts of that: `name`, `account:function:name`.
    fn entry(&self, function: &str) -> Result<Entry, InvokeError> {
        let entries = self.entries();
        if let Some(entry) = entries.by_name.get(function) {
            return Ok(entry.clone());
        }
        let is_arn_of = |arn: &str| {
            let before = arn.strip_suffix(function);
            before.is_some_and(|before| before.is_empty() || before.ends_with(':'))
        };
        let mut by_arn = entries.by_name.values().filter(|entry| is_arn_of(&entry.spec.arn));
        let found = by_arn.next().ok_or_else(|| not_found(function))?;
        match by_arn.next() {
            None => Ok(found.clone()),
            Some(other) => Err(not_found(&format!(
                "{function} may be {} or {}; name one of them",
                found.spec.name, other.spec.name
            ))),
        }
    }

    fn resolve(&self, target: &Target) -> Result<Entry, InvokeError> {
        self.entry(&target.function)?.fitting(target)
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// This, if it goes by the qualifier that is asked for.
    fn fitting(self, target: &Target) -> Result<Self, InvokeError> {
        match self.spec.answers_to(target.qualifier.as_deref()) {
            true => Ok(self),
            false => Err(no_such_version(target, &self.spec.version)),
        }
    }

    async fn call(
        self,
        target: &Target,
        invocation: Invocation,
        patience: Option<Duration>,
        room: OwnedSemaphorePermit,
    ) -> Result<Completed, InvokeError> {
        let (reply, answer) = oneshot::channel();
        let qualifier = target.qualifier.clone();
        let call = Call::new(invocation, qualifier, patience, reply, room);
        let gone = |_| not_found(&target.function);
        self.messages.send(Message::Invoke(Box::new(call))).await.map_err(|_| gone(()))?;
        answer.await.map_err(|_| gone(()))?
    }

    fn has_spare(&self) -> bool {
        self.overview.borrow().longest_idle.is_some()
    }

    async fn stop(&self, stop: Stop) {
        let (done, stopped) = oneshot::channel();
        if self.messages.send(Message::Stop(Box::new((stop, done)))).await.is_ok() {
            // It is gone, if it does not answer.
            let _ = stopped.await;
        }
    }
}

fn weight(invocation: &Invocation) -> u32 {
    // Payloads are limited far below.
    u32::try_from(invocation.payload.len() + OVERHEAD).unwrap_or(u32::MAX)
}

fn not_found(function: &str) -> InvokeError {
    InvokeError::ResourceNotFound(function.to_owned())
}

pub(crate) fn no_such_version(target: impl fmt::Display, deployed: &str) -> InvokeError {
    InvokeError::ResourceNotFound(format!("{target} (version {deployed} is deployed)"))
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.entries().by_name.keys()).finish()
    }
}
