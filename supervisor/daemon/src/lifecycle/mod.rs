//! The life of one component as a pure, total function: [`Machine::step`]`(event, now) -> actions`.
//!
//! No clock and no I/O inside. The driver carries the actions out and reports what came of them as events.
//!
//! ```text
//!                     ┌──────────────── restart, retry after back-off ───────────────┐
//!                     ▼                                                              │
//!  NEW  ── Opening(Install) ── Installing ──▶ INSTALLED ── Opening(Start) ──▶ STARTING ──▶ RUNNING
//!   ▲            │                 │        (waits for hard     │     (Startup,│  │           │
//!   │            │                 │         dependencies)      │    Launching)│  │           │
//!   │            ▼ fault           ▼ fault                      ▼ fault        ▼  │ goal      │ goal, exit 0
//!   │        ┌──────────── teardown: ShuttingDown ─▶ Terminating ─▶ Closing ◀─────┴───────────┘
//!   │        │ (published as ERRORED after a fault, as STOPPING otherwise)
//!   │        ├─▶ ERRORED ── back-off over ──▶ NEW / INSTALLED
//!   └────────┤   third fault from one state within an hour ─▶ BROKEN ── reinstall, reset ─▶ NEW
//!            ├─▶ FINISHED ── restart ─▶ INSTALLED
//!            └─▶ Removed
//! ```

mod failures;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use failures::{Failures, Source};

/// Time between SIGTERM and SIGKILL (Greengrass: `gracefulShutdownTimeout`).
pub const GRACE: Duration = Duration::from_secs(5);

/// What is wanted of the component, from the stored desired state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Goal {
    Run,
    Stop,
    Remove,
}

/// The lifecycle steps of a recipe that the machine starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepKind {
    Install,
    Startup,
    Run,
    Shutdown,
}

impl StepKind {
    pub const ALL: [StepKind; 4] = [Self::Install, Self::Startup, Self::Run, Self::Shutdown];

    pub fn name(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Startup => "startup",
            Self::Run => "run",
            Self::Shutdown => "shutdown",
        }
    }
}

/// Which steps the chosen manifest has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Steps {
    pub install: bool,
    pub startup: bool,
    pub run: bool,
    pub shutdown: bool,
}

/// Why a fence is being opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    Install,
    Start,
}

/// Why a fence is being torn down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// Something failed while the component was in this state.
    Fault(Source),
    /// `run` ended with exit code 0.
    Done,
    /// The goal, the dependencies or the definition changed.
    Change,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    New,
    Opening(Purpose),
    Installing,
    Installed,
    /// The `startup` step is under way.
    Startup,
    /// The `run` step has been asked for.
    Launching,
    Running,
    ShuttingDown(Cause),
    Terminating(Cause),
    Closing(Cause),
    /// Waits for the back-off to pass. No fence is open.
    Errored(Source),
    Broken,
    Finished,
    Removed,
}

/// Greengrass's names, as D-Bus, IPC and people see them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Published {
    New,
    Installed,
    Starting,
    Running,
    Stopping,
    Errored,
    Broken,
    Finished,
}

impl Published {
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "NEW",
            Self::Installed => "INSTALLED",
            Self::Starting => "STARTING",
            Self::Running => "RUNNING",
            Self::Stopping => "STOPPING",
            Self::Errored => "ERRORED",
            Self::Broken => "BROKEN",
            Self::Finished => "FINISHED",
        }
    }
}

impl State {
    pub fn published(self) -> Published {
        match self {
            Self::New | Self::Opening(Purpose::Install) | Self::Installing => Published::New,
            Self::Installed => Published::Installed,
            Self::Opening(Purpose::Start) | Self::Startup | Self::Launching => Published::Starting,
            Self::Running => Published::Running,
            Self::ShuttingDown(cause) | Self::Terminating(cause) | Self::Closing(cause) => {
                match cause {
                    Cause::Fault(_) => Published::Errored,
                    Cause::Done | Cause::Change => Published::Stopping,
                }
            }
            Self::Errored(_) => Published::Errored,
            Self::Broken => Published::Broken,
            Self::Finished | Self::Removed => Published::Finished,
        }
    }

    /// What a component that depends on this one with `HARD` may rely on (inventory 2.5).
    pub fn is_ready(self) -> bool {
        match self {
            Self::Running | Self::Finished => true,
            Self::ShuttingDown(cause) | Self::Terminating(cause) | Self::Closing(cause) => {
                match cause {
                    Cause::Fault(_) => false,
                    Cause::Done | Cause::Change => true,
                }
            }
            Self::New
            | Self::Opening(_)
            | Self::Installing
            | Self::Installed
            | Self::Startup
            | Self::Launching
            | Self::Errored(_)
            | Self::Broken
            | Self::Removed => false,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The stored desired state changed.
    Goal(Goal),
    /// Stop and start again. Also what an operator's `start` of a finished or broken component means.
    Restart,
    /// The definition was replaced by another: start over from NEW with these steps.
    Replaced {
        steps: Steps,
        installed: bool,
    },
    /// All hard dependencies are ready, or no longer.
    Dependencies {
        ready: bool,
    },
    Opened,
    OpenFailed,
    /// The process of the step exists.
    Started(StepKind),
    /// The process could not be made.
    StartFailed(StepKind),
    Exited {
        step: StepKind,
        success: bool,
    },
    /// IPC UpdateState.
    Reported {
        healthy: bool,
    },
    TimedOut(Timer),
    /// No process but its init is left in the fence.
    Emptied,
    /// The fence's init is gone, and every process with it.
    Ended,
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timer {
    Step(StepKind),
    Grace,
    Backoff,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Open,
    Start(StepKind),
    /// SIGTERM to every process of the fence.
    Terminate,
    /// SIGKILL to what is left, and remove everything.
    Close,
    /// The install step succeeded: make that durable.
    RecordInstalled,
    /// Starts the step's own timeout from the recipe, [`GRACE`], or a back-off. Replaces a running timer.
    Arm(Timer, Option<Duration>),
    Disarm,
}

/// Plain data: it survives in the fence's note, so that a restarted daemon goes on where this one was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    pub state: State,
    pub goal: Goal,
    pub steps: Steps,
    /// The install step of this definition has succeeded, now or in an earlier life.
    pub installed: bool,
    /// All hard dependencies are ready.
    pub ready: bool,
    /// A fence is open (or being opened or closed).
    pub fence: bool,
    /// The `startup` or `run` step has a process.
    pub main: Option<StepKind>,
    /// How often it began again: tells an operator's job that its request was carried out even where the
    /// component is in the same state afterwards.
    pub begun: u64,
    pub failures: Failures,
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
            failures: Failures::default(),
        }
    }

    /// The next state and what to do. `now` is CLOCK_BOOTTIME in milliseconds.
    pub fn step(&mut self, event: Event, now: u64) -> Vec<Action> {
        use State::{
            Broken, Closing, Errored, Finished, Installed, Installing, Launching, New, Opening,
            Removed, Running, ShuttingDown, Startup, Terminating,
        };
        if event == Event::Goal(self.goal) && !matches!(self.state, New | Installed) {
            // Told again: what is finished is not run anew for that, and a fault is not forgotten.
            return vec![];
        }
        self.note(event);
        match (self.state, event) {
            // What is wanted changed.
            (New | Installed, Event::Goal(_)) => self.settle(),
            (New | Installed, Event::Restart | Event::Replaced { .. }) => {
                // A fence that waits for dependencies is of the definition that is to be left.
                if self.fence { self.tear_down(Cause::Change) } else { self.settle() }
            }
            (
                Opening(_) | Installing | Startup | Launching | Running,
                Event::Goal(Goal::Stop | Goal::Remove) | Event::Restart | Event::Replaced { .. },
            ) => self.tear_down(Cause::Change),
            (Opening(_) | Installing | Startup | Launching | Running, Event::Goal(Goal::Run)) => {
                vec![]
            }
            (
                ShuttingDown(_) | Terminating(_) | Closing(_),
                Event::Goal(Goal::Run) | Event::Restart | Event::Replaced { .. },
            ) => self.divert(),
            (
                ShuttingDown(_) | Terminating(_) | Closing(_),
                Event::Goal(Goal::Stop | Goal::Remove),
            ) => {
                vec![]
            }
            (
                Errored(_) | Broken | Finished,
                Event::Goal(Goal::Run) | Event::Restart | Event::Replaced { .. },
            ) => self.begin_again(),
            (Errored(_) | Broken | Finished, Event::Goal(Goal::Stop | Goal::Remove)) => {
                self.settle()
            }

            // Dependencies.
            (Installed, Event::Dependencies { .. }) => self.settle(),
            (
                Opening(Purpose::Start) | Startup | Launching | Running,
                Event::Dependencies { ready },
            ) => {
                if ready {
                    vec![]
                } else {
                    self.tear_down(Cause::Change)
                }
            }
            (
                New
                | Opening(Purpose::Install)
                | Installing
                | ShuttingDown(_)
                | Terminating(_)
                | Closing(_)
                | Errored(_)
                | Broken
                | Finished,
                Event::Dependencies { .. },
            ) => vec![],

            // The fence.
            (Opening(Purpose::Install), Event::Opened) => self.start(StepKind::Install, Installing),
            (Opening(Purpose::Start), Event::Opened) => self.start_main(),
            (Opening(purpose), Event::OpenFailed) => {
                let source = match purpose {
                    Purpose::Install => Source::New,
                    Purpose::Start => Source::Starting,
                };
                self.close(Cause::Fault(source))
            }
            (Opening(Purpose::Install) | Installing, Event::Ended) => {
                self.close(Cause::Fault(Source::New))
            }
            (Opening(Purpose::Start) | Startup | Launching, Event::Ended) => {
                self.close(Cause::Fault(Source::Starting))
            }
            (Running, Event::Ended) => self.close(Cause::Fault(Source::Running)),
            (Installed, Event::Ended) => self.close(Cause::Change),
            (ShuttingDown(cause) | Terminating(cause), Event::Ended) => self.close(cause),
            // While the main step has a process, this is late news of the step before it.
            (Terminating(_), Event::Emptied) if self.main.is_some() => vec![],
            (Terminating(cause), Event::Emptied) => self.close(cause),
            (Closing(cause), Event::Closed) => self.closed(cause, now),
            (
                New | Installing | Installed | Startup | Launching | Running | ShuttingDown(_)
                | Terminating(_) | Closing(_) | Errored(_) | Broken | Finished,
                Event::Opened | Event::OpenFailed,
            ) => vec![],
            (Closing(_) | New | Errored(_) | Broken | Finished, Event::Ended) => vec![],
            (
                New | Opening(_) | Installing | Installed | Startup | Launching | Running
                | ShuttingDown(_) | Closing(_) | Errored(_) | Broken | Finished,
                Event::Emptied,
            ) => vec![],
            (
                New | Opening(_) | Installing | Installed | Startup | Launching | Running
                | ShuttingDown(_) | Terminating(_) | Errored(_) | Broken | Finished,
                Event::Closed,
            ) => vec![],

            // Steps.
            (Installing, Event::Exited { step: StepKind::Install, success: true }) => {
                self.installed = true;
                self.failures.forget(Source::New);
                self.state = Installed;
                let mut actions = vec![Action::Disarm, Action::RecordInstalled];
                actions.extend(self.settle());
                actions
            }
            (
                Installing,
                Event::Exited { step: StepKind::Install, success: false }
                | Event::StartFailed(_)
                | Event::TimedOut(Timer::Step(StepKind::Install)),
            ) => self.tear_down(Cause::Fault(Source::New)),
            (Startup, Event::Exited { step: StepKind::Startup, success: true }) => self.running(),
            (
                Startup | Launching,
                Event::Exited { step: StepKind::Startup | StepKind::Run, success: false }
                | Event::TimedOut(Timer::Step(StepKind::Startup | StepKind::Run)),
            ) => self.tear_down(Cause::Fault(Source::Starting)),
            // Nothing was started, so there is nothing for `shutdown` to undo.
            (Startup | Launching, Event::StartFailed(_)) => {
                self.terminate(Cause::Fault(Source::Starting))
            }
            (Launching, Event::Started(StepKind::Run)) => {
                self.state = Running;
                vec![]
            }
            (Launching | Running, Event::Exited { step: StepKind::Run, success: true }) => {
                self.tear_down(Cause::Done)
            }
            (
                Running,
                Event::Exited { step: StepKind::Startup | StepKind::Run, success: false }
                | Event::TimedOut(Timer::Step(StepKind::Run)),
            ) => self.tear_down(Cause::Fault(Source::Running)),
            (
                ShuttingDown(cause),
                Event::Exited { step: StepKind::Shutdown, .. }
                | Event::StartFailed(StepKind::Shutdown)
                | Event::TimedOut(Timer::Step(StepKind::Shutdown)),
            ) => self.terminate(cause),
            (Terminating(cause), Event::TimedOut(Timer::Grace)) => self.close(cause),
            (Errored(_), Event::TimedOut(Timer::Backoff)) => self.begin_again(),

            // What a component says of itself.
            (Startup, Event::Reported { healthy: true }) => self.running(),
            (Installing, Event::Reported { healthy: false }) => {
                self.tear_down(Cause::Fault(Source::New))
            }
            (Startup | Launching, Event::Reported { healthy: false }) => {
                self.tear_down(Cause::Fault(Source::Starting))
            }
            (Running, Event::Reported { healthy: false }) => {
                self.tear_down(Cause::Fault(Source::Running))
            }
            (
                New | Opening(_) | Installed | ShuttingDown(_) | Terminating(_) | Closing(_)
                | Errored(_) | Broken | Finished,
                Event::Reported { .. },
            )
            | (Installing | Launching | Running, Event::Reported { healthy: true }) => vec![],

            // Late or foreign news of steps and timers: `note` has kept what matters of it.
            (
                New | Opening(_) | Installed | Closing(_) | Errored(_) | Broken | Finished,
                Event::Started(_) | Event::StartFailed(_) | Event::Exited { .. },
            )
            | (
                Installing,
                Event::Started(_)
                | Event::Exited {
                    step: StepKind::Startup | StepKind::Run | StepKind::Shutdown, ..
                },
            )
            | (
                Startup,
                Event::Started(_)
                | Event::Exited { step: StepKind::Install | StepKind::Shutdown, .. }
                | Event::Exited { step: StepKind::Run, success: true },
            )
            | (
                Launching,
                Event::Started(StepKind::Install | StepKind::Startup | StepKind::Shutdown)
                | Event::Exited { step: StepKind::Install | StepKind::Shutdown, .. }
                | Event::Exited { step: StepKind::Startup, success: true },
            )
            | (
                Running,
                Event::Started(_)
                | Event::StartFailed(_)
                | Event::Exited { step: StepKind::Install | StepKind::Shutdown, .. }
                | Event::Exited { step: StepKind::Startup, success: true },
            )
            | (
                ShuttingDown(_),
                Event::Started(_)
                | Event::StartFailed(StepKind::Install | StepKind::Startup | StepKind::Run)
                | Event::Exited {
                    step: StepKind::Install | StepKind::Startup | StepKind::Run, ..
                },
            )
            | (Terminating(_), Event::Started(_) | Event::StartFailed(_) | Event::Exited { .. }) => {
                vec![]
            }
            (New | Opening(_) | Installed | Closing(_) | Broken | Finished, Event::TimedOut(_))
            | (
                Installing,
                Event::TimedOut(
                    Timer::Step(StepKind::Startup | StepKind::Run | StepKind::Shutdown)
                    | Timer::Grace
                    | Timer::Backoff,
                ),
            )
            | (
                Startup | Launching,
                Event::TimedOut(
                    Timer::Step(StepKind::Install | StepKind::Shutdown)
                    | Timer::Grace
                    | Timer::Backoff,
                ),
            )
            | (
                Running,
                Event::TimedOut(
                    Timer::Step(StepKind::Install | StepKind::Startup | StepKind::Shutdown)
                    | Timer::Grace
                    | Timer::Backoff,
                ),
            )
            | (
                ShuttingDown(_),
                Event::TimedOut(
                    Timer::Step(StepKind::Install | StepKind::Startup | StepKind::Run)
                    | Timer::Grace
                    | Timer::Backoff,
                ),
            )
            | (Terminating(_), Event::TimedOut(Timer::Step(_) | Timer::Backoff))
            | (Errored(_), Event::TimedOut(Timer::Step(_) | Timer::Grace)) => vec![],

            // Nothing follows removal.
            (
                Removed,
                Event::Goal(_)
                | Event::Restart
                | Event::Replaced { .. }
                | Event::Dependencies { .. }
                | Event::Opened
                | Event::OpenFailed
                | Event::Started(_)
                | Event::StartFailed(_)
                | Event::Exited { .. }
                | Event::Reported { .. }
                | Event::TimedOut(_)
                | Event::Emptied
                | Event::Ended
                | Event::Closed,
            ) => vec![],
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
            Event::Restart => self.failures.clear(),
            Event::Replaced { steps, installed } => {
                self.steps = steps;
                self.installed = installed || !steps.install;
                self.failures.clear();
            }
            Event::Dependencies { ready } => self.ready = ready,
            Event::Started(step @ (StepKind::Startup | StepKind::Run)) => self.main = Some(step),
            Event::Exited { step, .. } if self.main == Some(step) => self.main = None,
            Event::Ended | Event::Closed => self.main = None,
            Event::Exited { .. }
            | Event::Started(StepKind::Install | StepKind::Shutdown)
            | Event::Opened
            | Event::OpenFailed
            | Event::StartFailed(_)
            | Event::Reported { .. }
            | Event::TimedOut(_)
            | Event::Emptied => {}
        }
    }

    /// From a state of rest to the next thing that the goal asks for.
    fn settle(&mut self) -> Vec<Action> {
        match (self.goal, self.fence) {
            (Goal::Stop | Goal::Remove, true) => self.tear_down(Cause::Change),
            (Goal::Stop, false) => {
                self.state = State::Finished;
                vec![Action::Disarm]
            }
            (Goal::Remove, false) => {
                self.state = State::Removed;
                vec![Action::Disarm]
            }
            (Goal::Run, _) if !self.installed => self.enter(Purpose::Install),
            (Goal::Run, fence) => {
                self.state = State::Installed;
                if !self.ready {
                    return vec![];
                }
                let nothing_to_run = !self.steps.startup && !self.steps.run;
                match (nothing_to_run, fence) {
                    (true, true) => self.close(Cause::Done),
                    (true, false) => {
                        self.state = State::Finished;
                        vec![]
                    }
                    (false, _) => self.enter(Purpose::Start),
                }
            }
        }
    }

    fn begin_again(&mut self) -> Vec<Action> {
        if self.goal == Goal::Run {
            self.begun += 1;
        }
        self.state = if self.installed { State::Installed } else { State::New };
        let mut actions = vec![Action::Disarm];
        actions.extend(self.settle());
        actions
    }

    /// The next step in an open fence, or in one that is opened for it.
    fn enter(&mut self, purpose: Purpose) -> Vec<Action> {
        match (self.fence, purpose) {
            (false, _) => {
                self.fence = true;
                self.state = State::Opening(purpose);
                vec![Action::Open]
            }
            (true, Purpose::Install) => self.start(StepKind::Install, State::Installing),
            (true, Purpose::Start) => self.start_main(),
        }
    }

    /// `startup` and `run` exclude each other; a recipe with both runs `startup` (as the nucleus does).
    fn start_main(&mut self) -> Vec<Action> {
        if self.steps.startup {
            self.start(StepKind::Startup, State::Startup)
        } else {
            self.start(StepKind::Run, State::Launching)
        }
    }

    fn start(&mut self, step: StepKind, state: State) -> Vec<Action> {
        self.state = state;
        vec![Action::Start(step), Action::Arm(Timer::Step(step), None)]
    }

    fn running(&mut self) -> Vec<Action> {
        self.state = State::Running;
        self.failures.forget(Source::Starting);
        vec![Action::Disarm]
    }

    fn tear_down(&mut self, cause: Cause) -> Vec<Action> {
        if self.state == State::Running && !matches!(cause, Cause::Fault(_)) {
            self.failures.forget(Source::Running);
        }
        match self.state {
            State::Startup | State::Launching | State::Running if self.steps.shutdown => {
                self.start(StepKind::Shutdown, State::ShuttingDown(cause))
            }
            State::Startup | State::Launching | State::Running | State::Installing => {
                self.terminate(cause)
            }
            // No step of the component has a process: nobody is there to be asked politely.
            State::New
            | State::Opening(_)
            | State::Installed
            | State::ShuttingDown(_)
            | State::Terminating(_)
            | State::Closing(_)
            | State::Errored(_)
            | State::Broken
            | State::Finished
            | State::Removed => self.close(cause),
        }
    }

    fn terminate(&mut self, cause: Cause) -> Vec<Action> {
        self.state = State::Terminating(cause);
        vec![Action::Terminate, Action::Arm(Timer::Grace, Some(GRACE))]
    }

    fn close(&mut self, cause: Cause) -> Vec<Action> {
        self.state = State::Closing(cause);
        vec![Action::Disarm, Action::Close]
    }

    /// The goal turned to running again while the fence is being torn down: finish that, then start.
    fn divert(&mut self) -> Vec<Action> {
        self.state = match self.state {
            State::ShuttingDown(_) => State::ShuttingDown(Cause::Change),
            State::Terminating(_) => State::Terminating(Cause::Change),
            State::Closing(_) => State::Closing(Cause::Change),
            other => other,
        };
        vec![]
    }

    fn closed(&mut self, cause: Cause, now: u64) -> Vec<Action> {
        self.fence = false;
        match (cause, self.goal) {
            (Cause::Fault(source), Goal::Run) => match self.failures.record(source, now) {
                Some(backoff) => {
                    self.state = State::Errored(source);
                    vec![Action::Arm(Timer::Backoff, Some(backoff))]
                }
                None => {
                    self.state = State::Broken;
                    vec![]
                }
            },
            (Cause::Done, Goal::Run) => {
                self.state = State::Finished;
                vec![]
            }
            (Cause::Change, Goal::Run) => self.begin_again(),
            (Cause::Fault(_) | Cause::Done | Cause::Change, Goal::Stop | Goal::Remove) => {
                self.settle()
            }
        }
    }
}
