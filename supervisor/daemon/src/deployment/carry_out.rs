//! A deployment from its commit to its end, in this daemon or in the next: the record says where to go on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hedgerow_api::Error;
use hedgerow_component::ComponentName;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::document::FailurePolicy;
use super::fault::{ErrorCode, Fault};
use super::reconcile::{collect_packages, reconcile};
use super::record::{DeploymentRecord, Phase};
use super::view::{DeploymentStatus, DetailedStatus};
use super::wait::{self, Awaited, all_up, failure_of};
use super::worker::{Worker, until};
use crate::jobs::{Failure, Outcome};
use crate::lifecycle::Goal;
use crate::records::{Forgotten, RecordsError};
use crate::registry::Status;
use crate::release;

/// How long until the end of a deployment that could not be stored is stored again.
const STORE_AGAIN: Duration = Duration::from_secs(5);

/// Why what was desired did not come about.
pub(super) struct Setback {
    pub fault: Fault,
    pub failure: Failure,
    pub canceled: bool,
}

impl Worker {
    /// `is_stored`: there is a record of it in the store.
    pub(super) async fn carry_out(
        &self,
        mut record: DeploymentRecord,
        kept: Vec<String>,
        is_stored: bool,
    ) {
        let before = self.statuses();
        // How it ended is shown once that is stored.
        while !record.is_ended() {
            self.show(&record);
            let next = match record.phase {
                Phase::Bootstrap => self.bootstrap(&mut record).await,
                Phase::Applying => self.apply(&record, &before).await,
                Phase::RollingBack => self.bring_back(&mut record).await,
                Phase::Removing => self.remove(&record).await,
                Phase::Ended { .. } => break,
            };
            if let Err(setback) = next {
                self.set_back(&mut record, setback, is_stored).await;
            } else {
                self.go_on(&mut record);
            }
        }
        let removed = self.removed();
        let mut outcome = self.outcome(&record, kept);
        outcome.removed = record.removed.iter().map(ToString::to_string).collect();
        let (phase, is_held) = (record.phase, !record.bootstraps.is_empty());
        self.end_decided(record, outcome, removed).await;
        if is_held {
            let limit = self.around.settings.deployment.apply_timeout();
            let let_go = "cannot let go on what waited for a bootstrap";
            match timeout(limit, reconcile(&self.around, &self.platform)).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::error!("{let_go}: {error}"),
                Err(_) => tracing::error!("{let_go} within {} s", limit.as_secs()),
            }
        }
        if phase == failed(DetailedStatus::FailedUnableToRollback) {
            self.sweep().await;
        }
        collect_packages(&self.around);
        release::unused(&self.around).await;
    }

    /// What comes after a phase that went well.
    fn go_on(&self, record: &mut DeploymentRecord) {
        let succeeded = Phase::Ended {
            status: DeploymentStatus::Succeeded,
            detailed: Some(DetailedStatus::Successful),
        };
        let stored = match record.phase {
            Phase::Bootstrap => {
                record.phase = Phase::Applying;
                self.around.records.advance(record)
            }
            Phase::Applying if record.removed.is_empty() => {
                record.phase = succeeded;
                Ok(())
            }
            Phase::Applying => {
                record.phase = Phase::Removing;
                self.around.records.remove_unwanted(record)
            }
            Phase::Removing => {
                record.phase = succeeded;
                Ok(())
            }
            Phase::RollingBack => {
                let status = if record.canceled {
                    DeploymentStatus::Canceled
                } else {
                    DeploymentStatus::Failed
                };
                let detailed = Some(DetailedStatus::FailedRollbackComplete);
                record.phase = Phase::Ended { status, detailed };
                Ok(())
            }
            Phase::Ended { .. } => Ok(()),
        };
        if let Err(error) = stored {
            tracing::error!(deployment = record.id.as_str(), "{error}");
            record.fault = Some(Fault::internal(error.to_string()));
            record.failure = Some(Failure::of(&Error::Internal(error.to_string())));
            record.phase = failed(DetailedStatus::FailedRollbackNotRequested);
        }
    }

    /// What comes after a phase that went wrong.
    async fn set_back(&self, record: &mut DeploymentRecord, setback: Setback, is_stored: bool) {
        let Setback { fault, failure, canceled } = setback;
        tracing::warn!(deployment = record.id.as_str(), "{}", fault.cause);
        // The first thing that went wrong is the cause of the rest.
        record.fault.get_or_insert(fault);
        record.failure.get_or_insert(failure);
        record.canceled |= canceled;
        match (record.phase, record.failure_policy) {
            (Phase::RollingBack, _) => {
                record.phase = failed(DetailedStatus::FailedUnableToRollback);
            }
            (Phase::Removing | Phase::Ended { .. }, _) => {
                record.phase = failed(DetailedStatus::FailedRollbackNotRequested);
            }
            (Phase::Bootstrap | Phase::Applying, FailurePolicy::DoNothing) => {
                let status = if record.canceled {
                    DeploymentStatus::Canceled
                } else {
                    DeploymentStatus::Failed
                };
                let detailed = Some(DetailedStatus::FailedRollbackNotRequested);
                record.phase = Phase::Ended { status, detailed };
            }
            (Phase::Bootstrap | Phase::Applying, FailurePolicy::Rollback) if !is_stored => {
                // It only gave what was there another chance.
                record.phase = failed(DetailedStatus::FailedNoStateChange);
            }
            (Phase::Bootstrap | Phase::Applying, FailurePolicy::Rollback) => {
                record.phase = Phase::RollingBack;
                record.bootstraps = std::mem::take(&mut record.rollback_bootstraps);
                match self.around.records.roll_back(record) {
                    Ok(changed) => {
                        for (name, paths) in changed {
                            self.around.configuration_changed(name.as_str(), &paths);
                        }
                    }
                    Err(error) => {
                        tracing::error!(deployment = record.id.as_str(), "rollback: {error}");
                        record.phase = failed(DetailedStatus::FailedUnableToRollback);
                    }
                }
            }
        }
    }

    async fn apply(
        &self,
        record: &DeploymentRecord,
        before: &BTreeMap<String, Status>,
    ) -> Result<(), Setback> {
        let awaited = |name: &ComponentName| record.changed.contains(name);
        self.reconcile_and_wait(record, awaited, before.clone()).await
    }

    /// What was before: up again, but for what was broken then and what needs that. What came is removed.
    async fn bring_back(&self, record: &mut DeploymentRecord) -> Result<(), Setback> {
        if !record.bootstraps.is_empty() {
            self.bootstrap(record).await?;
        }
        let before = self.statuses();
        let hopeless = self.dependents_of(&record.broken_before);
        let awaited = |name: &ComponentName| {
            record.changed.contains(name) && !hopeless.contains(name.as_str())
        };
        self.reconcile_and_wait(record, awaited, before).await?;
        self.remove(record).await
    }

    pub(super) async fn reconcile_and_wait(
        &self,
        record: &DeploymentRecord,
        is_awaited: impl Fn(&ComponentName) -> bool,
        before: BTreeMap<String, Status>,
    ) -> Result<(), Setback> {
        let limit = self.around.settings.deployment.apply_timeout();
        let deadline = Instant::now() + limit;
        let desired = tokio::select! {
            desired = timeout_at(deadline, reconcile(&self.around, &self.platform)) => match desired {
                Ok(desired) => desired.map_err(|error| Setback::internal(&error))?,
                Err(_) => return Err(Setback::untold(limit, "deployment.apply-timeout")),
            },
            () = self.cancellation_of(record) => return Err(Setback::canceled()),
        };
        let is_awaited = |name: &str| {
            ComponentName::try_from(name.to_owned()).is_ok_and(|name| is_awaited(&name))
        };
        let targets = desired
            .targets()
            .filter(|(name, (_, goal))| *goal != Goal::Remove && is_awaited(name))
            .collect();
        let awaited = Awaited { targets, before };
        let stage = record.view().stage;
        let progress = |percent, what: String| {
            self.history.advance(&record.id, stage, percent);
            self.jobs.progress(record.job, percent, what);
        };
        tokio::select! {
            up = timeout_at(deadline, all_up(&self.around, &awaited, progress)) => match up {
                Ok(Ok(())) => Ok(()),
                Ok(Err(broken)) => Err(Setback::broken(failure_of(&self.around, &broken))),
                Err(_) => Err(self.stuck(&awaited)),
            },
            () = self.cancellation_of(record) => Err(Setback::canceled()),
        }
    }

    /// Resolves when it is to end early. A rollback is what a cancellation comes to: nothing is left to be canceled
    /// of it.
    pub(super) async fn cancellation_of(&self, record: &DeploymentRecord) {
        if record.phase == Phase::RollingBack {
            std::future::pending::<()>().await;
        }
        until(&mut self.history.cancellation(&record.id)).await;
    }

    /// Removes everything that is marked so in the store.
    async fn remove(&self, record: &DeploymentRecord) -> Result<(), Setback> {
        let names = match self.around.records.desired() {
            Ok(desired) => desired
                .into_iter()
                .filter(|(_, row)| row.goal == Goal::Remove)
                .map(|(name, _)| name.to_string())
                .collect::<BTreeSet<_>>(),
            Err(error) => return Err(Setback::internal(&error)),
        };
        if names.is_empty() {
            return Ok(());
        }
        let limit = self.around.settings.deployment.remove_timeout();
        let deadline = Instant::now() + limit;
        match timeout_at(deadline, reconcile(&self.around, &self.platform)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(Setback::internal(&error)),
            Err(_) => return Err(Setback::untold(limit, "deployment.remove-timeout")),
        }
        self.jobs.progress(record.job, 90, "removing what is not needed any more");
        match timeout_at(deadline, wait::remove(&self.around, &names)).await {
            Ok(()) => Ok(()),
            Err(_) => {
                let left = names.iter().find(|name| self.around.registry.status(name).is_some());
                let left = left.cloned().unwrap_or_default();
                let cause = format!(
                    "{left} is not gone after {} s (deployment.remove-timeout); it is removed later",
                    limit.as_secs()
                );
                let error = Error::DeploymentFailed(cause.clone());
                let fault = Fault::of_component(&left, &[ErrorCode::RemoveComponent], cause);
                let failure = Failure { component: Some(left), ..Failure::of(&error) };
                Err(Setback { fault, failure, canceled: false })
            }
        }
    }

    fn stuck(&self, awaited: &Awaited) -> Setback {
        let limit = self.around.settings.deployment.apply_timeout().as_secs();
        let waiting = awaited.waiting(&self.around);
        let (name, state) = waiting.map_or((String::new(), ""), |status| {
            (status.name.clone(), status.state.published().as_str())
        });
        let cause = format!("{name} is {state} after {limit} s (deployment.apply-timeout)");
        let codes = [ErrorCode::ComponentUpdate, ErrorCode::DeploymentInterrupted];
        let failure = Failure::of(&Error::DeploymentFailed(cause.clone()));
        let fault = Fault::of_component(&name, &codes, cause);
        Setback { fault, failure: Failure { component: Some(name), ..failure }, canceled: false }
    }

    /// The components, and whatever needs one of them.
    fn dependents_of(&self, names: &BTreeSet<ComponentName>) -> BTreeSet<String> {
        let mut found: BTreeSet<String> = names.iter().map(ToString::to_string).collect();
        let all = self.around.registry.all();
        loop {
            let more = all.iter().filter(|status| {
                !found.contains(&status.name)
                    && status.hard_dependencies.iter().any(|needed| found.contains(needed))
            });
            let more: Vec<String> = more.map(|status| status.name.clone()).collect();
            if more.is_empty() {
                return found;
            }
            found.extend(more);
        }
    }

    /// Ends what an earlier deployment, or an earlier daemon, could not: components that were to be removed.
    pub(super) async fn sweep(&self) {
        let limit = self.around.settings.deployment.remove_timeout();
        let names = self.leftovers();
        if names.is_empty() {
            return;
        }
        if timeout(limit, wait::remove(&self.around, &names)).await.is_err() {
            tracing::warn!("not gone yet: {names:?}");
        }
        let removed = self.removed();
        if removed.is_empty() {
            return;
        }
        if let Err(error) = self.around.records.forget_removed(&removed) {
            tracing::error!("cannot forget what was removed: {error}");
        }
        collect_packages(&self.around);
        release::unused(&self.around).await;
    }

    pub(super) fn has_leftovers(&self) -> bool {
        !self.leftovers().is_empty()
    }

    /// Resolves once [`sweep`](Self::sweep) has something to end. May be dropped at any moment: no deployment waits
    /// for it.
    pub(super) async fn leftovers_gone(&self) {
        // Where it could not be stored that they are gone, that has to wait too.
        sleep(STORE_AGAIN).await;
        wait::remove(&self.around, &self.leftovers()).await;
    }

    /// What was to be removed, whether it is gone or not.
    fn leftovers(&self) -> BTreeSet<String> {
        let desired = self.around.records.desired().unwrap_or_default();
        let rows = desired.into_iter().filter(|(_, row)| row.goal == Goal::Remove);
        rows.map(|(name, _)| name.to_string()).collect()
    }

    /// What was to be removed and is.
    pub(super) fn removed(&self) -> BTreeSet<ComponentName> {
        let desired = self.around.records.desired().unwrap_or_default();
        let is_gone = |name: &ComponentName| self.around.registry.status(name.as_str()).is_none();
        desired
            .into_iter()
            .filter(|(name, row)| row.goal == Goal::Remove && is_gone(name))
            .map(|(name, _)| name)
            .collect()
    }

    fn outcome(&self, record: &DeploymentRecord, kept: Vec<String>) -> Outcome {
        let started = record.changed.iter().map(ToString::to_string).collect();
        Outcome { started, kept, failure: record.failure.clone(), ..Outcome::default() }
    }

    pub(super) fn statuses(&self) -> BTreeMap<String, Status> {
        let all = self.around.registry.all();
        all.into_iter().map(|status| (status.name.clone(), status)).collect()
    }

    fn show(&self, record: &DeploymentRecord) {
        let view = record.view();
        self.jobs.progress(record.job, view.percent, view.stage.as_str());
        self.history.update(&record.id, |now| {
            let percent = now.percent.max(view.percent);
            *now = view;
            now.percent = percent;
        });
    }

    /// Stores and shows how it ended. What was decided stays at work until that is stored: it is tried again until
    /// it is, and no other deployment is taken meanwhile.
    async fn end_decided(
        &self,
        record: DeploymentRecord,
        outcome: Outcome,
        removed: BTreeSet<ComponentName>,
    ) {
        while let Err(error) = self.end(&record, outcome.clone(), removed.clone()) {
            tracing::error!(deployment = record.id.as_str(), "cannot store how it ended: {error}");
            self.jobs.progress(record.job, 99, format!("cannot store how it ended: {error}"));
            sleep(STORE_AGAIN).await;
        }
    }

    /// Stores and shows how it ended.
    pub(super) fn end(
        &self,
        record: &DeploymentRecord,
        outcome: Outcome,
        removed: BTreeSet<ComponentName>,
    ) -> Result<(), RecordsError> {
        let kept = self.around.settings.deployment.history as usize;
        self.jobs.finish_with(record.job, outcome, |job, jobs| {
            let forgotten = Forgotten {
                components: removed,
                jobs: jobs.to_vec(),
                kept: kept.saturating_sub(1),
            };
            self.around.records.finish(record, job, &forgotten)
        })?;
        self.history.update(&record.id, |now| *now = record.view());
        self.history.keep(kept);
        Ok(())
    }
}

impl Setback {
    fn broken(failure: Failure) -> Self {
        let component = failure.component.clone().unwrap_or_default();
        let codes = [ErrorCode::ComponentUpdate, ErrorCode::ComponentBroken];
        let fault = Fault::of_component(&component, &codes, failure.message.clone());
        Self { fault, failure, canceled: false }
    }

    /// Drivers did not take what they were told.
    fn untold(limit: Duration, key: &str) -> Self {
        let cause =
            format!("a component's driver takes no command after {} s ({key})", limit.as_secs());
        let failure = Failure::of(&Error::DeploymentFailed(cause.clone()));
        let codes = [ErrorCode::ComponentUpdate, ErrorCode::DeploymentInterrupted];
        Self { fault: Fault::new(&codes, cause), failure, canceled: false }
    }

    pub(super) fn canceled() -> Self {
        let cause = "it was canceled while it was carried out".to_owned();
        let failure = Failure::of(&Error::DeploymentFailed(cause.clone()));
        let fault = Fault::new(&[ErrorCode::DeploymentInterrupted], cause);
        Self { fault, failure, canceled: true }
    }

    pub(super) fn internal(error: &dyn std::error::Error) -> Self {
        let failure = Failure::of(&Error::Internal(error.to_string()));
        Self { fault: Fault::internal(error.to_string()), failure, canceled: false }
    }
}

fn failed(detailed: DetailedStatus) -> Phase {
    Phase::Ended { status: DeploymentStatus::Failed, detailed: Some(detailed) }
}
