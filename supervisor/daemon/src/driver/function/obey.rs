//! What the task of a function is told.

use hedgerow_function::Health;

use super::FunctionDriver;
use crate::definition::Definition;
use crate::fault::Reason;
use crate::lifecycle::{Blame, Event, Goal, State};
use crate::registry::{Command, PauseError};

impl FunctionDriver {
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
                if self.machine.state == State::Running {
                    // Of one that is up this tries again at once what did not come up.
                    let _ = self.around.functions.start(&self.definition.name).await;
                }
            }
            Command::Replace(definition) => self.follow(*definition).await,
            Command::Report { healthy } => {
                if self.function.spec.pinned {
                    if !healthy {
                        let message = "the function reported itself as ERRORED".to_owned();
                        self.blame(Reason::Error, message);
                    }
                    self.pending.push_back(Event::Reported { healthy });
                }
            }
            // Whoever asked may have gone away meanwhile.
            Command::Pause(reply) | Command::Resume(reply) => {
                let _ = reply.send(Err(PauseError::Function));
            }
            Command::End { why } => {
                if self.provided.is_some() {
                    self.blame(Reason::Error, why);
                    self.pending.push_back(Event::Ended(Blame::Component));
                }
            }
            Command::Kill => self.pending.push_back(Event::Kill),
        }
    }

    /// From now on it is this definition. Of a function that is up, what runs is finished and what waits runs on the
    /// new one.
    async fn follow(&mut self, new: Definition) {
        let Some(function) = new.function.clone() else {
            return tracing::error!(component = new.name, "a function stays a function");
        };
        let is_other = function.spec.digest != self.function.spec.digest;
        self.policy = self.around.settings.restart_policy(&new.name);
        (self.definition, self.function) = (new, function);
        match self.machine.state {
            State::Startup | State::Running => self.renew(is_other).await,
            State::New
            | State::Opening(_)
            | State::Installing
            | State::Installed
            | State::Launching
            | State::Recovering(_)
            | State::ShuttingDown(_)
            | State::Terminating(_)
            | State::Closing(_)
            | State::Errored(_)
            | State::Broken
            | State::Finished
            | State::Uninstalling
            | State::Removed => {
                self.fault = None;
                self.has_been_ready = false;
                if self.machine.goal != Goal::Remove {
                    // Its events are taken in while it is stopped, as many and as large as it says now.
                    self.around.functions.define_stopped(self.function.spec.clone()).await;
                }
                let steps = self.definition.steps();
                self.pending.push_back(Event::Dependencies { ready: self.is_ready() });
                self.pending.push_back(Event::Replaced { steps, installed: true });
            }
        }
        self.publish();
    }

    async fn renew(&mut self, is_other: bool) {
        if is_other {
            self.fault = None;
            let old = self.provided.take();
            if let Err(blame) = self.provide().await {
                // To be ended with what its instances still do.
                self.provided = old;
                return self.pending.push_back(Event::Ended(blame));
            }
            self.is_renewed = self.function.spec.pinned;
            self.health = Health::Starting;
            self.define().await;
            if let Some(old) = old {
                tokio::spawn(old.end());
            }
        } else {
            self.define().await;
        }
    }
}
