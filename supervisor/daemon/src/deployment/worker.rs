//! A deployment up to its commit: until then nothing has changed, and it may be given up at any moment.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hedgerow_component::ComponentName;
use hedgerow_component::platform::Platform;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::define::{configuration, define};
use super::document::{Change, UpdateAction};
use super::history::History;
use super::nucleus::Nucleus;
use super::prepare::{self, PrepareError, Prepared, Request};
use super::reconcile::{collect_packages, packages};
use super::record::{DeploymentRecord, Phase};
use super::refusal::Refusal;
use super::select;
use super::view::{DeploymentStatus, DetailedStatus, Stage};
use crate::consent::Answer;
use crate::definition::Definition;
use crate::driver::Surroundings;
use crate::jobs::{Failure, Job, Jobs, Outcome};
use crate::lifecycle::{State, StepKind};
use crate::records::RecordsError;

/// After so many times it gives up.
const OVERTAKEN: u32 = 16;

#[derive(Debug)]
pub(super) struct Worker {
    pub around: Arc<Surroundings>,
    pub jobs: Arc<Jobs>,
    pub history: Arc<History>,
    pub platform: Platform,
}

/// A deployment that was asked for and not decided yet.
#[derive(Debug)]
pub(super) struct Task {
    pub job: Job,
    pub request: Arc<Request>,
    /// When components first put it off.
    pub deferred: Option<Instant>,
    /// Times that a component has changed its configuration while the deployment was working out the next one.
    pub overtaken: u32,
}

/// What became of a task.
pub(super) enum Progress {
    Ended,
    /// Components put it off for this long.
    Deferred(Duration, Box<Task>),
}

/// What is known once everything is there that the deployment needs.
struct Ready {
    prepared: Prepared,
    record: DeploymentRecord,
}

impl Worker {
    pub async fn deploy(&self, mut task: Task) -> Progress {
        let id = task.request.document.id.clone();
        if !self.history.begin(&id) {
            self.around.consent.announce_done(id.as_str());
            return Progress::Ended;
        }
        let mut canceled = self.history.cancellation(&id);
        let result = loop {
            let outcome = tokio::select! {
                biased;
                () = until(&mut canceled) => Err(Refusal::Canceled),
                outcome = self.make_ready(&mut task) => outcome,
            };
            match outcome {
                Ok(Ok(ready)) => match self.decide(&task, ready).await {
                    Err(Refusal::Records(RecordsError::Overtaken(_)))
                        if task.overtaken < OVERTAKEN =>
                    {
                        task.overtaken += 1;
                    }
                    decided => break decided,
                },
                Ok(Err(wait)) => return Progress::Deferred(wait, Box::new(task)),
                Err(refusal) => break Err(refusal),
            }
        };
        if let Err(refusal) = result {
            self.refuse(&task, &refusal);
            collect_packages(&self.around);
        }
        self.around.consent.announce_done(id.as_str());
        Progress::Ended
    }

    /// Everything that may fail, be refused or be put off. `Ok(Err(wait))`: components put it off.
    async fn make_ready(&self, task: &mut Task) -> Result<Result<Ready, Duration>, Refusal> {
        self.check_document(&task.request)?;
        let limit = self.around.settings.deployment.prepare_timeout();
        let late = |_| Refusal::TimedOut {
            what: "bringing everything into the store",
            limit,
            key: "deployment.prepare-timeout",
        };
        let (prepared, definitions) = timeout(limit, self.prepare(task)).await.map_err(late)??;
        let mut record = DeploymentRecord::of(&task.request.document, task.job.id);
        self.note_changes(&mut record, &task.request, &prepared, &definitions)?;
        if let Some(wait) = self.ask(task, &record).await? {
            return Ok(Err(wait));
        }
        self.validate(task, &prepared).await?;
        Ok(Ok(Ready { prepared, record }))
    }

    pub(super) fn check_document(&self, request: &Request) -> Result<(), Refusal> {
        let document = &request.document;
        let missing = document.missing_capabilities();
        if !missing.is_empty() {
            let missing = missing.into_iter().map(str::to_owned).collect();
            return Err(Refusal::Capabilities(missing));
        }
        let groups = self.around.records.groups()?;
        let newest = groups.get(&document.group).map_or(0, |row| row.created);
        match document.change {
            Change::Complete { .. } if document.created < newest => Err(Refusal::Stale {
                id: document.id.clone(),
                group: document.group.clone(),
                created: document.created,
                newest,
            }),
            Change::Complete { .. } | Change::Delta { .. } => Ok(()),
        }
    }

    /// Resolves and copies. Whoever drops the future makes the copying end at the next block.
    async fn prepare(
        &self,
        task: &Task,
    ) -> Result<(Prepared, BTreeMap<ComponentName, Definition>), Refusal> {
        let (around, platform) = (Arc::clone(&self.around), self.platform.clone());
        let (history, jobs) = (Arc::clone(&self.history), Arc::clone(&self.jobs));
        let (request, job) = (Arc::clone(&task.request), task.job.id);
        let wanted = Arc::new(AtomicBool::new(true));
        let _unwanted_once_dropped = Unwanted(Arc::clone(&wanted));
        let work = tokio::task::spawn_blocking(move || {
            let id = &request.document.id;
            history.advance(id, Stage::Resolving, 5);
            jobs.progress(job, 5, "reading recipes");
            let (records, settings) = (&around.records, &around.settings);
            let selection = select::select(&request, &around.layout.image, records, &platform)?;
            prepare::foresee(&selection, records, &platform, settings)?;
            history.advance(id, Stage::Copying, 10);
            let prepared = prepare::bring(&request, selection, &packages(&around), &|percent| {
                let percent = 10 + percent * 2 / 5;
                history.advance(id, Stage::Copying, percent);
                jobs.progress(job, percent, "copying artifacts");
                match wanted.load(Ordering::Relaxed) {
                    true => ControlFlow::Continue(()),
                    false => ControlFlow::Break(()),
                }
            })?;
            let definitions = prepare::definitions(&prepared, records, &platform, settings)?;
            Ok::<_, PrepareError>((prepared, definitions))
        });
        Ok(work.await??)
    }

    /// What it will change, compared with what the drivers follow now.
    fn note_changes(
        &self,
        record: &mut DeploymentRecord,
        request: &Request,
        prepared: &Prepared,
        definitions: &BTreeMap<ComponentName, Definition>,
    ) -> Result<(), Refusal> {
        let named = request.document.named();
        for (name, definition) in definitions {
            let status = self.around.registry.status(name.as_str());
            let is_broken = status.as_ref().is_some_and(|status| status.state == State::Broken);
            let is_failing = status
                .as_ref()
                .is_some_and(|status| status.fault.is_some() && !status.state.is_ready());
            let is_same = status.is_some_and(|status| status.digest == definition.digest);
            // A broken component gets another chance, but only who names it waits for that.
            if !is_same || (is_broken && named.contains_key(name)) {
                record.changed.insert(name.clone());
            }
            if is_broken || is_failing {
                record.broken_before.insert(name.clone());
            }
        }
        record.removed = prepared.removed.clone();
        self.note_bootstraps(record, prepared, definitions)
    }

    /// Whose bootstrap is to run: of what is new, of another version, or has another bootstrap.
    fn note_bootstraps(
        &self,
        record: &mut DeploymentRecord,
        prepared: &Prepared,
        definitions: &BTreeMap<ComponentName, Definition>,
    ) -> Result<(), Refusal> {
        let desired = select::wanted_to_stay(&self.around.records)?;
        let before = self.around.records.ingredients(&desired)?.ingredients;
        let settings = &self.around.settings;
        let platform_before = Nucleus::of(&before).platform(&self.platform);
        for name in prepared.order.iter().filter(|name| record.changed.contains(*name)) {
            // What cannot be defined any more, like what was not there, has had no bootstrap that counts.
            let old = define(name, &before, &self.platform, settings).ok();
            let script = |definition: &Definition| {
                let step = definition.steps.get(&StepKind::Bootstrap)?;
                Some((definition.version.clone(), step.script.clone()))
            };
            let (was, is) = (old.as_ref().and_then(script), definitions.get(name).and_then(script));
            if is.is_some() && is != was {
                record.bootstraps.push(name.clone());
            }
            let again = before.get(name).and_then(|old| {
                let manifest = old.recipe.as_ref().ok()?.manifest_for(&platform_before).ok()?;
                manifest.lifecycle.step(StepKind::Bootstrap)
            });
            if again.is_some_and(|step| step.bootstrap_on_rollback) {
                record.rollback_bootstraps.push(name.clone());
            }
        }
        Ok(())
    }

    /// Asks the components, where the document wants that. Returns how long they put it off.
    async fn ask(
        &self,
        task: &mut Task,
        record: &DeploymentRecord,
    ) -> Result<Option<Duration>, Refusal> {
        let document = &task.request.document;
        // Who has agreed is not asked again because of a configuration that changed in between.
        if document.update_policy.action == UpdateAction::SkipNotify || task.overtaken > 0 {
            return Ok(None);
        }
        self.history.advance(&document.id, Stage::Notifying, 50);
        self.jobs.progress(task.job.id, 50, "asking components");
        let affected: Vec<String> = record.components().iter().map(ToString::to_string).collect();
        let (id, limit) = (document.id.as_str(), document.update_policy.timeout);
        match self.around.consent.ask_update(id, &affected, limit).await {
            Answer::Proceed => Ok(None),
            Answer::Wait(wait) => {
                let limit = self.around.settings.deployment.defer_limit();
                let since = *task.deferred.get_or_insert_with(Instant::now);
                let left = limit.checked_sub(since.elapsed());
                let left = left.ok_or(Refusal::DeferredTooLong { limit })?;
                self.jobs.progress(task.job.id, 50, "put off by a component");
                Ok(Some(wait.min(left)))
            }
        }
    }

    /// Has those components judge their configuration whose configuration changes and whose version does not.
    async fn validate(&self, task: &Task, prepared: &Prepared) -> Result<(), Refusal> {
        let document = &task.request.document;
        self.history.advance(&document.id, Stage::Validating, 52);
        let limit = document.validation_timeout;
        let around = &self.around;
        let all = prepare::ingredients(prepared, &around.records)?;
        for (name, chosen) in &prepared.components {
            let status = self.around.registry.status(name.as_str());
            let version = chosen.package.parse().map_err(PrepareError::from)?.version.to_string();
            let is_same_version = status.is_some_and(|status| status.version == version);
            if is_same_version && chosen.before.value() != chosen.after.value() {
                let value = all.get(name).map(|own| configuration(own, &all, &around.settings));
                let value = value.map_or_else(|| chosen.after.value(), Cow::into_owned);
                around.consent.validate(document.id.as_str(), name.as_str(), value, limit).await?;
            }
        }
        Ok(())
    }

    /// Commits; from then on it is desired, whatever happens to this process.
    async fn decide(&self, task: &Task, ready: Ready) -> Result<(), Refusal> {
        let Ready { prepared, mut record } = ready;
        let mut job = task.job.clone();
        let is_desired: BTreeSet<_> = prepared.components.keys().map(ToString::to_string).collect();
        job.components = is_desired.into_iter().collect();
        job.state = hedgerow_api::JobState::Running;
        self.jobs.progress(job.id, 55, "committing");
        record.phase =
            if record.bootstraps.is_empty() { Phase::Applying } else { Phase::Bootstrap };
        let kept: Vec<String> = prepared
            .components
            .keys()
            .filter(|name| !record.changed.contains(*name))
            .map(ToString::to_string)
            .collect();
        let is_news = self.around.records.deploy(&prepared, &record, &job)?;
        for (name, chosen) in &prepared.components {
            let changes = chosen.after.changes_since(&chosen.before);
            if !changes.is_empty() {
                self.around.configuration_changed(name.as_str(), &changes.paths());
            }
        }
        if is_news || !record.changed.is_empty() {
            self.carry_out(record, kept, is_news).await;
            return Ok(());
        }
        let view = record.view().components;
        self.history.update(&record.id, |now| {
            (now.stage, now.percent, now.components) = (Stage::Done, 100, view);
            now.status = DeploymentStatus::Succeeded;
            now.detailed = Some(DetailedStatus::Successful);
        });
        self.jobs.finish_unstored(job.id, Outcome { kept, ..Outcome::default() });
        Ok(())
    }

    fn refuse(&self, task: &Task, refusal: &Refusal) {
        tracing::warn!(deployment = task.request.document.id.as_str(), "{refusal}");
        let mut record = DeploymentRecord::of(&task.request.document, task.job.id);
        let (status, detailed) = match refusal {
            Refusal::Canceled => (DeploymentStatus::Canceled, None),
            refusal if refusal.is_rejection() => {
                (DeploymentStatus::Rejected, Some(DetailedStatus::Rejected))
            }
            _ => (DeploymentStatus::Failed, Some(DetailedStatus::FailedNoStateChange)),
        };
        record.phase = Phase::Ended { status, detailed };
        record.fault = Some(refusal.fault());
        let failure = Some(Failure::of(&refusal.error()));
        let outcome = Outcome { failure, ..Outcome::default() };
        if let Err(error) = self.end(&record, outcome.clone(), BTreeSet::new()) {
            // Nothing was decided, so nothing is left to be done by anybody.
            tracing::error!(deployment = record.id.as_str(), "cannot store the refusal: {error}");
            self.history.update(&record.id, |now| *now = record.view());
            self.jobs.finish_unstored(record.job, outcome);
        }
    }
}

/// Resolves when it is true.
pub(super) async fn until(canceled: &mut watch::Receiver<bool>) {
    if canceled.wait_for(|canceled| *canceled).await.is_err() {
        // Nobody can cancel it any more.
        std::future::pending().await
    }
}

/// Tells the thread that copies that nobody waits for it any more.
struct Unwanted(Arc<AtomicBool>);

impl Drop for Unwanted {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
