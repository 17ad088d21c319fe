//! Observing a component: it is started anew in a fence that tells what it denies, and once more as usual.

use std::time::Duration;

use hedgerow_api::{Error, JobKind, MAX_OBSERVATION};

use super::{LONGEST, Operations, failed};
use crate::driver::Surroundings;
use crate::jobs::{Jobs, Outcome};
use crate::lifecycle::{Goal, State};
use crate::registry::Command;

impl Operations {
    /// For so many seconds, or until the component has ended by itself.
    pub fn observe(&self, component: &str, seconds: u32) -> Result<u64, Error> {
        let before = self.status(component)?;
        let refused = |why: String| Err(Error::InvalidArgument(format!("{component}: {why}")));
        if !(1..=MAX_OBSERVATION).contains(&seconds) {
            return refused(format!("1 to {MAX_OBSERVATION} seconds, not {seconds}"));
        }
        if before.goal != Goal::Run {
            return refused("it is stopped: start it first".to_owned());
        }
        if before.state == State::Running && before.fence.is_none() {
            return refused("it is built in: there is no fence to observe".to_owned());
        }
        if !self.around.observations.begin(component) {
            return Err(Error::Busy(format!("{component} is being observed")));
        }
        let job = self.jobs.create(JobKind::Observe).id;
        let (name, operations) = (before.name, self.clone());
        tokio::spawn(async move {
            let Self { around, jobs } = operations;
            let seconds = Duration::from_secs(seconds.into());
            let outcome = observe(&around, &jobs, job, &name, seconds).await;
            jobs.finish(job, outcome);
        });
        Ok(job)
    }
}

async fn observe(
    around: &Surroundings,
    jobs: &Jobs,
    job: u64,
    name: &str,
    period: Duration,
) -> Outcome {
    let observations = &around.observations;
    jobs.progress(job, 0, format!("starting {name} to observe it"));
    restart(around, name).await;
    let opened = tokio::time::timeout(LONGEST, observations.opened(name)).await;
    if opened == Ok(true) {
        jobs.progress(job, 25, format!("observing {name}"));
        // Time that is over is no failure.
        let _ = tokio::time::timeout(period, ended(around, name)).await;
    }
    observations.end(name);
    if observations.is_told(name) {
        jobs.progress(job, 75, format!("starting {name} as usual"));
        restart(around, name).await;
    }
    let settled = tokio::time::timeout(LONGEST, observations.settled(name)).await.is_ok();
    let problem = match (opened, settled) {
        (Ok(true), true) => return Outcome::default(),
        (Ok(true), false) => "is still observed: `hedgerow restart` it",
        (Ok(false), _) => "was removed meanwhile",
        (Err(_), _) => "could not be started, nothing was observed",
    };
    failed(&Error::ComponentFailed(format!("{name} {problem}")))
}

async fn restart(around: &Surroundings, name: &str) {
    if let Some(commands) = around.registry.commands(name) {
        // A driver that has just ended has no fence any more.
        let _ = commands.send(Command::Restart).await;
    }
}

/// Returns once the component has done what it is for, or is not wanted any more.
async fn ended(around: &Surroundings, name: &str) {
    let mut changes = around.registry.watch();
    loop {
        changes.mark_unchanged();
        match around.registry.status(name) {
            Some(status) if status.state != State::Finished => {}
            Some(_) | None => return,
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}
