//! What an operator, or a component that may, does to a running component. Each is a job.

mod observe;

use std::sync::Arc;
use std::time::Duration;

use hedgerow_api::{Error, JobKind};
use hedgerow_component::ComponentName;
use tokio::sync::oneshot;

use crate::deployment::failure_of;
use crate::driver::Surroundings;
use crate::jobs::{Failure, Jobs, Outcome};
use crate::lifecycle::{Goal, State};
use crate::registry::{Command, PauseError, Status};

/// How long a request may take. What waits for its dependencies may wait for ever.
const LONGEST: Duration = Duration::from_secs(15 * 60);

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

    /// Freezes every process of the component, or lets them go on. Done when it returns; to do it twice is no error.
    pub async fn pause(&self, component: &str, pause: bool) -> Result<(), Error> {
        let status = self.status(component)?;
        let gone = || Error::NoSuchComponent(format!("{component} is being removed"));
        let commands = self.around.registry.commands(&status.name).ok_or_else(gone)?;
        let (reply, done) = oneshot::channel();
        let command = if pause { Command::Pause(reply) } else { Command::Resume(reply) };
        commands.send(command).await.map_err(|_| gone())?;
        done.await.map_err(|_| gone())?.map_err(|error| match error {
            PauseError::NotRunning(_) | PauseError::BuiltIn | PauseError::Function => {
                Error::InvalidArgument(format!("{component}: {error}"))
            }
            PauseError::Launcher(_) => Error::Internal(format!("{component}: {error}")),
        })
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
            format!("{} is {}", before.name, before.state.published().as_str()),
        );
        let (around, jobs) = (Arc::clone(&self.around), Arc::clone(&self.jobs));
        let request = around.registry.request(component, goal);
        tokio::spawn(async move {
            let wanted = operate(&around, &before, kind, goal, request, done);
            let outcome = tokio::time::timeout(LONGEST, wanted).await.unwrap_or_else(|_| {
                let state = around.registry.status(&before.name).map_or(before.state, |s| s.state);
                let state = state.published().as_str();
                let minutes = LONGEST.as_secs() / 60;
                failed(&Error::ComponentFailed(format!(
                    "{} is still {state} after {minutes} minutes",
                    before.name
                )))
            });
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
    request: u64,
    done: fn(&Status, &Status) -> bool,
) -> Outcome {
    let mut changes = around.registry.watch();
    // Who waits for it hears that it fails again and again.
    let _awaiting = (goal == Goal::Run).then(|| around.registry.awaiting([before.name.clone()]));
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
    let mut is_wanted = false;
    loop {
        changes.mark_unchanged();
        let Some(status) = around.registry.status(&before.name) else {
            let message = format!("{} was removed meanwhile", before.name);
            return failed(&Error::NoSuchComponent(message));
        };
        if done(before, &status) {
            return Outcome { started: vec![before.name.clone()], ..Outcome::default() };
        }
        is_wanted |= status.goal == goal;
        if (is_wanted && status.goal != goal)
            || around.registry.is_overtaken(&before.name, request, goal)
        {
            let message = format!("{} was told something else meanwhile", before.name);
            return failed(&Error::ComponentFailed(message));
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

fn failed(error: &Error) -> Outcome {
    Outcome { failure: Some(Failure::of(error)), ..Outcome::default() }
}

fn is_up(status: &Status) -> bool {
    matches!(status.state, State::Running | State::Finished)
}

/// Whether the component has been started since.
fn is_another(before: &Status, now: &Status) -> bool {
    now.changed != before.changed || now.begun != before.begun
}
