//! A control that does nothing but keep books: deployments succeed unless a name ends in `Broken`,
//! and what changes a component ends at once unless its name ends in `Stuck`.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use hedgerow_api::{
    ComponentState, Error, JobError, JobKind, JobResult, JobState, Moment, Progress,
};
use hedgerow_daemon::bus::{
    Caller, ComponentView, Control, Delivery, DeployRequest, JobId, JobView, Snapshot, Subscription,
};
use tokio::sync::{broadcast, watch};

/// How many messages a slow subscriber may be behind.
const QUEUE: usize = 16;

#[derive(Debug)]
pub struct Simulated {
    /// What a test changes, the daemon seems to have changed by itself.
    pub snapshot: watch::Sender<Snapshot>,
    messages: broadcast::Sender<Delivery>,
    logs: Mutex<BTreeMap<String, Log>>,
    last_job: AtomicU64,
    clock: AtomicU64,
}

#[derive(Debug, Default)]
struct Log {
    lines: Vec<String>,
    followers: Vec<UnixStream>,
}

impl Log {
    fn append(&mut self, line: String) {
        self.followers.retain_mut(|follower| writeln!(follower, "{line}").is_ok());
        self.lines.push(line);
    }
}

impl Simulated {
    pub fn new() -> Self {
        Self {
            snapshot: watch::Sender::default(),
            messages: broadcast::Sender::new(QUEUE),
            logs: Mutex::default(),
            last_job: AtomicU64::new(0),
            clock: AtomicU64::new(1),
        }
    }

    fn now(&self) -> Moment {
        let boottime = self.clock.fetch_add(1_000_000_000, Ordering::Relaxed);
        Moment { boot_id: "simulated".into(), boottime, realtime: 1_800_000_000_000_000_000 }
    }

    fn log(&self, component: &str, line: &str) {
        let mut logs = self.logs.lock().expect("no holder panics");
        logs.entry(component.to_owned()).or_default().append(line.to_owned());
    }

    /// A job that is running; the caller finishes it.
    fn begin(&self, kind: JobKind, stage: String) -> JobId {
        let id = JobId(self.last_job.fetch_add(1, Ordering::Relaxed) + 1);
        let job = JobView {
            kind,
            state: JobState::Running,
            progress: Progress { percent: 10, stage },
            result: JobResult::default(),
            error: JobError::default(),
            created: self.now(),
            finished: Moment::default(),
        };
        self.snapshot.send_modify(|now| {
            now.jobs.insert(id, job);
        });
        id
    }

    fn finish(&self, id: JobId, result: JobResult, error: Option<Error>) {
        let finished = self.now();
        self.snapshot.send_modify(|now| {
            if let Some(job) = now.jobs.get_mut(&id) {
                job.state = if error.is_some() { JobState::Failed } else { JobState::Succeeded };
                job.progress = Progress { percent: 100, stage: "finished".into() };
                job.error = error.map(|error| error.to_job()).unwrap_or_default();
                job.result = result;
                job.finished = finished;
            }
        });
    }

    fn set(&self, component: &str, version: Option<&str>, state: ComponentState, pid: u32) {
        let state_changed = self.now();
        self.snapshot.send_modify(|now| {
            let view = now.components.entry(component.to_owned()).or_insert(ComponentView {
                version: String::new(),
                state,
                state_changed: Moment::default(),
                pid,
                restarts: 0,
                last_error: String::new(),
            });
            view.version = version.unwrap_or(&view.version).to_owned();
            (view.state, view.state_changed, view.pid) = (state, state_changed, pid);
        });
    }

    fn known(&self, component: &str) -> Result<(), Error> {
        match self.snapshot.borrow().components.contains_key(component) {
            true => Ok(()),
            false => Err(Error::NoSuchComponent(component.to_owned())),
        }
    }

    fn change(&self, kind: JobKind, component: &str, pid: u32) -> Result<JobId, Error> {
        self.known(component)?;
        let id = self.begin(kind, format!("{kind:?} {component}"));
        if component.ends_with("Stuck") {
            return Ok(id);
        }
        let state = if pid == 0 { ComponentState::Finished } else { ComponentState::Running };
        self.set(component, None, state, pid);
        self.log(component, &format!("now {state}"));
        let result =
            JobResult { started: Some(vec![component.to_owned()]), ..JobResult::default() };
        self.finish(id, result, None);
        Ok(id)
    }
}

impl Control for Simulated {
    type Subscription = Filtered;

    fn changes(&self) -> watch::Receiver<Snapshot> {
        self.snapshot.subscribe()
    }

    async fn memory(&self, _component: &str) -> u64 {
        4 << 20
    }

    async fn deploy(&self, _caller: Caller, request: DeployRequest) -> Result<JobId, Error> {
        if !request.add.is_empty() && request.recipe_dir.is_none() {
            return Err(Error::InvalidRecipe("no recipe directory was given".into()));
        }
        let id = self.begin(JobKind::Deploy, "resolving".into());
        if let Some(broken) = request.add.keys().find(|name| name.ends_with("Broken")) {
            let log = vec!["pip: no such package".to_owned(), "giving up".to_owned()];
            let why = format!("component {broken}: step install exited with status 1");
            self.finish(
                id,
                JobResult {
                    component: Some(broken.clone()),
                    step: Some("install".into()),
                    log: Some(log),
                    ..JobResult::default()
                },
                Some(Error::DeploymentFailed(why)),
            );
            return Ok(id);
        }
        for (name, version) in &request.add {
            self.set(name, Some(version), ComponentState::Running, 1000 + id.0 as u32);
            self.log(name, "hello");
            self.log(name, "world");
        }
        self.snapshot.send_modify(|now| {
            now.components.retain(|name, _| !request.remove.contains(name));
        });
        let result = JobResult {
            started: Some(request.add.into_keys().collect()),
            removed: Some(request.remove),
            ..JobResult::default()
        };
        self.finish(id, result, None);
        Ok(id)
    }

    async fn start(&self, _caller: Caller, component: &str) -> Result<JobId, Error> {
        self.change(JobKind::Start, component, 2000)
    }

    async fn stop(&self, _caller: Caller, component: &str) -> Result<JobId, Error> {
        self.change(JobKind::Stop, component, 0)
    }

    async fn restart(&self, _caller: Caller, component: &str) -> Result<JobId, Error> {
        self.change(JobKind::Restart, component, 3000)
    }

    async fn open_log(
        &self,
        _caller: Caller,
        component: &str,
        follow: bool,
        lines: u32,
    ) -> Result<OwnedFd, Error> {
        self.known(component)?;
        let internal = |error: std::io::Error| Error::Internal(error.to_string());
        let (mut ours, theirs) = UnixStream::pair().map_err(internal)?;
        let mut logs = self.logs.lock().expect("no holder panics");
        let log = logs.entry(component.to_owned()).or_default();
        let skip = if lines == 0 { 0 } else { log.lines.len().saturating_sub(lines as usize) };
        for line in log.lines.iter().skip(skip) {
            writeln!(ours, "{line}").map_err(internal)?;
        }
        if follow {
            log.followers.push(ours);
        }
        Ok(theirs.into())
    }

    async fn publish(
        &self,
        caller: Caller,
        topic: &str,
        payload: Vec<u8>,
        json: bool,
    ) -> Result<(), Error> {
        if topic.starts_with("secret/") {
            return Err(Error::Denied(format!(
                "no rule lets user {} publish to {topic}",
                caller.uid
            )));
        }
        let source = format!("user:{}", caller.uid);
        let delivery = Delivery { topic: topic.into(), payload, json, source, lost: 0 };
        // Nobody may be listening, which is no error.
        let _ = self.messages.send(delivery);
        Ok(())
    }

    async fn subscribe(&self, _caller: Caller, filter: &str) -> Result<Filtered, Error> {
        if filter.is_empty() {
            return Err(Error::InvalidArgument("a filter is not empty".into()));
        }
        Ok(Filtered { filter: filter.to_owned(), messages: self.messages.subscribe(), lost: 0 })
    }
}

/// Messages of one topic, or with a trailing `#` of all that begin alike.
#[derive(Debug)]
pub struct Filtered {
    filter: String,
    messages: broadcast::Receiver<Delivery>,
    lost: u64,
}

impl Subscription for Filtered {
    async fn next(&mut self) -> Option<Delivery> {
        loop {
            match self.messages.recv().await {
                Ok(delivery) => {
                    let wanted = match self.filter.strip_suffix('#') {
                        Some(prefix) => delivery.topic.starts_with(prefix),
                        None => delivery.topic == self.filter,
                    };
                    if wanted {
                        let lost = std::mem::take(&mut self.lost);
                        return Some(Delivery { lost, ..delivery });
                    }
                }
                Err(broadcast::error::RecvError::Lagged(count)) => self.lost += count,
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}
