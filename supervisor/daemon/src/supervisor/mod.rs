//! The daemon as the bus sees it: every method of [`Control`], over the rooms that do the work.

mod configuration;
mod request;
mod view;

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use hedgerow_api::{ConfigurationLeaf, Error, JobKind};
use hedgerow_component::ComponentName;
use hedgerow_ipc::pubsub::JsonText;
use hedgerow_ipc::{Hub, Message, Principal, PublishError, SubscribeError};
use hedgerow_isolation::protocol::{Request, Response};
use serde_json::Value;
use tokio::sync::watch;

use crate::bus::{Caller, Control, Delivery, DeployRequest, JobId, Snapshot, Subscription};
use crate::deployment::{Deployments, failure_of};
use crate::driver::Surroundings;
use crate::follow;
use crate::jobs::{Failure, Jobs, Outcome};
use crate::lifecycle::{Goal, State};
use crate::registry::{Command, Status};

#[derive(Debug)]
pub struct Supervisor {
    around: Arc<Surroundings>,
    jobs: Arc<Jobs>,
    deployments: Deployments,
    snapshot: watch::Sender<Snapshot>,
}

impl Supervisor {
    pub fn new(around: Arc<Surroundings>, jobs: Arc<Jobs>, deployments: Deployments) -> Arc<Self> {
        let snapshot = watch::Sender::new(Snapshot::default());
        let supervisor = Arc::new(Self { around, jobs, deployments, snapshot });
        supervisor.mirror();
        tokio::spawn(Arc::clone(&supervisor).keep_mirroring());
        supervisor
    }

    async fn keep_mirroring(self: Arc<Self>) {
        let (mut components, mut jobs) = (self.around.registry.watch(), self.jobs.watch());
        let mut prune = tokio::time::interval(hedgerow_api::JOB_KEPT / 15);
        loop {
            let changed = tokio::select! {
                changed = components.changed() => changed.is_ok(),
                changed = jobs.changed() => changed.is_ok(),
                _ = prune.tick() => {
                    self.jobs.prune();
                    true
                }
            };
            if !changed {
                return;
            }
            self.mirror();
        }
    }

    fn mirror(&self) {
        let components = self
            .around
            .registry
            .all()
            .into_iter()
            .map(|status| (status.name.clone(), view::component(&status)));
        let jobs = self.jobs.views().into_iter().map(|(id, view)| (JobId(id), view));
        let next = Snapshot {
            components: components.collect(),
            jobs: jobs.collect(),
            deployments: BTreeMap::new(),
        };
        self.snapshot.send_if_modified(|current| {
            let modified = *current != next;
            *current = next;
            modified
        });
    }

    fn status(&self, component: &str) -> Result<Status, Error> {
        self.around
            .registry
            .status(component)
            .ok_or_else(|| Error::NoSuchComponent(format!("no component {component} is deployed")))
    }

    /// A job that changes what is wanted of one component and waits for it to be so.
    fn operate(
        &self,
        component: &str,
        kind: JobKind,
        goal: Goal,
        done: fn(&Status, &Status) -> bool,
    ) -> Result<JobId, Error> {
        let before = self.status(component)?;
        let name = ComponentName::try_from(component.to_owned())
            .map_err(|error| Error::InvalidArgument(error.to_string()))?;
        let mut job = self.jobs.create(kind);
        job.components.push(component.to_owned());
        if let Err(error) = self.around.records.set_goal(&name, goal, &job) {
            let error = Error::Internal(error.to_string());
            let failure = Some(Failure::of(&error));
            self.jobs.finish(job.id, Outcome { failure, ..Outcome::default() });
            return Err(error);
        }
        self.jobs.progress(
            job.id,
            0,
            format!("{} is {}", before.name, before.state.published().name()),
        );
        self.mirror();
        let (around, jobs) = (Arc::clone(&self.around), Arc::clone(&self.jobs));
        tokio::spawn(async move {
            let outcome = operate(&around, &before, kind, goal, done).await;
            jobs.finish(job.id, outcome);
        });
        Ok(JobId(job.id))
    }
}

async fn operate(
    around: &Surroundings,
    before: &Status,
    kind: JobKind,
    goal: Goal,
    done: fn(&Status, &Status) -> bool,
) -> Outcome {
    let mut changes = around.registry.watch();
    if let Some(commands) = around.registry.commands(&before.name) {
        let at_rest = matches!(before.state, State::Errored(_) | State::Broken | State::Finished);
        let again = kind == JobKind::Restart || at_rest;
        // A driver that is gone is noticed below. The goal comes last: it starts what rests, and a restart after
        // that would start it a second time.
        if goal == Goal::Run && again {
            let _ = commands.send(Command::Restart).await;
        }
        let _ = commands.send(Command::Goal(goal)).await;
    }
    loop {
        changes.mark_unchanged();
        let Some(status) = around.registry.status(&before.name) else {
            let error = Error::NoSuchComponent(format!("{} was removed meanwhile", before.name));
            return Outcome { failure: Some(Failure::of(&error)), ..Outcome::default() };
        };
        if done(before, &status) {
            return Outcome { started: vec![before.name.clone()], ..Outcome::default() };
        }
        if status.state == State::Broken && status.changed != before.changed {
            let mut failure = failure_of(around, &status);
            let error = Error::ComponentFailed(failure.message);
            failure =
                Failure { message: error.to_job().message, error: error.to_job().name, ..failure };
            return Outcome { failure: Some(failure), ..Outcome::default() };
        }
        if changes.changed().await.is_err() {
            return Outcome::default();
        }
    }
}

fn is_up(status: &Status) -> bool {
    matches!(status.state, State::Running | State::Finished)
}

/// Whether the component has been started since.
fn is_another(before: &Status, now: &Status) -> bool {
    now.changed != before.changed || now.begun != before.begun
}

impl Control for Supervisor {
    type Subscription = TopicSubscription;

    fn changes(&self) -> watch::Receiver<Snapshot> {
        self.snapshot.subscribe()
    }

    async fn memory(&self, component: &str) -> u64 {
        let fence = self.around.registry.status(component).and_then(|status| status.fence);
        let Some(fence) = fence else { return 0 };
        match self.around.launcher.call(Request::Usage { fence }, vec![]).await {
            Ok((Response::Usage(usage), _)) => usage.memory,
            Ok(_) | Err(_) => 0,
        }
    }

    async fn deploy(&self, _caller: Caller, request: DeployRequest) -> Result<JobId, Error> {
        let request = request::checked(request)?;
        let id = self.deployments.submit(request)?;
        self.mirror();
        let gone = || Error::NoSuchJob(format!("deployment {id} has ended"));
        Ok(JobId(self.deployments.status(&id).ok_or_else(gone)?.job))
    }

    async fn plan(&self, _caller: Caller, _request: DeployRequest) -> Result<Value, Error> {
        Err(Error::Internal("this daemon cannot preview a deployment".to_owned()))
    }

    async fn cancel(&self, _caller: Caller, deployment: &str) -> Result<(), Error> {
        Err(Error::NoSuchDeployment(format!("no deployment {deployment} is remembered")))
    }

    async fn start(&self, _caller: Caller, component: &str) -> Result<JobId, Error> {
        self.operate(component, JobKind::Start, Goal::Run, |before, now| {
            is_up(now) && (is_another(before, now) || before.state == State::Running)
        })
    }

    async fn stop(&self, _caller: Caller, component: &str) -> Result<JobId, Error> {
        self.operate(component, JobKind::Stop, Goal::Stop, |_, now| now.state == State::Finished)
    }

    async fn restart(&self, _caller: Caller, component: &str) -> Result<JobId, Error> {
        self.operate(component, JobKind::Restart, Goal::Run, |before, now| {
            is_up(now) && is_another(before, now)
        })
    }

    async fn pause(&self, _caller: Caller, component: &str, _pause: bool) -> Result<(), Error> {
        self.status(component)?;
        Err(Error::Internal("this daemon cannot freeze a component".to_owned()))
    }

    async fn reset(&self, _caller: Caller, component: &str) -> Result<(), Error> {
        self.status(component)?;
        Err(Error::Internal("this daemon cannot forget failures".to_owned()))
    }

    async fn configuration(
        &self,
        _caller: Caller,
        component: &str,
        pointer: &str,
    ) -> Result<(Value, Vec<ConfigurationLeaf>), Error> {
        let status = self.status(component)?;
        configuration::at(&self.around.records, &status.name, pointer)
    }

    async fn open_log(
        &self,
        _caller: Caller,
        component: &str,
        follow: bool,
        lines: u32,
    ) -> Result<OwnedFd, Error> {
        let status = self.status(component)?;
        follow::open(self.around.layout.log(&status.name), follow, lines)
            .map_err(|error| Error::Internal(error.to_string()))
    }

    async fn publish(
        &self,
        caller: Caller,
        topic: &str,
        payload: Vec<u8>,
        json: bool,
    ) -> Result<(), Error> {
        let message = if json {
            let not_json = |error: &dyn std::fmt::Display| {
                Error::InvalidArgument(format!("the payload is not JSON: {error}"))
            };
            let text = std::str::from_utf8(&payload).map_err(|error| not_json(&error))?;
            Message::Json(JsonText::parse(text).map_err(|error| not_json(&error))?)
        } else {
            Message::Binary(payload.into())
        };
        let who = Principal::HostUser(caller.uid);
        self.around.hub.publish(&who, topic, &message).map(|_| ()).map_err(|error| match error {
            PublishError::Denied(_) => Error::Denied(error.to_string()),
            _ => Error::InvalidArgument(error.to_string()),
        })
    }

    async fn subscribe(&self, caller: Caller, filter: &str) -> Result<TopicSubscription, Error> {
        let who = Principal::HostUser(caller.uid);
        subscribe(&self.around.hub, &who, filter)
    }
}

fn subscribe(hub: &Hub, who: &Principal, filter: &str) -> Result<TopicSubscription, Error> {
    hub.subscribe(who, filter, None).map(TopicSubscription).map_err(|error| match error {
        SubscribeError::Denied(_) => Error::Denied(error.to_string()),
        _ => Error::InvalidArgument(error.to_string()),
    })
}

/// A host program's place at the broker.
#[derive(Debug)]
pub struct TopicSubscription(hedgerow_ipc::Subscription);

impl Subscription for TopicSubscription {
    async fn next(&mut self) -> Option<Delivery> {
        let delivery = self.0.next().await?;
        let source = match &delivery.source {
            Principal::Component(name) => name.to_string(),
            Principal::HostUser(uid) => format!("user:{uid}"),
            Principal::LocalDevice(name) => format!("device:{name}"),
            Principal::Cloud => "cloud".to_owned(),
        };
        let (payload, json) = match &delivery.message {
            Message::Json(text) => (text.as_str().as_bytes().to_vec(), true),
            Message::Binary(bytes) => (bytes.to_vec(), false),
        };
        Some(Delivery {
            topic: delivery.topic.to_string(),
            payload,
            json,
            source,
            lost: delivery.lost,
        })
    }
}
