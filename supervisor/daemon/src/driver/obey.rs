//! What the driver is told from outside its fence.

use super::Driver;
use crate::definition::{Definition, Effect};
use crate::fault::Reason;
use crate::lifecycle::{Blame, Event, State};
use crate::registry::Command;

impl Driver {
    pub(super) async fn obey(&mut self, command: Command) {
        match command {
            Command::Goal(goal) => self.pending.push_back(Event::Goal(goal)),
            Command::Restart => {
                self.fault = None;
                self.pending.push_back(Event::Restart);
            }
            Command::Reset => {
                self.fault = None;
                self.restarts = 0;
                self.pending.push_back(Event::Reset);
            }
            Command::Replace(definition) => self.follow(definition).await,
            Command::Report { healthy } => {
                if !healthy {
                    let message = "the component reported itself as ERRORED".to_owned();
                    self.blame_state(Reason::Error, message);
                }
                self.pending.push_back(Event::Reported { healthy });
            }
            // Whoever asked may have gone away meanwhile.
            Command::Pause(reply) => drop(reply.send(self.pause().await)),
            Command::Resume(reply) => drop(reply.send(self.resume().await)),
            Command::End { why } => {
                if self.fence.is_some() {
                    self.blame_state(Reason::Error, why);
                    self.pending.push_back(Event::Ended(Blame::Component));
                }
            }
            Command::Kill => self.pending.push_back(Event::Kill),
        }
    }

    /// From now on it is this definition.
    async fn follow(&mut self, new: Box<Definition>) {
        match self.effect_of(&new) {
            Effect::Restart | Effect::Reinstall => {
                self.fault = None;
                if self.fence.is_some() {
                    // The old instance is torn down by its own definition: its shutdown step, its paths.
                    self.replacement = Some(new);
                    self.pending.push_back(Event::Restart);
                } else {
                    self.replace(*new);
                }
            }
            effect @ (Effect::Nothing | Effect::Live) => {
                self.definition = *new;
                if self.fence.is_none() {
                    let steps = self.definition.steps();
                    self.pending.push_back(Event::Adjusted { steps });
                } else if effect == Effect::Live {
                    self.limit().await;
                }
                self.note().await;
                self.publish();
            }
        }
    }

    fn effect_of(&self, new: &Definition) -> Effect {
        let change = self.definition.change_to(new);
        // What did not work deserves another try with whatever is new.
        let is_failing = matches!(self.machine.state, State::Errored(_) | State::Broken);
        if self.replacement.is_some() || is_failing {
            change.effect.max(Effect::Restart)
        } else {
            change.effect
        }
    }

    pub(super) fn replace(&mut self, definition: Definition) {
        self.definition = definition;
        self.policy = self.around.settings.restart_policy(&self.definition.name);
        self.has_been_ready = false;
        let installed = self.around.is_installed(&self.definition);
        self.pending.push_back(Event::Dependencies { ready: self.is_ready() });
        self.pending.push_back(Event::Replaced { steps: self.definition.steps(), installed });
    }
}
