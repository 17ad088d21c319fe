//! The task of a component that Hedgerow itself is: it has no fence, and is up unless it is stopped.

use std::sync::Arc;

use hedgerow_isolation::moment::Moment;
use tokio::sync::mpsc;

use super::{Driver, Surroundings};
use crate::definition::Definition;
use crate::fault::{Fault, StatusCode};
use crate::lifecycle::{Goal, State};
use crate::packages::{Place, missing};
use crate::registry::{COMMANDS, Command, PauseError, Status};

pub struct BuiltinDriver {
    around: Arc<Surroundings>,
    definition: Definition,
    goal: Goal,
    changed: Moment,
    commands: mpsc::Receiver<Command>,
}

impl BuiltinDriver {
    pub fn spawn(around: &Arc<Surroundings>, definition: Definition, goal: Goal) {
        let (sender, commands) = mpsc::channel(COMMANDS);
        let changed = Moment::now();
        let driver = Self { around: Arc::clone(around), definition, goal, changed, commands };
        around.registry.insert(driver.status(), sender);
        tokio::spawn(driver.run());
    }

    async fn run(mut self) {
        while let Some(command) = self.commands.recv().await {
            match command {
                Command::Goal(Goal::Remove) => {
                    return self.around.registry.remove(&self.definition.name);
                }
                Command::Goal(goal) if goal != self.goal => {
                    self.goal = goal;
                    self.changed = Moment::now();
                }
                // A recipe of the same name has taken its place.
                Command::Replace(definition) if definition.place != Place::BuiltIn => {
                    return Driver::spawn(&self.around, *definition, self.goal);
                }
                Command::Replace(definition) => self.definition = *definition,
                Command::Goal(_)
                | Command::Restart
                | Command::Reset
                | Command::Report { .. }
                | Command::End { .. }
                | Command::Kill => {}
                Command::Pause(reply) | Command::Resume(reply) => {
                    let _ = reply.send(Err(PauseError::BuiltIn));
                }
            }
            self.around.registry.update(self.status());
        }
    }

    fn status(&self) -> Status {
        let state = match self.goal {
            Goal::Run => State::Running,
            Goal::Stop | Goal::Remove => State::Finished,
        };
        let missing = missing(&self.definition.name);
        Status {
            name: self.definition.name.clone(),
            version: self.definition.version.clone(),
            digest: self.definition.digest.clone(),
            goal: self.goal,
            state,
            changed: self.changed.clone(),
            paused: false,
            next_retry: None,
            pid: None,
            restarts: 0,
            begun: 1,
            tried: true,
            fault: missing.map(|what| Fault {
                step: None,
                code: StatusCode::None,
                message: what.to_owned(),
            }),
            fence: None,
            hard_dependencies: vec![],
        }
    }
}
