//! Carries deployments out, one at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hedgerow_api::Error;
use hedgerow_component::platform::Platform;

use super::define::define;
use super::fault::{ErrorCode, Fault};
use super::history::History;
use super::plan::{PlanReport, VersionChange};
use super::prepare::{self, PrepareError, Request};
use super::reconcile::{collect_packages, packages, reconcile};
use super::view::{DeploymentStatus, DetailedStatus, Stage};
use super::wait::{Awaited, await_components};
use crate::definition::Definition;
use crate::driver::Surroundings;
use crate::jobs::{Failure, Job, Jobs, Outcome};
use crate::lifecycle::{State, StepKind};
use crate::packages::{NoRoom, PackageError, Place, notices};
use crate::registry::Status;

#[derive(Debug)]
pub(super) struct Worker {
    pub around: Arc<Surroundings>,
    pub jobs: Arc<Jobs>,
    pub history: Arc<History>,
    pub platform: Platform,
}

impl Worker {
    pub async fn deploy(&self, mut job: Job, request: Request) {
        let (id, deployment) = (job.id, request.document.id.clone());
        if *self.history.cancellation(&deployment).borrow() {
            let error = Error::DeploymentFailed("it was canceled".to_owned());
            let failure = Some(Failure::of(&error));
            self.jobs.finish(id, Outcome { failure, ..Outcome::default() });
            self.history.update(&deployment, |view| {
                (view.stage, view.status) = (Stage::Done, DeploymentStatus::Canceled);
            });
            return;
        }
        let (outcome, detailed, fault) = match self.decide(&mut job, request).await {
            Ok((outcome, awaited)) => {
                self.history.advance(&deployment, Stage::Applying, 60);
                self.jobs.progress(id, 60, "starting");
                let outcome = await_components(&self.around, awaited, outcome, |percent, stage| {
                    self.history.advance(&deployment, Stage::Applying, percent);
                    self.jobs.progress(id, percent, stage);
                })
                .await;
                let fault = outcome.failure.as_ref().map(|failure| {
                    let component = failure.component.as_deref().unwrap_or_default();
                    let codes = [ErrorCode::ComponentUpdate, ErrorCode::ComponentBroken];
                    Fault::of_component(component, &codes, failure.message.clone())
                });
                (outcome, DetailedStatus::FailedRollbackNotRequested, fault)
            }
            Err(error) => {
                let outcome = Outcome { failure: Some(Failure::of(&error)), ..Outcome::default() };
                let fault = Fault::internal(error.message());
                (outcome, DetailedStatus::FailedNoStateChange, Some(fault))
            }
        };
        self.history.update(&deployment, |view| {
            (view.stage, view.percent) = (Stage::Done, 100);
            (view.status, view.detailed) = match &fault {
                None => (DeploymentStatus::Succeeded, Some(DetailedStatus::Successful)),
                Some(fault) => {
                    view.set_fault(fault);
                    (DeploymentStatus::Failed, Some(detailed))
                }
            };
        });
        self.jobs.finish(id, outcome);
        collect_packages(&self.around);
    }

    /// Prepares and commits; afterwards it is desired, whatever happens to this process.
    async fn decide(&self, job: &mut Job, request: Request) -> Result<(Outcome, Awaited), Error> {
        let (around, jobs, platform) =
            (Arc::clone(&self.around), Arc::clone(&self.jobs), self.platform.clone());
        let (id, deployment) = (job.id, request.document.id.clone());
        let named: BTreeSet<String> =
            request.document.named().keys().map(ToString::to_string).collect();
        self.history.advance(&deployment, Stage::Resolving, 5);
        let prepared = tokio::task::spawn_blocking(move || {
            let progress = |percent, stage| jobs.progress(id, percent, stage);
            progress(5, "reading recipes".to_owned());
            let packages = packages(&around);
            let selection = prepare::select(&request, &around.records, &platform)?;
            prepare::definitions(&selection, &platform, &around.settings)?;
            prepare::bring(&request, selection, &packages, &platform, &progress)
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

    pub fn plan(&self, request: &Request) -> Result<PlanReport, Error> {
        let (around, platform) = (&self.around, &self.platform);
        let selection = prepare::select(request, &around.records, platform).map_err(refused)?;
        let after =
            prepare::definitions(&selection, platform, &around.settings).map_err(refused)?;
        let desired = around.records.desired().map_err(internal)?;
        let ingredients = around.records.ingredients(&desired).map_err(internal)?;
        let bytes_to_copy =
            prepare::bytes_to_copy(request, &selection, &packages(around), platform)
                .map_err(refused)?;
        let mut report = PlanReport { bytes_to_copy, ..PlanReport::default() };
        for name in &selection.removed {
            if let Some(row) = desired.get(name) {
                report.removed.insert(name.to_string(), row.version.to_string());
            }
        }
        for (name, selected) in &selection.components {
            let text = name.to_string();
            let stored = selected.candidate.stored.as_ref();
            let place = stored.map_or(Place::Store, |package| package.place);
            report.notices.extend(notices(&selected.candidate.recipe, place, platform));
            report.note_configuration(&text, &selected.before, &selected.after);
            let to = selected.candidate.recipe.version.to_string();
            let Some(old) = desired.get(name) else {
                report.added.insert(text, to);
                continue;
            };
            let from = old.version.to_string();
            if from != to {
                report.updated.insert(text, VersionChange { from, to });
                continue;
            }
            let before =
                define(name, &ingredients, platform, &around.settings).map_err(internal)?;
            let reasons = after.get(name).map(|after| restart_reasons(&before, after));
            match reasons.unwrap_or_default() {
                reasons if reasons.is_empty() => report.unchanged.push(text),
                reasons => {
                    report.restarted.insert(text, reasons);
                }
            }
        }
        Ok(report)
    }
}

/// Why an instance of `before` has to give way to `after`.
fn restart_reasons(before: &Definition, after: &Definition) -> Vec<String> {
    let mut reasons = Vec::new();
    for kind in StepKind::ALL {
        if before.steps.get(&kind) != after.steps.get(&kind) {
            reasons.push(format!("its {} step changes", kind.name()));
        }
    }
    if before.package != after.package {
        reasons.push("its recipe or artifacts change".to_owned());
    }
    if before.hard_dependencies != after.hard_dependencies {
        reasons.push("its dependencies change".to_owned());
    }
    reasons
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
        | PrepareError::Merge { .. }
        | PrepareError::Package(
            PackageError::Artifact { .. } | PackageError::NoArtifactDirectory { .. },
        )
        | PrepareError::Define(_) => Error::InvalidRecipe(message),
        PrepareError::Package(PackageError::Room(NoRoom::Disk { .. } | NoRoom::Limit { .. })) => {
            Error::DeploymentFailed(message)
        }
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
