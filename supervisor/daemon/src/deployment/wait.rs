//! The wait of a deployment for its components.

use std::collections::{BTreeMap, BTreeSet};

use hedgerow_api::Error;

use crate::driver::Surroundings;
use crate::jobs::{Failure, Outcome};
use crate::lifecycle::{Goal, State};
use crate::log;
use crate::registry::Status;

/// Lines of a failed component's log that its job shows.
const LAST_LINES: usize = 10;

/// What a job waits for.
#[derive(Debug)]
pub struct Awaited {
    /// Each component's definition (its digest), and whether it is to be up or stopped with it.
    pub targets: BTreeMap<String, (String, Goal)>,
    /// What was observed before anything was asked: a component that was broken then is not broken by this job.
    pub before: BTreeMap<String, Status>,
}

/// Waits until each component is up or has finished with the awaited definition.
///
/// # Errors
/// The status of one that is broken.
pub async fn all_up(
    around: &Surroundings,
    awaited: &Awaited,
    progress: impl Fn(u32, String),
) -> Result<(), Box<Status>> {
    let mut changes = around.registry.watch();
    let _awaiting = around.registry.awaiting(awaited.targets.keys().cloned());
    loop {
        changes.mark_unchanged();
        let current: Vec<Status> =
            awaited.targets.keys().filter_map(|name| around.registry.status(name)).collect();
        if let Some(broken) = current.iter().find(|status| awaited.is_broken(status)) {
            return Err(Box::new(broken.clone()));
        }
        let Some(waiting) = current.iter().find(|status| !awaited.is_settled(status)) else {
            return Ok(());
        };
        let settled = current.iter().filter(|status| awaited.is_settled(status)).count();
        let percent = 60 + 40 * settled / current.len().max(1);
        let stage = format!("{} is {}", waiting.name, waiting.state.published().name());
        progress(u32::try_from(percent).unwrap_or(60), stage);
        if changes.changed().await.is_err() {
            return Ok(());
        }
    }
}

impl Awaited {
    /// One that is not up yet.
    pub fn waiting(&self, around: &Surroundings) -> Option<Status> {
        let statuses = self.targets.keys().filter_map(|name| around.registry.status(name));
        statuses.into_iter().find(|status| !self.is_settled(status))
    }

    fn is_broken(&self, status: &Status) -> bool {
        let is_current =
            self.targets.get(&status.name).is_some_and(|(digest, _)| status.digest == *digest);
        let before = self.before.get(&status.name);
        let is_news = before.is_none_or(|before| before.changed != status.changed);
        is_current && is_news && status.state == State::Broken
    }

    fn is_settled(&self, status: &Status) -> bool {
        let Some((digest, goal)) = self.targets.get(&status.name) else { return true };
        let is_there = match goal {
            Goal::Run => matches!(status.state, State::Running | State::Finished),
            Goal::Stop | Goal::Remove => status.state == State::Finished,
        };
        // One that was held rests until it has heard that it may run.
        status.digest == *digest && status.goal == *goal && is_there
    }
}

/// Like [`all_up`], as the outcome of a job.
pub async fn await_components(
    around: &Surroundings,
    awaited: Awaited,
    mut outcome: Outcome,
    progress: impl Fn(u32, String),
) -> Outcome {
    if let Err(broken) = all_up(around, &awaited, progress).await {
        outcome.failure = Some(failure_of(around, &broken));
    }
    outcome
}

/// Removes components, dependents first, and returns when none is left.
pub async fn remove(around: &Surroundings, names: &BTreeSet<String>) {
    around.registry.end_in_order(Goal::Remove, |status| names.contains(&status.name)).await;
    for name in names {
        around.hub.remove_policies(name);
        around.services.metrics.forget(name);
    }
}

/// Names the component and its step, and shows its last words.
pub fn failure_of(around: &Surroundings, status: &Status) -> Failure {
    let fault = status.fault.clone();
    let message =
        fault.as_ref().map_or_else(|| "it did not come up".to_owned(), ToString::to_string);
    let error = Error::DeploymentFailed(format!("{} {}: {message}", status.name, status.version));
    Failure {
        component: Some(status.name.clone()),
        step: fault.and_then(|fault| fault.step),
        log: last_lines(around, &status.name),
        ..Failure::of(&error)
    }
}

/// The last words of a component.
pub fn last_lines(around: &Surroundings, component: &str) -> Vec<String> {
    log::last_lines(&around.layout.log(component), LAST_LINES)
}
