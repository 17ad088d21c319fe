//! Runs the sources of all functions.

use std::collections::BTreeMap;
use std::future::pending;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
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
            match running.get(&spec.name) {
                Some(running) => running.becomes(spec),
                None if spec.sources.is_empty() => {}
                None => {
                    let name = spec.name.clone();
                    let function = Function {
                        name: name.clone(),
                        functions: functions.clone(),
                        events: events.clone(),
                        feeds: Arc::clone(&feeds),
                        clock: clock.clone(),
                    };
                    let (spec, specs) = watch::channel(spec);
                    let task = tokio::spawn(function.run(specs)).abort_handle();
                    running.insert(name, Running { spec, task });
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
    spec: watch::Sender<Arc<FunctionSpec>>,
    task: AbortHandle,
}

impl Running {
    fn becomes(&self, spec: Arc<FunctionSpec>) {
        self.spec.send_if_modified(|old| {
            let is_new = old.sources != spec.sources || old.arn != spec.arn;
            *old = spec;
            is_new
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A function that has, or had, sources.
struct Function<F, C> {
    name: String,
    functions: Functions,
    events: Events,
    feeds: Arc<F>,
    clock: C,
}

/// One source at work; it ends with this.
struct Listening {
    source: EventSource,
    arn: String,
    task: JoinHandle<()>,
}

impl Listening {
    /// Returns when nothing more is heard.
    async fn end(mut self) {
        self.task.abort();
        // How it ended does not matter.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<F: Feeds, C: Clock + Clone> Function<F, C> {
    /// What was heard is passed on, whatever becomes of the source that it is of.
    async fn run(self, specs: watch::Receiver<Arc<FunctionSpec>>) {
        let (heard, occurrences) = mpsc::channel(HEARD);
        tokio::select! {
            () = self.keep_up(specs, heard) => {}
            () = self.pass_on(occurrences) => {}
        }
    }

    /// Has the sources of the definition at work. One that is in the next definition too goes on: nothing is missed.
    async fn keep_up(
        &self,
        mut specs: watch::Receiver<Arc<FunctionSpec>>,
        heard: mpsc::Sender<Occurrence>,
    ) {
        let mut sources: Vec<Listening> = vec![];
        loop {
            let spec = Arc::clone(&specs.borrow_and_update());
            let mut wanted = spec.sources.clone();
            let mut is_kept = |old: &mut Listening| {
                let place = wanted.iter().position(|source| *source == old.source);
                place.filter(|_| old.arn == spec.arn).map(|place| wanted.remove(place)).is_some()
            };
            let ended: Vec<Listening> = sources.extract_if(.., |old| !is_kept(old)).collect();
            // The old ones end before the new ones begin, so that nothing is heard twice.
            for old in ended {
                old.end().await;
            }
            for source in wanted {
                let (spec, feeds) = (Arc::clone(&spec), Arc::clone(&self.feeds));
                let (clock, heard) = (self.clock.clone(), heard.clone());
                let arn = spec.arn.clone();
                let task = tokio::spawn(listen(spec, source.clone(), feeds, clock, heard));
                sources.push(Listening { source, arn, task });
            }
            if specs.changed().await.is_err() {
                return;
            }
        }
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
        let target = Target { function: self.name.clone(), qualifier: None };
        let event =
            Invocation { request_id, payload, client_context, trace_id: None, log_tail: false };
        self.events.submit(&target, event).await
    }

    fn count(&self, error: &InvokeError, lost: &mut Lost) {
        lost.count += 1;
        if lost.told.is_none_or(|at| at.elapsed() >= TELL_AGAIN) {
            let what = format!("{} events of its sources are lost, the last: {error}", lost.count);
            self.feeds.tell(&self.name, &what);
            *lost = Lost { count: 0, told: Some(Instant::now()) };
        }
    }

    fn is_stopped(&self) -> bool {
        let overview = self.functions.watch(&self.name);
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
