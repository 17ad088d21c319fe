//! The daemon as the bus sees it: every method of [`Control`], over the rooms that do the work.

mod configuration;
mod explain;
mod functions;
mod loads;
mod recipe;
mod view;

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use hedgerow_api::{ConfigurationLeaf, Error};
use hedgerow_function::{Completed, FunctionSpec, Invocation, InvokeError, RequestId, Target};
use hedgerow_ipc::pubsub::JsonText;
use hedgerow_ipc::{Hub, Message, Principal, PublishError, SubscribeError};
use serde_json::Value;
use tokio::sync::watch;

use crate::bus::{Caller, Control, Delivery, DeployRequest, JobId, Load, Snapshot, Subscription};
use crate::deployment::{CancelOutcome, DeploymentId, Deployments};
use crate::driver::Surroundings;
use crate::follow;
use crate::jobs::Jobs;
use crate::operations::Operations;

#[derive(Debug)]
pub struct Supervisor {
    around: Arc<Surroundings>,
    jobs: Arc<Jobs>,
    deployments: Deployments,
    operations: Operations,
    snapshot: watch::Sender<Snapshot>,
}

impl Supervisor {
    pub fn new(operations: Operations, deployments: Deployments) -> Arc<Self> {
        let Operations { around, jobs } = operations.clone();
        let snapshot = watch::Sender::new(Snapshot::default());
        tokio::spawn(functions::mirror(around.functions.clone(), snapshot.clone()));
        let supervisor = Arc::new(Self { around, jobs, deployments, operations, snapshot });
        supervisor.mirror();
        tokio::spawn(Arc::clone(&supervisor).keep_mirroring());
        supervisor
    }

    async fn keep_mirroring(self: Arc<Self>) {
        let (mut components, mut jobs) = (self.around.registry.watch(), self.jobs.watch());
        let mut deployments = self.deployments.watch();
        let mut prune = tokio::time::interval(hedgerow_api::JOB_KEPT / 15);
        loop {
            let changed = tokio::select! {
                changed = components.changed() => changed.is_ok(),
                changed = jobs.changed() => changed.is_ok(),
                changed = deployments.changed() => changed.is_ok(),
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

    /// A job can be seen before its number is answered.
    fn begun(&self, job: Result<u64, Error>) -> Result<JobId, Error> {
        let id = job?;
        self.mirror();
        Ok(JobId(id))
    }

    fn mirror(&self) {
        let components = self
            .around
            .registry
            .all()
            .into_iter()
            .map(|status| (status.name.clone(), view::component(&status)));
        let deployments = self.deployments.list();
        let mut jobs: BTreeMap<_, _> =
            self.jobs.views().into_iter().map(|(id, view)| (JobId(id), view)).collect();
        for deployment in &deployments {
            if let Some(job) = jobs.get_mut(&JobId(deployment.job)) {
                job.result.deployment = Some(deployment.id.to_string());
            }
        }
        let deployments =
            deployments.iter().map(|view| (view.id.to_string(), view::deployment(view)));
        let (components, deployments) = (components.collect(), deployments.collect());
        self.snapshot.send_if_modified(|current| {
            // Functions are mirrored at their own pace.
            let functions = std::mem::take(&mut current.functions);
            let next = Snapshot { components, functions: BTreeMap::new(), jobs, deployments };
            let modified = *current != next;
            *current = Snapshot { functions, ..next };
            modified
        });
    }
}

impl Control for Supervisor {
    type Subscription = TopicSubscription;

    fn changes(&self) -> watch::Receiver<Snapshot> {
        self.snapshot.subscribe()
    }

    async fn loads(&self) -> BTreeMap<String, Load> {
        loads::of(&self.around).await
    }

    async fn deploy(&self, _caller: Caller, request: DeployRequest) -> Result<JobId, Error> {
        let id = self.deployments.submit(request)?;
        self.mirror();
        let gone = || Error::NoSuchJob(format!("deployment {id} has ended"));
        Ok(JobId(self.deployments.status(&id).ok_or_else(gone)?.job))
    }

    async fn plan(&self, _caller: Caller, request: DeployRequest) -> Result<Value, Error> {
        let deployments = self.deployments.clone();
        let report = tokio::task::spawn_blocking(move || deployments.plan(&request))
            .await
            .map_err(|error| Error::Internal(error.to_string()))??;
        serde_json::to_value(report).map_err(|error| Error::Internal(error.to_string()))
    }

    async fn explain(&self, _caller: Caller, component: &str) -> Result<Value, Error> {
        explain::explain(&self.around, component).await
    }

    async fn cancel(&self, _caller: Caller, deployment: &str) -> Result<(), Error> {
        let unknown =
            || Error::NoSuchDeployment(format!("no deployment {deployment:?} is remembered"));
        let id = DeploymentId::try_from(deployment.to_owned()).map_err(|_| unknown())?;
        match self.deployments.cancel(&id) {
            CancelOutcome::Canceled | CancelOutcome::Canceling => Ok(()),
            CancelOutcome::Ended(status) => Err(Error::NotCancellable(format!(
                "deployment {id} has ended already: {}",
                status.as_str()
            ))),
            CancelOutcome::Unknown => Err(unknown()),
        }
    }

    async fn start(&self, _caller: Caller, component: &str) -> Result<JobId, Error> {
        self.begun(self.operations.start(component))
    }

    async fn stop(&self, _caller: Caller, component: &str) -> Result<JobId, Error> {
        self.begun(self.operations.stop(component))
    }

    async fn restart(&self, _caller: Caller, component: &str) -> Result<JobId, Error> {
        self.begun(self.operations.restart(component))
    }

    async fn observe(
        &self,
        _caller: Caller,
        component: &str,
        seconds: u32,
    ) -> Result<JobId, Error> {
        self.begun(self.operations.observe(component, seconds))
    }

    async fn observation(&self, _caller: Caller, component: &str) -> Result<Value, Error> {
        let status = self.operations.status(component)?;
        Ok(self.around.observations.report(&status.name))
    }

    async fn pause(&self, _caller: Caller, component: &str, pause: bool) -> Result<(), Error> {
        self.operations.pause(component, pause).await
    }

    async fn reset(&self, _caller: Caller, component: &str) -> Result<(), Error> {
        self.operations.reset(component).await
    }

    async fn configuration(
        &self,
        _caller: Caller,
        component: &str,
        pointer: &str,
    ) -> Result<(Value, Vec<ConfigurationLeaf>), Error> {
        let status = self.operations.status(component)?;
        configuration::at(&self.around.records, &status.name, pointer)
    }

    async fn recipe(&self, _caller: Caller, component: &str) -> Result<Value, Error> {
        let status = self.operations.status(component)?;
        recipe::of(&self.around.records, &status)
    }

    async fn open_log(
        &self,
        _caller: Caller,
        component: &str,
        follow: bool,
        lines: u32,
    ) -> Result<OwnedFd, Error> {
        let status = self.operations.status(component)?;
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

    fn find_function(&self, target: &Target) -> Result<Arc<FunctionSpec>, InvokeError> {
        self.around.functions.find(target)
    }

    async fn invoke(
        &self,
        _caller: Caller,
        target: &Target,
        invocation: Invocation,
    ) -> Result<Completed, InvokeError> {
        self.around.functions.invoke(target, invocation).await
    }

    async fn enqueue(
        &self,
        _caller: Caller,
        target: &Target,
        invocation: Invocation,
    ) -> Result<RequestId, InvokeError> {
        self.around.events.enqueue(target, invocation).await
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
