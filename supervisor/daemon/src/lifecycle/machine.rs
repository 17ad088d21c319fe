//! The machine, and what it remembers of events whatever its state makes of them.

use serde::{Deserialize, Serialize};

use super::restart::Verdict;
use super::{Action, Event, Failures, Goal, RestartPolicy, State, StepKind, StepNews, Steps};

/// What holds while an event is stepped through.
#[derive(Debug, Clone, Copy)]
pub struct Conditions<'a> {
    /// CLOCK_BOOTTIME in milliseconds.
    pub now: u64,
    pub policy: &'a RestartPolicy,
    /// A deployment waits for the component to come up.
    pub awaited: bool,
}

/// Plain data: it survives in the fence's note, so that a restarted daemon goes on where this one was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    pub state: State,
    pub goal: Goal,
    pub steps: Steps,
    /// The install step of this definition has succeeded, now or in an earlier life.
    pub installed: bool,
    /// Everything that it waits for before it starts is there.
    pub ready: bool,
    /// A fence is open (or being opened or closed).
    pub fence: bool,
    /// The `startup` or `run` step has a process.
    pub main: Option<StepKind>,
    /// How often it began again: tells an operator's job that its request was carried out even where the
    /// component is in the same state afterwards.
    pub begun: u64,
    /// An attempt to start has ended since the definition came, one way or another.
    pub tried: bool,
    pub failures: Failures,
    /// What follows from the fault for which the fence is being torn down.
    pub(super) verdict: Option<Verdict>,
}

impl Machine {
    /// A component that is desired and has no fence.
    pub fn new(goal: Goal, steps: Steps, installed: bool) -> Self {
        Self {
            state: State::New,
            goal,
            steps,
            installed: installed || !steps.install,
            ready: false,
            fence: false,
            main: None,
            begun: 0,
            tried: false,
            failures: Failures::default(),
            verdict: None,
        }
    }

    /// The next state and what to do.
    pub fn step(&mut self, event: Event, conditions: &Conditions<'_>) -> Vec<Action> {
        let is_news = self.is_news(event);
        self.note(event);
        let actions = if is_news { self.respond(event, conditions) } else { vec![] };
        self.tried |= match self.state {
            State::Running | State::Finished | State::Errored(_) | State::Broken => true,
            State::New
            | State::Opening(_)
            | State::Installing
            | State::Installed
            | State::Startup
            | State::Launching
            | State::Recovering(_)
            | State::ShuttingDown(_)
            | State::Terminating(_)
            | State::Closing(_)
            | State::Uninstalling
            | State::Removed => false,
        };
        actions
    }

    /// Whether its state waits for news of that step.
    pub fn awaits(&self, step: StepKind) -> bool {
        self.state.step(self.main) == Some(step)
    }

    fn is_news(&self, event: Event) -> bool {
        match event {
            // Told again: what is finished is not run anew for that, and a fault is not forgotten.
            Event::Goal(goal) => {
                goal != self.goal || matches!(self.state, State::New | State::Installed)
            }
            // Late or foreign news: `note` keeps what matters of it.
            Event::Step(step, _) => self.awaits(step),
            Event::Restart
            | Event::Reset
            | Event::Replaced { .. }
            | Event::Adjusted { .. }
            | Event::Dependencies { .. }
            | Event::Opened
            | Event::OpenFailed(_)
            | Event::Reported { .. }
            | Event::GraceOver
            | Event::BackoffOver
            | Event::Emptied
            | Event::Ended(_)
            | Event::Closed
            | Event::Kill => true,
        }
    }

    /// What stays true whatever the state makes of the event.
    fn note(&mut self, event: Event) {
        match event {
            Event::Goal(goal) => {
                if goal != self.goal {
                    self.failures.clear();
                }
                self.goal = goal;
            }
            Event::Restart | Event::Reset => self.failures.clear(),
            Event::Replaced { steps, installed } => {
                self.steps = steps;
                self.installed = installed || !steps.install;
                self.tried = false;
                self.failures.clear();
            }
            Event::Adjusted { steps } => self.steps = steps,
            Event::Dependencies { ready } => self.ready = ready,
            Event::Step(step @ (StepKind::Startup | StepKind::Run), StepNews::Started) => {
                self.main = Some(step);
            }
            Event::Step(step, StepNews::Exited { .. }) if self.main == Some(step) => {
                self.main = None;
            }
            Event::Ended(_) | Event::Closed => self.main = None,
            Event::Step(..)
            | Event::Opened
            | Event::OpenFailed(_)
            | Event::Reported { .. }
            | Event::GraceOver
            | Event::BackoffOver
            | Event::Emptied
            | Event::Kill => {}
        }
    }
}
