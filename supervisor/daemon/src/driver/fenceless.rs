//! The task of a component that has no fence: of one that Hedgerow itself is, up unless it is stopped, and of one that
//! is desired but of which there is no definition, BROKEN until a deployment brings one.

use std::sync::Arc;

use hedgerow_isolation::moment::Moment;
use tokio::sync::mpsc;

use super::{Driver, Mailbox, Surroundings};
use crate::definition::Definition;
use crate::deployment::Undefined;
use crate::fault::{Fault, StatusCode};
use crate::lifecycle::{Goal, State};
use crate::packages::{Place, missing};
use crate::registry::{COMMANDS, Command, PauseError, Status};

pub struct FencelessDriver {
    around: Arc<Surroundings>,
    subject: Subject,
    goal: Goal,
    changed: Moment,
    mailbox: Mailbox,
}

/// What the task is of.
#[derive(Debug, Clone)]
enum Subject {
    BuiltIn(Box<Definition>),
    Undefined(Undefined),
}

impl FencelessDriver {
    pub fn built_in(around: &Arc<Surroundings>, definition: Definition, goal: Goal) {
        Self::spawn(around, Subject::BuiltIn(Box::new(definition)), goal);
    }

    pub fn undefined(around: &Arc<Surroundings>, undefined: Undefined, goal: Goal) {
        Self::spawn(around, Subject::Undefined(undefined), goal);
    }

    fn spawn(around: &Arc<Surroundings>, subject: Subject, goal: Goal) {
        let (sender, commands) = mpsc::channel(COMMANDS);
        let changed = Moment::now();
        let sessions = around.registry.insert(subject.status(goal, &changed), sender);
        let mailbox = Mailbox { commands, sessions };
        tokio::spawn(Self { around: Arc::clone(around), subject, goal, changed, mailbox }.run());
    }

    async fn run(mut self) {
        while let Some(command) = self.mailbox.commands.recv().await {
            match command {
                Command::Goal(Goal::Remove) => {
                    return self.around.registry.remove(self.subject.name());
                }
                Command::Goal(goal) if goal != self.goal => {
                    self.goal = goal;
                    self.changed = Moment::now();
                }
                // Whatever it was told after this is the new driver's to hear.
                Command::Replace(definition) if definition.place != Place::BuiltIn => {
                    return Driver::take_over(&self.around, *definition, self.goal, self.mailbox);
                }
                Command::Replace(definition) => self.subject = Subject::BuiltIn(definition),
                Command::Restart | Command::Reset => match self.subject {
                    Subject::BuiltIn(_) => {}
                    // Who waits for it to come up hears that it does not.
                    Subject::Undefined(_) => self.changed = Moment::now(),
                },
                Command::Goal(_) | Command::Report { .. } | Command::End { .. } | Command::Kill => {
                }
                Command::Pause(reply) | Command::Resume(reply) => {
                    let _ = reply.send(Err(self.subject.cannot_pause(self.goal)));
                }
            }
            self.around.registry.update(self.subject.status(self.goal, &self.changed));
        }
    }
}

impl Subject {
    fn name(&self) -> &str {
        match self {
            Self::BuiltIn(definition) => &definition.name,
            Self::Undefined(undefined) => &undefined.name,
        }
    }

    fn state(&self, goal: Goal) -> State {
        match (self, goal) {
            (Self::BuiltIn(_), Goal::Run) => State::Running,
            (Self::Undefined(_), Goal::Run) => State::Broken,
            (_, Goal::Stop | Goal::Remove) => State::Finished,
        }
    }

    fn fault(&self) -> Option<Fault> {
        let message = match self {
            Self::BuiltIn(definition) => missing(&definition.name).map(str::to_owned),
            Self::Undefined(undefined) => Some(undefined.to_string()),
        };
        message.map(|message| Fault { step: None, code: StatusCode::None, message })
    }

    fn cannot_pause(&self, goal: Goal) -> PauseError {
        match self {
            Self::BuiltIn(_) => PauseError::BuiltIn,
            Self::Undefined(_) => PauseError::NotRunning(self.state(goal)),
        }
    }

    fn status(&self, goal: Goal, changed: &Moment) -> Status {
        let (version, digest) = match self {
            Self::BuiltIn(definition) => (&definition.version, definition.digest.as_str()),
            Self::Undefined(undefined) => (&undefined.version, Undefined::DIGEST),
        };
        Status {
            name: self.name().to_owned(),
            version: version.clone(),
            digest: digest.to_owned(),
            goal,
            state: self.state(goal),
            changed: changed.clone(),
            paused: false,
            next_retry: None,
            pid: None,
            restarts: 0,
            begun: 1,
            tried: true,
            fault: self.fault(),
            fence: None,
            hard_dependencies: vec![],
        }
    }
}

#[cfg(test)]
#[path = "fenceless/tests.rs"]
mod tests;
