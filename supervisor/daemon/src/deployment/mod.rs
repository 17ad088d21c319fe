//! Deployments: one at a time, decided in one transaction, then carried out by the drivers.
//!
//! ```text
//!  QUEUED ─▶ RESOLVING ─▶ COPYING ─▶ NOTIFYING ─▶ VALIDATING ─▶ commit ─▶ BOOTSTRAP ─▶ APPLYING ─▶ DONE
//!    ▲                                   │                          │          │           │
//!    └──────── put off by components ────┘                          │          └─▶ ROLLING_BACK ─▶ DONE
//!        until here nothing has changed, and any refusal ends it ───┘
//! ```
//! Every stage has a deadline and can be canceled. What is committed has a record in the store, from which the next
//! daemon goes on ([`DeploymentRecord`]).

mod bootstrap;
mod carry_out;
mod define;
mod document;
mod fault;
mod history;
mod nucleus;
mod plan;
mod prepare;
mod queue;
mod reboot;
mod reconcile;
mod record;
mod refusal;
mod select;
mod view;
mod wait;
mod worker;

use std::sync::Arc;

use hedgerow_api::{Error, JobKind};
use hedgerow_component::platform::Platform;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

pub use define::{Ingredients, hex, shown};
pub use document::{
    Change, ConfigurationUpdate, DeploymentId, Document, FailurePolicy, Group, InvalidDocument,
    RunWith, UpdateAction, UpdatePolicy, now,
};
pub use nucleus::NUCLEUS;
pub use plan::PlanReport;
#[cfg(test)]
pub use prepare::Chosen;
pub use prepare::{Prepared, Request};
pub use reconcile::{Undefined, collect_packages, definitions, reconcile};
pub use record::DeploymentRecord;
#[cfg(test)]
pub use record::Phase;
pub use view::{CancelOutcome, DeploymentStatus, DeploymentView, DetailedStatus, Stage};
pub use wait::{Awaited, await_components, failure_of};

use crate::driver::Surroundings;
use crate::jobs::{Failure, Jobs, Outcome};
use crate::records::RecordsError;
use history::History;
use queue::Queue;
use refusal::Refusal;
use worker::{Progress, Task, Worker};

/// Deployments that may wait, for the one at work or for the components that have put them off.
const QUEUE: usize = 16;

/// Takes deployments, in the order in which they come.
#[derive(Debug, Clone)]
pub struct Deployments {
    worker: Arc<Worker>,
    queue: mpsc::Sender<Task>,
}

impl Deployments {
    /// Goes on with what the last daemon left, then takes new ones. The task may be aborted: what it has not decided
    /// by then is not desired, the rest is carried out by the next daemon.
    pub fn start(
        around: Arc<Surroundings>,
        jobs: Arc<Jobs>,
        platform: Platform,
    ) -> Result<(Self, JoinHandle<()>), RecordsError> {
        let (queue, tasks) = mpsc::channel(QUEUE);
        let records = around.records.deployments()?;
        let history = Arc::new(History::of(records.iter().map(DeploymentRecord::view)));
        let at_work = records.into_iter().find(|record| !record.is_ended());
        let worker = Arc::new(Worker { around, jobs, history, platform });
        let waiting = Queue::new(tasks, Arc::clone(&worker.history));
        let task = tokio::spawn(work(Arc::clone(&worker), at_work, waiting));
        Ok((Self { worker, queue }, task))
    }

    /// Takes a deployment; [`Deployments::status`] says how it goes. Errors: `Busy`, and `InvalidArgument` where
    /// there is one of that id already.
    pub fn submit(&self, request: Request) -> Result<DeploymentId, Error> {
        let Worker { history, jobs, .. } = self.worker.as_ref();
        let busy =
            || Error::Busy(format!("{QUEUE} deployments are waiting already; try again later"));
        let place = self.queue.try_reserve().map_err(|_| busy())?;
        if history.unfinished() > QUEUE {
            return Err(busy());
        }
        let id = request.document.id.clone();
        let taken = || Error::InvalidArgument(format!("there is a deployment {id} already"));
        if history.get(&id).is_some() {
            return Err(taken());
        }
        let job = jobs.create(JobKind::Deploy);
        if !history.insert(DeploymentView::of(&request.document, job.id)) {
            // Of two at once, the other was faster.
            let failure = Some(Failure::of(&taken()));
            jobs.finish_unstored(job.id, Outcome { failure, ..Outcome::default() });
            return Err(taken());
        }
        place.send(Task { job, request: Arc::new(request), deferred: None, overtaken: 0 });
        Ok(id)
    }

    /// What it would do. Nothing is written, no component is asked. Blocks on files.
    pub fn plan(&self, request: &Request) -> Result<PlanReport, Error> {
        self.worker.plan(request)
    }

    /// What has not been committed ends and leaves no trace; what is being carried out is rolled back, or left as it
    /// is, by its failure policy. A removal that is all that is left of it is completed.
    pub fn cancel(&self, id: &DeploymentId) -> CancelOutcome {
        let Worker { history, jobs, .. } = self.worker.as_ref();
        if let Some(view) = history.withdraw(id) {
            let failure = Some(Failure::of(&Refusal::Canceled.error()));
            jobs.finish_unstored(view.job, Outcome { failure, ..Outcome::default() });
            return CancelOutcome::Canceled;
        }
        match history.cancel(id) {
            None => CancelOutcome::Unknown,
            Some(view) if view.status.is_final() => CancelOutcome::Ended(view.status),
            Some(view) if view.stage < Stage::Bootstrap => CancelOutcome::Canceled,
            Some(_) => CancelOutcome::Canceling,
        }
    }

    /// `None` where there is none of that id, or none any more.
    pub fn status(&self, id: &DeploymentId) -> Option<DeploymentView> {
        self.worker.history.get(id)
    }

    /// Those that wait, are at work, or have ended; the oldest first.
    pub fn list(&self) -> Vec<DeploymentView> {
        self.worker.history.all()
    }

    /// Resolves after every change of any deployment.
    pub fn watch(&self) -> watch::Receiver<()> {
        self.worker.history.watch()
    }
}

async fn work(worker: Arc<Worker>, at_work: Option<DeploymentRecord>, mut queue: Queue) {
    if let Some(record) = at_work {
        worker.carry_out(record, vec![], true).await;
    }
    worker.sweep().await;
    loop {
        let task = tokio::select! {
            biased;
            task = queue.next() => task,
            () = worker.leftovers_gone(), if worker.has_leftovers() => {
                worker.sweep().await;
                continue;
            }
        };
        let Some(task) = task else { return };
        match worker.deploy(task).await {
            Progress::Ended => {}
            Progress::Deferred(wait, task) => queue.defer(wait, *task),
        }
    }
}

#[cfg(test)]
mod tests;
