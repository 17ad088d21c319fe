//! Runs the sources of all functions.

use std::collections::BTreeMap;
use std::future::pending;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep};

use super::{Broker, Feeds, Occurrence, Schedule, SourceFault, file, scheduled};
use crate::{
    Clock, EventSource, Events, FunctionSpec, Functions, Health, Invocation, InvokeError,
    RequestId, Target,
};

/// Occurrences of one function that are not on their way to the disk yet: sources wait.
const HEARD: usize = 16;

/// Events of one function that are on their way to the disk.
const UNDER_WAY: usize = 64;

/// A source that failed is tried again after so long.
const TRY_AGAIN: Duration = Duration::from_secs(60);

/// That events are lost is told no more often.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// Events that could not be queued.
#[derive(Debug, Default)]
struct Lost {
    /// Since it was told.
    count: u64,
    told: Option<Instant>,
}

/// Starts and ends sources as functions come, change and go.
pub async fn feed<F: Feeds, C: Clock + Clone>(
    functions: Functions,
    events: Events,
    feeds: Arc<F>,
    clock: C,
) {
    let mut changes = functions.changes();
    let mut running = BTreeMap::<String, Running>::new();
    loop {
        changes.mark_unchanged();
        let specs = functions.list();
        running.retain(|name, _| specs.iter().any(|spec| spec.name == *name));
        for spec in specs {
            let is_same = running.get(&spec.name).is_some_and(|running| running.is_of(&spec));
            if !is_same {
                // The old ones end before the new ones begin, so that nothing is heard twice.
                running.remove(&spec.name);
                let function = Function {
                    spec: Arc::clone(&spec),
                    functions: functions.clone(),
                    events: events.clone(),
                    feeds: Arc::clone(&feeds),
                    clock: clock.clone(),
                };
                if !spec.sources.is_empty() {
                    let task = tokio::spawn(function.run()).abort_handle();
                    running.insert(spec.name.clone(), Running { spec, task });
                }
            }
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// Ends with this.
#[derive(Debug)]
struct Running {
    spec: Arc<FunctionSpec>,
    task: AbortHandle,
}

impl Running {
    fn is_of(&self, spec: &FunctionSpec) -> bool {
        self.spec.sources == spec.sources && self.spec.arn == spec.arn
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A function that has sources.
struct Function<F, C> {
    spec: Arc<FunctionSpec>,
    functions: Functions,
    events: Events,
    feeds: Arc<F>,
    clock: C,
}

impl<F: Feeds, C: Clock + Clone> Function<F, C> {
    async fn run(self) {
        let (heard, occurrences) = mpsc::channel(HEARD);
        let mut sources = JoinSet::new();
        for source in self.spec.sources.clone() {
            let (spec, feeds) = (Arc::clone(&self.spec), Arc::clone(&self.feeds));
            let (clock, heard) = (self.clock.clone(), heard.clone());
            sources.spawn(listen(spec, source, feeds, clock, heard));
        }
        drop(heard);
        self.pass_on(occurrences).await;
    }

    /// In the order in which things happened, but without a wait for the disk between them.
    async fn pass_on(&self, mut occurrences: mpsc::Receiver<Occurrence>) {
        let mut under_way = JoinSet::new();
        let mut lost = Lost::default();
        loop {
            let result = tokio::select! {
                occurrence = occurrences.recv(), if under_way.len() < UNDER_WAY => match occurrence {
                    // A stopped function hears nothing, as a stopped component would.
                    Some(_) if self.is_stopped() => continue,
                    Some(occurrence) => match self.submit(occurrence).await {
                        Ok(receipt) => {
                            under_way.spawn(receipt.stored());
                            continue;
                        }
                        Err(error) => Err(error),
                    },
                    None => return,
                },
                Some(Ok(stored)) = under_way.join_next() => stored,
            };
            if let Err(error) = result {
                self.count(&error, &mut lost);
            }
        }
    }

    async fn submit(&self, occurrence: Occurrence) -> Result<crate::Receipt, InvokeError> {
        let Occurrence { payload, client_context } = occurrence;
        let request_id =
            RequestId::generate().map_err(|error| InvokeError::Service(error.to_string()))?;
        let target = Target { function: self.spec.name.clone(), qualifier: None };
        let event =
            Invocation { request_id, payload, client_context, trace_id: None, log_tail: false };
        self.events.submit(&target, event).await
    }

    fn count(&self, error: &InvokeError, lost: &mut Lost) {
        lost.count += 1;
        if lost.told.is_none_or(|at| at.elapsed() >= TELL_AGAIN) {
            let what = format!("{} events of its sources are lost, the last: {error}", lost.count);
            self.feeds.tell(&self.spec.name, &what);
            *lost = Lost { count: 0, told: Some(Instant::now()) };
        }
    }

    fn is_stopped(&self) -> bool {
        let overview = self.functions.watch(&self.spec.name);
        overview.is_none_or(|overview| overview.borrow().health == Health::Stopped)
    }
}

/// One source, for as long as the function has it.
async fn listen<F: Feeds, C: Clock>(
    spec: Arc<FunctionSpec>,
    source: EventSource,
    feeds: Arc<F>,
    clock: C,
    heard: mpsc::Sender<Occurrence>,
) {
    let mut told = None;
    loop {
        let fault = run(&spec, &source, &*feeds, &clock, heard.clone()).await;
        if told.as_ref() != Some(&fault) {
            feeds.tell(&spec.name, &format!("no events of {}: {fault}", describe(&source)));
        }
        match fault {
            SourceFault::Unusable(_) => return pending().await,
            SourceFault::Failing(_) => sleep(TRY_AGAIN).await,
        }
        told = Some(fault);
    }
}

async fn run<F: Feeds, C: Clock>(
    spec: &FunctionSpec,
    source: &EventSource,
    feeds: &F,
    clock: &C,
    heard: mpsc::Sender<Occurrence>,
) -> SourceFault {
    match source {
        EventSource::Topic { filter } => feeds.messages(spec, Broker::Local, filter, heard).await,
        EventSource::IotCore { filter } => {
            feeds.messages(spec, Broker::IotCore, filter, heard).await
        }
        EventSource::Schedule { expression, input } => match expression.parse::<Schedule>() {
            Ok(schedule) => scheduled::run(spec, &schedule, input.as_deref(), clock, heard).await,
            Err(error) => SourceFault::Unusable(error.to_string()),
        },
        EventSource::File { path } => match feeds.place(spec, Path::new(path)) {
            Ok(place) => file::watch(&place, path, heard).await,
            Err(fault) => fault,
        },
    }
}

fn describe(source: &EventSource) -> String {
    match source {
        EventSource::Topic { filter } => format!("topic {filter:?}"),
        EventSource::IotCore { filter } => format!("IoT Core topic {filter:?}"),
        EventSource::Schedule { expression, .. } => format!("schedule {expression:?}"),
        EventSource::File { path } => format!("file {}", path.display()),
    }
}
