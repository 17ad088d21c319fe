//! Deployments: one at a time, decided in one transaction, then carried out by the drivers.
//!
//! `prepare` (may fail, changes nothing) → commit (from here on it is desired) → [`reconcile`] (drivers learn
//! of it) → wait until every component that changed is up, or gone, or broken.

mod define;
mod prepare;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hedgerow_api::{Error, JobKind};
use hedgerow_component::ComponentName;
use hedgerow_component::platform::Platform;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub use define::{DefineError, Ingredients, define, hex};
pub use prepare::{PrepareError, Prepared, Request};

use crate::definition::Definition;
use crate::driver::{Driver, Surroundings};
use crate::jobs::{Failure, Job, Jobs, Outcome};
use crate::lifecycle::{Goal, State};
use crate::log;
use crate::packages::{PackageError, Packages};
use crate::records::RecordsError;
use crate::registry::{Command, Status};

/// Deployments that may wait for the one at work.
const QUEUE: usize = 16;

/// Lines of a failed component's log that its job shows.
const LAST_LINES: usize = 10;

/// Takes deployments, in the order in which they come.
#[derive(Debug, Clone)]
pub struct Deployments {
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
        let worker = Worker { around, jobs: Arc::clone(&jobs), platform };
        let task = tokio::spawn(async move {
            while let Some((job, request)) = requests.recv().await {
                worker.deploy(job, request).await;
            }
        });
        (Self { jobs, queue }, task)
    }

    /// The number of the job that carries it out.
    pub fn submit(&self, request: Request) -> Result<u64, Error> {
        let place = self.queue.try_reserve().map_err(|_| {
            Error::Busy(format!("{QUEUE} deployments are waiting already; try again later"))
        })?;
        let job = self.jobs.create(JobKind::Deploy);
        let id = job.id;
        place.send((job, request));
        Ok(id)
    }
}

struct Worker {
    around: Arc<Surroundings>,
    jobs: Arc<Jobs>,
    platform: Platform,
}

impl Worker {
    async fn deploy(&self, mut job: Job, request: Request) {
        let id = job.id;
        let outcome = match self.decide(&mut job, request).await {
            Ok((outcome, awaited)) => {
                self.jobs.progress(id, 60, "starting");
                await_components(&self.around, awaited, outcome, |percent, stage| {
                    self.jobs.progress(id, percent, stage);
                })
                .await
            }
            Err(error) => Outcome { failure: Some(Failure::of(&error)), ..Outcome::default() },
        };
        self.jobs.finish(id, outcome);
        collect_packages(&self.around);
    }

    /// Prepares and commits; afterwards it is desired, whatever happens to this process.
    async fn decide(&self, job: &mut Job, request: Request) -> Result<(Outcome, Awaited), Error> {
        let (around, jobs, platform) =
            (Arc::clone(&self.around), Arc::clone(&self.jobs), self.platform.clone());
        let id = job.id;
        let named: BTreeSet<String> = request.add.keys().map(ToString::to_string).collect();
        let prepared = tokio::task::spawn_blocking(move || {
            let progress = |percent, stage| jobs.progress(id, percent, stage);
            let packages = Packages::at(around.layout.packages());
            let (records, settings) = (&around.records, &around.settings);
            prepare::prepare(&request, records, &packages, &platform, settings, &progress)
        })
        .await
        .map_err(|error| Error::Internal(error.to_string()))?
        .map_err(refused)?;
        let before: BTreeMap<String, Status> = statuses(&self.around);
        job.components = prepared.components.keys().map(ToString::to_string).collect();
        self.jobs.progress(id, 55, "committing");
        job.state = hedgerow_api::JobState::Running;
        self.around.records.commit_deployment(&prepared, job).map_err(internal)?;
        let definitions = reconcile(&self.around, &self.platform).await.map_err(internal)?;

        let mut outcome = Outcome {
            removed: prepared.removed.iter().map(ToString::to_string).collect(),
            ..Outcome::default()
        };
        let mut awaited = Awaited { targets: BTreeMap::new(), before };
        for (definition, goal) in definitions {
            // A component that was broken before gets another chance, but only who names it waits for that.
            let same = awaited.before.get(&definition.name).is_some_and(|status| {
                let is_tried_again = status.state == State::Broken && named.contains(&status.name);
                status.digest == definition.digest && !is_tried_again
            });
            if same {
                outcome.kept.push(definition.name);
            } else {
                outcome.started.push(definition.name.clone());
                awaited.targets.insert(definition.name, (definition.digest, goal));
            }
        }
        Ok((outcome, awaited))
    }
}

fn statuses(around: &Surroundings) -> BTreeMap<String, Status> {
    around.registry.all().into_iter().map(|status| (status.name.clone(), status)).collect()
}

fn refused(error: PrepareError) -> Error {
    let message = error.to_string();
    match error {
        PrepareError::Recipe(_)
        | PrepareError::Twice { .. }
        | PrepareError::Conflict(_)
        | PrepareError::NotProvided(_)
        | PrepareError::Package(
            PackageError::Artifact { .. } | PackageError::NoArtifactDirectory { .. },
        )
        | PrepareError::Define(_) => Error::InvalidRecipe(message),
        PrepareError::NotDeployed(_) => Error::NoSuchComponent(message),
        PrepareError::Directory(_) => Error::InvalidArgument(message),
        PrepareError::Package(PackageError::Disk { .. }) | PrepareError::Records(_) => {
            Error::Internal(message)
        }
    }
}

fn internal(error: impl std::error::Error) -> Error {
    Error::Internal(error.to_string())
}

#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    #[error(transparent)]
    Records(#[from] RecordsError),
    #[error(transparent)]
    Define(#[from] DefineError),
}

/// Makes the drivers follow what the store desires. Nothing happens to a component that does already.
pub async fn reconcile(
    around: &Arc<Surroundings>,
    platform: &Platform,
) -> Result<Vec<(Definition, Goal)>, ReconcileError> {
    let desired = definitions(around, platform)?;
    let wanted: BTreeSet<&str> = desired.iter().map(|(d, _)| d.name.as_str()).collect();
    let removed: BTreeSet<String> = around
        .registry
        .all()
        .into_iter()
        .map(|status| status.name)
        .filter(|name| !wanted.contains(name.as_str()))
        .collect();
    for name in &removed {
        around.hub.remove_policies(name);
    }
    let registry = Arc::clone(&around.registry);
    tokio::spawn(async move {
        registry.end_in_order(Goal::Remove, |status| removed.contains(&status.name)).await;
    });
    for (definition, goal) in &desired {
        let name = &definition.name;
        match around.registry.status(name) {
            None => {
                let installed = around.records.is_installed(name, &definition.install_fingerprint);
                Driver::spawn(around, definition.clone(), *goal, installed);
            }
            Some(status) if status.digest != definition.digest => {
                tell(around, name, Command::Replace(Box::new(definition.clone()))).await;
                tell(around, name, Command::Goal(*goal)).await;
            }
            Some(status) => {
                // A broken component gets another chance by being deployed again.
                if status.state == State::Broken {
                    tell(around, name, Command::Restart).await;
                }
                tell(around, name, Command::Goal(*goal)).await;
            }
        }
    }
    Ok(desired)
}

/// Every desired component's definition, from the store alone; also makes their IPC policies current.
pub fn definitions(
    around: &Surroundings,
    platform: &Platform,
) -> Result<Vec<(Definition, Goal)>, ReconcileError> {
    let desired = around.records.desired()?;
    let ingredients = around.records.ingredients(&desired)?;
    let mut definitions = Vec::new();
    for (name, row) in &desired {
        let definition = define(name, &ingredients, platform, &around.settings)?;
        apply_policies(around, name, &ingredients);
        definitions.push((definition, row.goal));
    }
    Ok(definitions)
}

fn apply_policies(
    around: &Surroundings,
    name: &ComponentName,
    ingredients: &BTreeMap<ComponentName, Ingredients>,
) {
    let Some(own) = ingredients.get(name) else { return };
    let policies = own
        .configuration
        .as_object()
        .and_then(|map| map.iter().find(|(key, _)| key.eq_ignore_ascii_case("accessControl")))
        .map_or(&serde_json::Value::Null, |(_, value)| value);
    for problem in around.hub.set_policies(name.as_str(), policies) {
        tracing::warn!(component = name.as_str(), "accessControl: {problem}");
    }
}

async fn tell(around: &Surroundings, name: &str, command: Command) {
    if let Some(commands) = around.registry.commands(name) {
        // A driver that has just ended needs no telling.
        let _ = commands.send(command).await;
    }
}

/// What a job waits for.
#[derive(Debug)]
pub struct Awaited {
    /// Each component's definition (its digest), and whether it is to be up or stopped with it.
    pub targets: BTreeMap<String, (String, Goal)>,
    /// What was observed before anything was asked: a component that was broken then is not broken by this job.
    pub before: BTreeMap<String, Status>,
}

/// Waits until each component is up or has finished with the awaited definition, or is broken: then the outcome
/// has a failure.
pub async fn await_components(
    around: &Surroundings,
    awaited: Awaited,
    mut outcome: Outcome,
    progress: impl Fn(u32, String),
) -> Outcome {
    let mut changes = around.registry.watch();
    loop {
        changes.mark_unchanged();
        let current: Vec<_> = awaited
            .targets
            .iter()
            .filter_map(|(name, (digest, goal))| {
                let status = around.registry.status(name)?;
                let is_current = status.digest == *digest;
                Some((status, is_current, *goal))
            })
            .collect();
        let is_broken = |(status, is_current, _): &&(Status, bool, Goal)| {
            let is_news = awaited
                .before
                .get(&status.name)
                .is_none_or(|before| before.changed != status.changed);
            *is_current && is_news && status.state == State::Broken
        };
        if let Some((broken, ..)) = current.iter().find(is_broken) {
            outcome.failure = Some(failure_of(around, broken));
            return outcome;
        }
        let is_settled = |(status, is_current, goal): &&(Status, bool, Goal)| {
            let is_there = match goal {
                Goal::Run => matches!(status.state, State::Running | State::Finished),
                Goal::Stop | Goal::Remove => status.state == State::Finished,
            };
            *is_current && is_there
        };
        let waiting = current.iter().find(|one| !is_settled(one));
        let removing = outcome.removed.iter().find(|name| around.registry.status(name).is_some());
        match (waiting, removing) {
            (None, None) => return outcome,
            (Some((status, ..)), _) => {
                let settled = current.iter().filter(is_settled).count();
                let percent = 60 + 40 * settled / current.len().max(1);
                let stage = format!("{} is {}", status.name, status.state.published().name());
                progress(u32::try_from(percent).unwrap_or(60), stage);
            }
            (None, Some(name)) => progress(90, format!("removing {name}")),
        }
        if changes.changed().await.is_err() {
            return outcome;
        }
    }
}

/// Names the component and its step, and shows its last words.
pub fn failure_of(around: &Surroundings, status: &Status) -> Failure {
    let fault = status.fault.clone();
    let message = fault.as_ref().map_or("it did not come up", |fault| fault.message.as_str());
    let error = Error::DeploymentFailed(format!("{} {}: {message}", status.name, status.version));
    Failure {
        component: Some(status.name.clone()),
        step: fault.and_then(|fault| fault.step),
        log: log::last_lines(&around.layout.log(&status.name), LAST_LINES),
        ..Failure::of(&error)
    }
}

/// Removes what no stored package refers to. Nothing is lost if it fails: the next time does it.
pub fn collect_packages(around: &Surroundings) {
    let kept = match around.records.packages() {
        Ok(packages) => packages.into_iter().map(|package| package.id).collect(),
        Err(error) => return tracing::error!("cannot read the packages: {error}"),
    };
    if let Err(error) = Packages::at(around.layout.packages()).collect(&kept) {
        tracing::warn!("cannot remove packages that are not needed: {error}");
    }
}
