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
/// The status of one that is broken, or of a broken one that it needs.
pub async fn all_up(
    around: &Surroundings,
    awaited: &Awaited,
    progress: impl Fn(u32, String),
) -> Result<(), Box<Status>> {
    let mut changes = around.registry.watch();
    let mut held = BTreeSet::new();
    let mut _awaiting = None;
    loop {
        changes.mark_unchanged();
        let all = around.registry.all();
        let needed = awaited.needed(&all);
        let names: BTreeSet<String> = awaited.targets.keys().chain(&needed).cloned().collect();
        if names != held {
            _awaiting = Some(around.registry.awaiting(names.clone()));
            held = names;
        }
        if let Some(broken) = all.iter().find(|status| awaited.is_broken(status, &needed)) {
            return Err(Box::new(broken.clone()));
        }
        let current: Vec<&Status> =
            all.iter().filter(|status| awaited.targets.contains_key(&status.name)).collect();
        let Some(waiting) = current.iter().find(|status| !awaited.is_settled(status)) else {
            return Ok(());
        };
        let settled = current.iter().filter(|status| awaited.is_settled(status)).count();
        let percent = 60 + 40 * settled / current.len().max(1);
        let stage = format!("{} is {}", waiting.name, waiting.state.published().as_str());
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

    /// What those that are not up yet need with `HARD`, and what that needs.
    fn needed(&self, all: &[Status]) -> BTreeSet<String> {
        let known: BTreeMap<&str, &Status> =
            all.iter().map(|status| (status.name.as_str(), status)).collect();
        let is_to_run = |status: &&Status| {
            let target = self.targets.get(&status.name);
            // A driver that follows another definition still has other dependencies.
            target.is_some_and(|(digest, goal)| *goal == Goal::Run && status.digest == *digest)
                && !self.is_settled(status)
        };
        let mut left: Vec<&Status> = all.iter().filter(is_to_run).collect();
        let mut needed = BTreeSet::new();
        while let Some(status) = left.pop() {
            for name in &status.hard_dependencies {
                if needed.insert(name.clone()) {
                    left.extend(known.get(name.as_str()));
                }
            }
        }
        needed
    }

    fn is_broken(&self, status: &Status, needed: &BTreeSet<String>) -> bool {
        let is_current = match self.targets.get(&status.name) {
            Some((digest, _)) => status.digest == *digest,
            None => needed.contains(&status.name),
        };
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

#[cfg(test)]
mod tests {
    use hedgerow_isolation::moment::Moment;

    use super::*;

    fn component(name: &str, state: State, needs: &[&str]) -> Status {
        Status {
            name: name.into(),
            version: "1.0.0".into(),
            digest: name.into(),
            goal: Goal::Run,
            state,
            changed: Moment::now(),
            paused: false,
            next_retry: None,
            pid: None,
            restarts: 0,
            begun: 0,
            tried: true,
            fault: None,
            fence: None,
            hard_dependencies: needs.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    fn awaited(targets: &[&str], before: &[Status]) -> Awaited {
        let target = |name: &&str| ((*name).to_owned(), ((*name).to_owned(), Goal::Run));
        let before = before.iter().map(|status| (status.name.clone(), status.clone()));
        Awaited { targets: targets.iter().map(target).collect(), before: before.collect() }
    }

    #[test]
    fn what_a_target_needs_fails_the_wait_when_it_breaks() {
        let all = [
            component("a", State::Broken, &[]),
            component("b", State::Installed, &["a"]),
            component("c", State::Installed, &["b"]),
            component("other", State::Broken, &[]),
        ];
        let broken = |awaited: &Awaited| {
            let needed = awaited.needed(&all);
            let broken = all.iter().filter(|status| awaited.is_broken(status, &needed));
            broken.map(|status| status.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(broken(&awaited(&["c"], &[])), ["a"], "through another");
        assert!(broken(&awaited(&["c"], &all)).is_empty(), "it was broken before, and may recover");
    }

    #[test]
    fn what_is_up_needs_nothing_more() {
        let all = [component("a", State::Broken, &[]), component("b", State::Running, &["a"])];
        assert!(awaited(&["b"], &[]).needed(&all).is_empty());
        // A circle, which is refused elsewhere, is walked once.
        let circle =
            [component("a", State::Installed, &["b"]), component("b", State::Installed, &["a"])];
        assert_eq!(awaited(&["a"], &[]).needed(&circle).len(), 2);
    }
}
