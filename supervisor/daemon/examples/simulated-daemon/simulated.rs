//! A control that does nothing but keep books: deployments succeed unless a name ends in `Broken`, wait to be
//! cancelled where one ends in `Slow`, and what changes a component ends at once unless its name ends in `Stuck`.
//! Functions answer with what they are asked, or as [`functions`] says.

#[path = "functions.rs"]
pub mod functions;

use std::collections::BTreeMap;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use hedgerow_api::{
    ComponentState, ConfigurationLeaf, DeploymentStage, DeploymentStatus, Error, JobError, JobKind,
    JobResult, JobState, Moment, Progress,
};
use hedgerow_daemon::bus::{
    Caller, Change, ComponentView, Control, Delivery, DeployRequest, DeploymentView, JobId,
    JobView, Load, Snapshot, Subscription,
};
use hedgerow_function::{Completed, FunctionSpec, Invocation, InvokeError, RequestId, Target};
use serde_json::{Map, Value, json};
use tokio::sync::{broadcast, watch};

/// How many messages a slow subscriber may be behind.
const QUEUE: usize = 16;

#[derive(Debug)]
pub struct Simulated {
    /// What a test changes, the daemon seems to have changed by itself.
    pub snapshot: watch::Sender<Snapshot>,
    messages: broadcast::Sender<Delivery>,
    logs: Mutex<BTreeMap<String, Log>>,
    /// By component.
    configuration: Mutex<BTreeMap<String, Keys>>,
    last_job: AtomicU64,
    clock: AtomicU64,
}

/// Key to value, and the deployment that set it.
type Keys = BTreeMap<String, (Value, String)>;

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
            configuration: Mutex::default(),
            last_job: AtomicU64::new(0),
            clock: AtomicU64::new(1),
        }
    }

    fn now(&self) -> Moment {
        let boottime = self.clock.fetch_add(1_000_000_000, Ordering::Relaxed);
        Moment { boot_id: "simulated".into(), boottime, realtime: 1_800_000_000_000_000_000 }
    }

    /// As if the component had written it.
    pub fn log(&self, component: &str, line: &str) {
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
                status_codes: vec![],
                next_retry: Moment::default(),
                paused: false,
            });
            view.version = version.unwrap_or(&view.version).to_owned();
            (view.state, view.state_changed, view.pid) = (state, state_changed, pid);
        });
    }

    /// The deployment that the job carries out.
    fn announce(&self, job: JobId, request: &DeployRequest) -> String {
        let id = format!("00000000-0000-4000-8000-{:012}", job.0);
        let view = DeploymentView {
            id: id.clone(),
            group: request.document.group.to_string(),
            created: 1_800_000_000_000 + i64::try_from(job.0).unwrap_or(0),
            components: added(request).into_keys().collect(),
            stage: DeploymentStage::Resolving,
            progress: 10,
            status: DeploymentStatus::InProgress,
            detailed_status: String::new(),
            error_stack: vec![],
            error_types: vec![],
            failure_cause: String::new(),
        };
        self.snapshot.send_modify(|now| {
            now.deployments.insert(id.clone(), view);
            if let Some(job) = now.jobs.get_mut(&job) {
                job.result.deployment = Some(id.clone());
            }
        });
        id
    }

    fn end(
        &self,
        id: &str,
        status: DeploymentStatus,
        detailed: &str,
        say: impl FnOnce(&mut DeploymentView),
    ) {
        self.snapshot.send_modify(|now| {
            if let Some(view) = now.deployments.get_mut(id) {
                (view.stage, view.progress, view.status) = (DeploymentStage::Done, 100, status);
                view.detailed_status = detailed.to_owned();
                say(view);
            }
        });
    }

    fn configure(&self, request: &DeployRequest, deployment: &str) {
        let mut all = self.configuration.lock().expect("no holder panics");
        for (component, update) in &request.document.configuration {
            let keys = all.entry(component.to_string()).or_default();
            for pointer in &update.reset {
                keys.retain(|key, _| !pointer.is_empty() && pointer != &format!("/{key}"));
            }
            for (key, value) in update.merge.iter().flatten() {
                keys.insert(key.clone(), (value.clone(), deployment.to_owned()));
            }
        }
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

/// Name to version.
fn added(request: &DeployRequest) -> BTreeMap<String, String> {
    let named = request.document.named().iter();
    named.map(|(name, range)| (name.to_string(), range.to_string())).collect()
}

fn removed(request: &DeployRequest) -> Vec<String> {
    match &request.document.change {
        Change::Delta { remove, .. } => remove.iter().map(ToString::to_string).collect(),
        Change::Complete { .. } => vec![],
    }
}

fn check(request: &DeployRequest) -> Result<(), Error> {
    match !request.document.named().is_empty() && request.recipe_dir.is_none() {
        true => Err(Error::InvalidRecipe("no recipe directory was given".into())),
        false => Ok(()),
    }
}

impl Control for Simulated {
    type Subscription = Filtered;

    fn changes(&self) -> watch::Receiver<Snapshot> {
        self.snapshot.subscribe()
    }

    async fn loads(&self) -> BTreeMap<String, Load> {
        let load = Load { memory: 4 << 20, cpu_time: 90_000_000, tasks: 3 };
        self.snapshot.borrow().components.keys().map(|name| (name.clone(), load)).collect()
    }

    async fn deploy(&self, _caller: Caller, request: DeployRequest) -> Result<JobId, Error> {
        check(&request)?;
        let id = self.begin(JobKind::Deploy, "resolving".into());
        let deployment = self.announce(id, &request);
        let added = added(&request);
        if added.keys().any(|name| name.ends_with("Slow")) {
            return Ok(id);
        }
        if let Some(broken) = added.keys().find(|name| name.ends_with("Broken")) {
            let log = vec!["pip: no such package".to_owned(), "giving up".to_owned()];
            let why = format!("component {broken}: step install exited with status 1");
            let stack = ["DEPLOYMENT_FAILURE", "COMPONENT_BROKEN", "COMPONENT_INSTALL_ERROR"];
            self.end(&deployment, DeploymentStatus::Failed, "FAILED_ROLLBACK_COMPLETE", |view| {
                view.error_stack = stack.map(str::to_owned).into();
                view.error_types = vec!["USER_COMPONENT_ERROR".into()];
                view.failure_cause.clone_from(&why);
            });
            self.finish(
                id,
                JobResult {
                    deployment: Some(deployment),
                    component: Some(broken.clone()),
                    step: Some("install".into()),
                    log: Some(log),
                    ..JobResult::default()
                },
                Some(Error::DeploymentFailed(why)),
            );
            return Ok(id);
        }
        for (name, version) in &added {
            self.set(name, Some(version), ComponentState::Running, 1000 + id.0 as u32);
            self.log(name, "hello");
            self.log(name, "world");
        }
        self.configure(&request, &deployment);
        let removed = removed(&request);
        self.snapshot.send_modify(|now| {
            now.components.retain(|name, _| !removed.contains(name));
        });
        self.end(&deployment, DeploymentStatus::Succeeded, "SUCCESSFUL", |_| {});
        let result = JobResult {
            deployment: Some(deployment),
            started: Some(added.into_keys().collect()),
            removed: Some(removed),
            ..JobResult::default()
        };
        self.finish(id, result, None);
        Ok(id)
    }

    async fn explain(&self, _caller: Caller, component: &str) -> Result<Value, Error> {
        let machine = json!({"unified_cgroups": true, "range": "172.31.224.0/20", "lacks": []});
        if component.is_empty() {
            return Ok(json!({ "machine": machine }));
        }
        let snapshot = self.snapshot.borrow();
        let view = snapshot.components.get(component).ok_or_else(|| {
            Error::NoSuchComponent(format!("no component {component:?} is deployed"))
        })?;
        let component = json!({"name": component, "version": view.version});
        Ok(json!({"machine": machine, "component": component, "fence": null}))
    }

    async fn plan(&self, _caller: Caller, request: DeployRequest) -> Result<Value, Error> {
        check(&request)?;
        let removed: BTreeMap<_, _> =
            removed(&request).into_iter().map(|name| (name, "1.0.0")).collect();
        let configuration: BTreeMap<_, _> = request
            .document
            .configuration
            .iter()
            .map(|(name, update)| {
                let merged = update.merge.iter().flatten();
                let change = |(key, value): (&String, &Value)| {
                    json!({"pointer": format!("/{key}"), "after": value})
                };
                (name.to_string(), merged.map(change).collect::<Vec<_>>())
            })
            .collect();
        Ok(json!({
            "added": added(&request),
            "removed": removed,
            "updated": {},
            "restarted": {},
            "unchanged": [],
            "configuration": configuration,
            "bytes_to_copy": 4096,
            "notices": [],
        }))
    }

    async fn cancel(&self, _caller: Caller, deployment: &str) -> Result<(), Error> {
        let job = self.snapshot.borrow().jobs.iter().find_map(|(id, job)| {
            let is_it = job.result.deployment.as_deref() == Some(deployment);
            (is_it && !job.state.is_final()).then_some(*id)
        });
        let ended = || Error::NotCancellable(format!("deployment {deployment} has ended"));
        let job = job.ok_or_else(ended)?;
        self.end(deployment, DeploymentStatus::Canceled, "FAILED_NO_STATE_CHANGE", |_| {});
        let result = JobResult { deployment: Some(deployment.to_owned()), ..JobResult::default() };
        let why = Error::Cancelled(format!("deployment {deployment} was cancelled"));
        self.finish(job, result, Some(why));
        Ok(())
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

    async fn observe(
        &self,
        _caller: Caller,
        component: &str,
        _seconds: u32,
    ) -> Result<JobId, Error> {
        self.change(JobKind::Observe, component, 3000)
    }

    async fn observation(&self, _caller: Caller, component: &str) -> Result<Value, Error> {
        self.known(component)?;
        Ok(Value::Null)
    }

    async fn pause(&self, _caller: Caller, component: &str, pause: bool) -> Result<(), Error> {
        self.known(component)?;
        self.snapshot.send_modify(|now| {
            if let Some(view) = now.components.get_mut(component) {
                view.paused = pause;
            }
        });
        Ok(())
    }

    async fn reset(&self, _caller: Caller, component: &str) -> Result<(), Error> {
        self.known(component)?;
        self.snapshot.send_modify(|now| {
            if let Some(view) = now.components.get_mut(component) {
                view.restarts = 0;
                view.last_error.clear();
            }
        });
        self.set(component, None, ComponentState::Running, 4000);
        Ok(())
    }

    async fn configuration(
        &self,
        _caller: Caller,
        component: &str,
        pointer: &str,
    ) -> Result<(Value, Vec<ConfigurationLeaf>), Error> {
        self.known(component)?;
        let all = self.configuration.lock().expect("no holder panics");
        let keys = all.get(component).cloned().unwrap_or_default();
        let value: Map<String, Value> =
            keys.iter().map(|(key, (value, _))| (key.clone(), value.clone())).collect();
        let value = Value::Object(value).pointer(pointer).cloned();
        let leaf = |(key, (value, deployment)): (String, (Value, String))| ConfigurationLeaf {
            pointer: format!("/{key}"),
            value: value.to_string(),
            origin: format!("deployment {deployment}"),
            time: 1_800_000_000_000,
        };
        let leaves = keys.into_iter().map(leaf).filter(|leaf| leaf.pointer.starts_with(pointer));
        match value {
            Some(value) => Ok((value, leaves.collect())),
            None => Err(Error::InvalidArgument(format!("there is no {pointer}"))),
        }
    }

    async fn recipe(&self, _caller: Caller, component: &str) -> Result<Value, Error> {
        self.known(component)?;
        Ok(json!({"ComponentName": component, "ComponentVersion": "1.0.0"}))
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

    fn find_function(&self, target: &Target) -> Result<Arc<FunctionSpec>, InvokeError> {
        let now = self.snapshot.borrow();
        let view = now.functions.get(&target.function);
        let spec = functions::spec(view.ok_or_else(|| functions::missing(target))?);
        match spec.answers_to(target.qualifier.as_deref()) {
            true => Ok(Arc::new(spec)),
            false => Err(functions::missing(target)),
        }
    }

    async fn invoke(
        &self,
        _caller: Caller,
        target: &Target,
        invocation: Invocation,
    ) -> Result<Completed, InvokeError> {
        self.find_function(target)?;
        self.snapshot.send_modify(|now| {
            if let Some(view) = now.functions.get_mut(&target.function) {
                view.invocations += 1;
            }
        });
        functions::run(target, invocation).await
    }

    async fn enqueue(
        &self,
        _caller: Caller,
        target: &Target,
        invocation: Invocation,
    ) -> Result<RequestId, InvokeError> {
        self.find_function(target)?;
        self.snapshot.send_modify(|now| {
            if let Some(view) = now.functions.get_mut(&target.function) {
                view.queue_depth += 1;
            }
        });
        Ok(invocation.request_id)
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
