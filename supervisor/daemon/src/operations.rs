//! What an operator, or a component that may, does to a running component. Each is a job.

use std::sync::Arc;

use hedgerow_api::{Error, JobKind};
use hedgerow_component::ComponentName;

use crate::deployment::failure_of;
use crate::driver::Surroundings;
use crate::jobs::{Failure, Jobs, Outcome};
use crate::lifecycle::{Goal, State};
use crate::registry::{Command, Status};

#[derive(Debug, Clone)]
pub struct Operations {
    pub around: Arc<Surroundings>,
    pub jobs: Arc<Jobs>,
}

impl Operations {
    pub fn start(&self, component: &str) -> Result<u64, Error> {
        self.operate(component, JobKind::Start, Goal::Run, |before, now| {
            is_up(now) && (is_another(before, now) || before.state == State::Running)
        })
    }

    pub fn stop(&self, component: &str) -> Result<u64, Error> {
        self.operate(component, JobKind::Stop, Goal::Stop, |_, now| now.state == State::Finished)
    }

    pub fn restart(&self, component: &str) -> Result<u64, Error> {
        self.operate(component, JobKind::Restart, Goal::Run, |before, now| {
            is_up(now) && is_another(before, now)
        })
    }

    /// Forgets what went wrong, and tries again now where that is why the component waits.
    pub async fn reset(&self, component: &str) -> Result<(), Error> {
        let status = self.status(component)?;
        if let Some(commands) = self.around.registry.commands(&status.name) {
            // A driver that has just ended needs no telling.
            let _ = commands.send(Command::Reset).await;
        }
        Ok(())
    }

    pub fn status(&self, component: &str) -> Result<Status, Error> {
        self.around
            .registry
            .status(component)
            .ok_or_else(|| Error::NoSuchComponent(format!("no component {component} is deployed")))
    }

    /// A job that changes what is wanted of one component, durably before this returns, and waits for it to be so.
    fn operate(
        &self,
        component: &str,
        kind: JobKind,
        goal: Goal,
        done: fn(&Status, &Status) -> bool,
    ) -> Result<u64, Error> {
        let before = self.status(component)?;
        let name = ComponentName::try_from(component.to_owned())
            .map_err(|error| Error::InvalidArgument(error.to_string()))?;
        let mut job = self.jobs.create(kind);
        job.components.push(component.to_owned());
        if let Err(error) = self.around.records.set_goal(&name, goal, &job) {
            let error = Error::Internal(error.to_string());
            let failure = Some(Failure::of(&error));
            self.jobs.finish(job.id, Outcome { failure, ..Outcome::default() });
            return Err(error);
        }
        self.jobs.progress(
            job.id,
            0,
            format!("{} is {}", before.name, before.state.published().name()),
        );
        let (around, jobs) = (Arc::clone(&self.around), Arc::clone(&self.jobs));
        tokio::spawn(async move {
            let outcome = operate(&around, &before, kind, goal, done).await;
            jobs.finish(job.id, outcome);
        });
        Ok(job.id)
    }
}

async fn operate(
    around: &Surroundings,
    before: &Status,
    kind: JobKind,
    goal: Goal,
    done: fn(&Status, &Status) -> bool,
) -> Outcome {
    let mut changes = around.registry.watch();
    if let Some(commands) = around.registry.commands(&before.name) {
        let at_rest = matches!(before.state, State::Errored(_) | State::Broken | State::Finished);
        let again = kind == JobKind::Restart || at_rest;
        // A driver that is gone is noticed below. The goal comes last: it starts what rests, and a restart after
        // that would start it a second time.
        if goal == Goal::Run && again {
            let _ = commands.send(Command::Restart).await;
        }
        let _ = commands.send(Command::Goal(goal)).await;
    }
    loop {
        changes.mark_unchanged();
        let Some(status) = around.registry.status(&before.name) else {
            let error = Error::NoSuchComponent(format!("{} was removed meanwhile", before.name));
            return Outcome { failure: Some(Failure::of(&error)), ..Outcome::default() };
        };
        if done(before, &status) {
            return Outcome { started: vec![before.name.clone()], ..Outcome::default() };
        }
        if status.state == State::Broken && status.changed != before.changed {
            let mut failure = failure_of(around, &status);
            let error = Error::ComponentFailed(failure.message);
            failure =
                Failure { message: error.to_job().message, error: error.to_job().name, ..failure };
            return Outcome { failure: Some(failure), ..Outcome::default() };
        }
        if changes.changed().await.is_err() {
            return Outcome::default();
        }
    }
}

fn is_up(status: &Status) -> bool {
    matches!(status.state, State::Running | State::Finished)
}

/// Whether the component has been started since.
fn is_another(before: &Status, now: &Status) -> bool {
    now.changed != before.changed || now.begun != before.begun
}
