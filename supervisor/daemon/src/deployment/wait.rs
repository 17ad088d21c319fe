//! The wait of a deployment for its components.

use std::collections::BTreeMap;

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
