//! Deployments: one at a time, decided in one transaction, then carried out by the drivers.
//!
//! `prepare` (may fail, changes nothing) → commit (from here on it is desired) → [`reconcile`] (drivers learn
//! of it) → wait until every component that changed is up, or gone, or broken.

mod define;
mod document;
mod fault;
mod history;
mod plan;
mod prepare;
mod reconcile;
mod view;
mod wait;
mod worker;

use std::sync::Arc;

use hedgerow_api::{Error, JobKind};
use hedgerow_component::platform::Platform;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

pub use define::{DefineError, Ingredients, define, hex};
pub use document::{
    Change, ConfigurationUpdate, DeploymentId, Document, FailurePolicy, Group, InvalidDocument,
    RunWith, UpdateAction, UpdatePolicy,
};
pub use fault::{ErrorCode, ErrorType, Fault};
pub use plan::{Difference, PlanReport, VersionChange};
pub use prepare::{PrepareError, Prepared, Request};
pub use reconcile::{ReconcileError, collect_packages, definitions, reconcile};
pub use view::{CancelOutcome, DeploymentStatus, DeploymentView, DetailedStatus, Stage};
pub use wait::{Awaited, await_components, failure_of};

use crate::driver::Surroundings;
use crate::jobs::{Job, Jobs};
use history::History;
use worker::Worker;

/// Deployments that may wait for the one at work.
const QUEUE: usize = 16;

/// Takes deployments, in the order in which they come.
#[derive(Debug, Clone)]
pub struct Deployments {
    worker: Arc<Worker>,
    history: Arc<History>,
    jobs: Arc<Jobs>,
    queue: mpsc::Sender<(Job, Request)>,
}

impl Deployments {
    /// The task may be aborted: what it has not decided by then is not desired, the rest is carried out by the next
    /// daemon.
    pub fn start(
        around: Arc<Surroundings>,
        jobs: Arc<Jobs>,
        platform: Platform,
    ) -> (Self, JoinHandle<()>) {
        let (queue, mut requests) = mpsc::channel::<(Job, Request)>(QUEUE);
        let history = Arc::new(History::of([]));
        let worker = Arc::new(Worker {
            around,
            jobs: Arc::clone(&jobs),
            history: Arc::clone(&history),
            platform,
        });
        let own = Arc::clone(&worker);
        let task = tokio::spawn(async move {
            while let Some((job, request)) = requests.recv().await {
                own.deploy(job, request).await;
            }
        });
        (Self { worker, history, jobs, queue }, task)
    }

    /// Takes a deployment; [`Deployments::status`] says how it goes. Errors: `Busy`, and `InvalidArgument` where
    /// there is one of that id already.
    pub fn submit(&self, request: Request) -> Result<DeploymentId, Error> {
        let place = self.queue.try_reserve().map_err(|_| {
            Error::Busy(format!("{QUEUE} deployments are waiting already; try again later"))
        })?;
        let id = request.document.id.clone();
        if self.history.get(&id).is_some() {
            return Err(Error::InvalidArgument(format!("there is a deployment {id} already")));
        }
        let job = self.jobs.create(JobKind::Deploy);
        self.history.insert(DeploymentView::of(&request.document, job.id));
        place.send((job, request));
        Ok(id)
    }

    /// What it would do. Nothing is written, no component is asked. Blocks on files.
    pub fn plan(&self, request: &Request) -> Result<PlanReport, Error> {
        self.worker.plan(request)
    }

    pub fn cancel(&self, id: &DeploymentId) -> CancelOutcome {
        match self.history.cancel(id) {
            None => CancelOutcome::Unknown,
            Some(view) if view.status.is_final() => CancelOutcome::Ended(view.status),
            Some(view) if view.stage < Stage::Bootstrap => CancelOutcome::Canceled,
            Some(_) => CancelOutcome::Canceling,
        }
    }

    /// `None` where there is none of that id, or none any more.
    pub fn status(&self, id: &DeploymentId) -> Option<DeploymentView> {
        self.history.get(id)
    }

    /// Those that wait, are at work, or have ended; the oldest first.
    pub fn list(&self) -> Vec<DeploymentView> {
        self.history.all()
    }

    /// Resolves after every change of any deployment.
    pub fn watch(&self) -> watch::Receiver<()> {
        self.history.watch()
    }
}
