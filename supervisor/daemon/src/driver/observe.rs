//! What the fence has to tell.

use hedgerow_isolation::plan::StepId;
use hedgerow_isolation::protocol::{self, Exit, ExitStatus};

use super::Driver;
use super::fence::{Exited, News};
use crate::definition::skip_if;
use crate::fault::{Fault, Reason, StatusCode};
use crate::lifecycle::{Blame, Event, Purpose, State, StepKind, StepNews, Timer};

impl Driver {
    pub(super) async fn observe(&mut self, news: News) {
        match news {
            News::Event(protocol::Event::StepExited { step, exit, .. }) => {
                self.exited(step, exit).await;
            }
            News::Event(protocol::Event::Emptied { .. }) => self.pending.push_back(Event::Emptied),
            News::Event(protocol::Event::Notice { text, .. }) => {
                if let Some(fence) = &self.fence {
                    fence.log_line(&text);
                }
            }
            News::Event(protocol::Event::FenceEnded { cause, .. }) => {
                self.blame_state(Reason::Error, format!("its fence ended: {cause}"));
                self.pending.push_back(Event::Ended(Blame::Component));
            }
            News::LauncherEnded | News::Gone => {
                // Not its fault, but why it starts again.
                let message = "its fence ended: the launcher ended".to_owned();
                self.say(Fault { step: None, code: StatusCode::None, message });
                self.pending.push_back(Event::Ended(Blame::Launcher));
            }
            // An exit may be ready to be acknowledged now.
            News::Drained => {}
        }
    }

    async fn exited(&mut self, id: StepId, exit: Exit) {
        let success = exit.status == ExitStatus::Code(0);
        match self.fence.as_mut().and_then(|fence| fence.exited(id)) {
            None => {}
            Some(Exited::Probe(step)) => self.probed(step, success).await,
            Some(Exited::Step(step)) => {
                if !success && !self.is_being_stopped() {
                    let memory = self.definition.run_with.limits.memory;
                    self.blame_step(step, Reason::Error, describe(step, &exit, memory));
                }
                self.pending.push_back(Event::Step(step, StepNews::Exited { success }));
            }
        }
    }

    async fn probed(&mut self, step: StepKind, success: bool) {
        // It may have come too late: the component is being stopped.
        if !self.machine.awaits(step) {
            return;
        }
        let steps = self.fence.as_ref().map(|fence| &fence.definition.steps);
        let condition = steps.and_then(|steps| steps.get(&step)?.skip_if.as_ref());
        if condition.is_some_and(|condition| skip_if::is_met(condition, success)) {
            if let Some(fence) = &self.fence {
                fence.log_line(&format!("{step} is skipped: its Skipif is true"));
            }
            self.pending.push_back(Event::Step(step, StepNews::Skipped));
        } else {
            self.start_script(step).await;
        }
    }

    /// A step that ends by the signal it was sent has done nothing wrong.
    fn is_being_stopped(&self) -> bool {
        matches!(self.machine.state, State::Terminating(_) | State::Closing(_))
    }

    pub(super) fn rang(&mut self, timer: Timer) {
        self.next_retry = None;
        let event = match timer {
            Timer::Grace => Event::GraceOver,
            Timer::Backoff => Event::BackoffOver,
            Timer::Step(step) => {
                let limit = self.timeout_of(step).unwrap_or_default().as_secs();
                let message = format!("{step} took longer than its timeout of {limit} s");
                self.blame_step(step, Reason::Timeout, message);
                Event::Step(step, StepNews::TimedOut)
            }
        };
        self.pending.push_back(event);
    }

    pub(super) fn blame_step(&mut self, step: StepKind, reason: Reason, message: String) {
        let code = StatusCode::of(step, reason);
        let fault = Fault { step: Some(step.as_str().to_owned()), code, message };
        match step {
            // How it is tidied up does not hide what went wrong.
            StepKind::Recover | StepKind::Shutdown | StepKind::Uninstall
                if self.fault.is_some() =>
            {
                self.tell(&fault.message);
            }
            StepKind::Bootstrap
            | StepKind::Install
            | StepKind::Startup
            | StepKind::Run
            | StepKind::Shutdown
            | StepKind::Recover
            | StepKind::Uninstall => self.say(fault),
        }
    }

    /// Something that is no step's fault alone: the code says in which part of its life it happened.
    pub(super) fn blame_state(&mut self, reason: Reason, message: String) {
        let step = match self.machine.state {
            State::New | State::Opening(Purpose::Install) | State::Installing => StepKind::Install,
            State::Running => self.machine.main.unwrap_or(StepKind::Run),
            State::Opening(_)
            | State::Installed
            | State::Startup
            | State::Launching
            | State::Recovering(_)
            | State::ShuttingDown(_)
            | State::Terminating(_)
            | State::Closing(_)
            | State::Errored(_)
            | State::Broken
            | State::Finished
            | State::Uninstalling
            | State::Removed => StepKind::Startup,
        };
        self.say(Fault { step: None, code: StatusCode::of(step, reason), message });
    }

    fn say(&mut self, fault: Fault) {
        self.tell(&fault.message);
        self.fault = Some(fault);
    }

    fn tell(&self, message: &str) {
        tracing::warn!(component = self.definition.name, "{message}");
        if let Some(fence) = &self.fence {
            fence.log_line(message);
        }
    }
}

pub(super) fn describe(step: StepKind, exit: &Exit, memory: Option<u64>) -> String {
    let oom = match (exit.oom_kills, memory) {
        (0, _) => String::new(),
        (_, Some(limit)) => format!(": out of memory (its limit is {} KiB)", limit / 1024),
        (_, None) => ": out of memory".to_owned(),
    };
    match exit.status {
        ExitStatus::Code(code) => format!("{step} ended with exit code {code}{oom}"),
        ExitStatus::Signal(number) => {
            let name = nix::sys::signal::Signal::try_from(number)
                .map_or_else(|_| number.to_string(), |signal| signal.as_str().to_owned());
            format!("{step} was ended by {name}{oom}")
        }
    }
}
