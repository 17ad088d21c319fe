//! One task per component: it feeds [`Machine`] with what happens and carries out what the machine answers.

mod builtin;
mod fence;
mod note;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use hedgerow_isolation::moment::Moment;
use hedgerow_isolation::plan::{FenceId, StepId};
use hedgerow_isolation::protocol::{self, Exit, ExitStatus, Request};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

pub use builtin::BuiltinDriver;
pub use fence::{Adopted, Surroundings, adopt};
use fence::{Fence, FenceError, News};
pub use note::Note;

use crate::definition::Definition;
use crate::lifecycle::{Action, Event, Goal, Machine, State, StepKind, Timer};
use crate::registry::{COMMANDS, Command, Fault, Status};

/// A step without a timeout of its own in the recipe (Greengrass's defaults); `run` has none.
fn default_timeout(step: StepKind) -> Option<Duration> {
    match step {
        StepKind::Install | StepKind::Startup => Some(Duration::from_secs(120)),
        StepKind::Shutdown => Some(Duration::from_secs(15)),
        StepKind::Run => None,
    }
}

pub struct Driver {
    around: Arc<Surroundings>,
    definition: Definition,
    machine: Machine,
    fence: Option<Fence>,
    commands: mpsc::Receiver<Command>,
    /// How many IPC sessions are open.
    sessions: watch::Receiver<u32>,
    /// What happened and has not been stepped through yet.
    pending: VecDeque<Event>,
    timer: Option<(Timer, Instant)>,
    /// Adopted, and what it depends on may not have had its turn yet: no reason to stop what never stopped.
    is_early: bool,
    /// A definition that takes effect once the open fence is gone.
    replacement: Option<Box<Definition>>,
    changed: Moment,
    restarts: u32,
    fault: Option<Fault>,
}

impl Driver {
    /// Starts the task of a component that has no fence.
    pub fn spawn(around: &Arc<Surroundings>, definition: Definition, goal: Goal, installed: bool) {
        let machine = Machine::new(goal, definition.steps(), installed);
        Self::launch(around, definition, machine, None, [Event::Goal(goal)].into());
    }

    /// Starts the task of a component whose fence outlived the daemon before this one.
    pub async fn adopt(
        around: &Arc<Surroundings>,
        definition: Definition,
        goal: Goal,
        note: Note,
        adopted: Adopted,
    ) -> Result<(), FenceError> {
        let machine = note.machine.clone();
        let fence = Fence::adopt(around, &definition, note, adopted).await?;
        Self::launch(around, definition, machine, Some(fence), [Event::Goal(goal)].into());
        Ok(())
    }

    fn launch(
        around: &Arc<Surroundings>,
        definition: Definition,
        machine: Machine,
        fence: Option<Fence>,
        pending: VecDeque<Event>,
    ) {
        let (sender, commands) = mpsc::channel(COMMANDS);
        let is_early = fence.is_some();
        let mut driver = Self {
            around: Arc::clone(around),
            definition,
            machine,
            fence,
            commands,
            sessions: watch::channel(0).1,
            pending,
            timer: None,
            is_early,
            replacement: None,
            changed: Moment::now(),
            restarts: 0,
            fault: None,
        };
        driver.sessions = around.registry.insert(driver.status(), sender);
        tokio::spawn(driver.run());
    }

    async fn run(mut self) {
        let mut neighbours = self.around.registry.watch();
        self.rearm_after_adoption();
        loop {
            let (registry, needed) = (&self.around.registry, &self.definition.hard_dependencies);
            let ready = registry.are_ready(needed);
            self.is_early &= !ready && registry.are_ready_or_new(needed);
            if ready != self.machine.ready && !self.is_early {
                self.pending.push_back(Event::Dependencies { ready });
            }
            while let Some(event) = self.pending.pop_front() {
                self.step(event).await;
            }
            if let Some(fence) = &mut self.fence {
                fence.acknowledge().await;
            }
            if self.machine.state == State::Removed {
                self.around.registry.remove(&self.definition.name);
                return;
            }
            let deadline = self.timer.map(|(_, at)| at);
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => self.obey(command).await,
                    // The registry dropped this component: only removal does that.
                    None => return,
                },
                news = next_news(self.fence.as_mut()) => self.observe(news).await,
                () = sleep_until(deadline) => {
                    if let Some((timer, _)) = self.timer.take() {
                        self.timed_out(timer);
                    }
                }
                Ok(()) = self.sessions.changed() => self.note().await,
                _ = neighbours.changed() => {}
            }
        }
    }

    async fn step(&mut self, event: Event) {
        let before = self.machine.state;
        let now = Moment::now();
        let actions = self.machine.step(event, now.boottime / 1_000_000);
        if before.published() != self.machine.state.published() {
            self.changed = now;
        }
        tracing::debug!(
            component = self.definition.name,
            "{event:?}: {before:?} -> {:?} {actions:?}",
            self.machine.state
        );
        self.publish();
        for action in actions {
            self.carry_out(action).await;
        }
        self.note().await;
        self.publish();
    }

    /// Leaves with the launcher what a new daemon must know.
    async fn note(&mut self) {
        let sessions = *self.sessions.borrow_and_update();
        if let Some(fence) = &mut self.fence {
            fence.note(&self.machine, &self.definition.digest, sessions).await;
        }
    }

    async fn carry_out(&mut self, action: Action) {
        match action {
            Action::Open => {
                match Fence::open(&self.around, &self.definition, &self.machine).await {
                    Ok(fence) => {
                        self.fence = Some(fence);
                        self.pending.push_back(Event::Opened);
                    }
                    Err(error) => {
                        self.blame(None, error.to_string());
                        self.pending.push_back(Event::OpenFailed);
                    }
                }
            }
            Action::Start(step) => self.start(step).await,
            Action::Terminate => match &self.fence {
                Some(fence) => fence.terminate().await,
                None => self.pending.push_back(Event::Ended),
            },
            Action::Close => self.close().await,
            Action::RecordInstalled => {
                let (name, print) = (&self.definition.name, &self.definition.install_fingerprint);
                if let Err(error) = self.around.records.set_installed(name, print) {
                    // The component runs all the same; its install step runs again after a restart.
                    tracing::error!(component = name, "cannot record the install: {error}");
                }
            }
            Action::Arm(timer, wait) => {
                let wait = wait.or_else(|| self.timeout_of(timer));
                self.timer = wait.map(|wait| (timer, Instant::now() + wait));
            }
            Action::Disarm => self.timer = None,
        }
    }

    fn timeout_of(&self, timer: Timer) -> Option<Duration> {
        match timer {
            Timer::Step(step) => self
                .definition
                .steps
                .get(&step)
                .and_then(|definition| definition.timeout)
                .or(default_timeout(step)),
            Timer::Grace | Timer::Backoff => None,
        }
    }

    async fn start(&mut self, step: StepKind) {
        let started = match (&mut self.fence, self.definition.steps.get(&step)) {
            (Some(fence), Some(definition)) => fence.start(step, definition).await,
            _ => Err(FenceError::NotOpen),
        };
        match started {
            Ok(()) => {
                if matches!(step, StepKind::Startup | StepKind::Run) && self.fault.is_some() {
                    self.restarts += 1;
                }
                self.pending.push_back(Event::Started(step));
            }
            Err(error) => {
                self.blame(Some(step), error.to_string());
                self.pending.push_back(Event::StartFailed(step));
            }
        }
    }

    async fn close(&mut self) {
        if let Some(fence) = self.fence.take() {
            fence.close().await;
        }
        if let Some(definition) = self.replacement.take() {
            self.replace(*definition);
        }
        self.pending.push_back(Event::Closed);
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Goal(goal) => self.pending.push_back(Event::Goal(goal)),
            Command::Restart => {
                self.fault = None;
                self.pending.push_back(Event::Restart);
            }
            Command::Replace(definition) => {
                self.fault = None;
                if self.fence.is_some() {
                    // The old instance is torn down by its own definition: its shutdown step, its paths.
                    self.replacement = Some(definition);
                    self.pending.push_back(Event::Restart);
                } else {
                    self.replace(*definition);
                }
            }
            Command::Report { healthy } => {
                if !healthy {
                    self.blame(None, "the component reported itself as ERRORED".to_owned());
                }
                self.pending.push_back(Event::Reported { healthy });
            }
        }
    }

    fn replace(&mut self, definition: Definition) {
        let around = &self.around;
        let installed =
            around.records.is_installed(&definition.name, &definition.install_fingerprint);
        let ready = around.registry.are_ready(&definition.hard_dependencies);
        self.pending.push_back(Event::Dependencies { ready });
        self.pending.push_back(Event::Replaced { steps: definition.steps(), installed });
        self.definition = definition;
    }

    async fn observe(&mut self, news: News) {
        match news {
            News::Event(protocol::Event::StepExited { step, exit, .. }) => {
                self.exited(step, exit).await
            }
            News::Event(protocol::Event::Emptied { .. }) => self.pending.push_back(Event::Emptied),
            News::Event(protocol::Event::FenceEnded { cause, .. }) => {
                self.blame(None, format!("its fence ended: {cause}"));
                self.pending.push_back(Event::Ended);
            }
            // An exit may be ready to be acknowledged now.
            News::Drained => {}
            News::Gone => self.pending.push_back(Event::Ended),
        }
    }

    async fn exited(&mut self, id: StepId, exit: Exit) {
        let Some(step) = self.fence.as_mut().and_then(|fence| fence.exited(id)) else { return };
        let success = exit.status == ExitStatus::Code(0);
        if !success && !self.is_being_stopped() {
            let message = describe(step, &exit, self.definition.limits.memory);
            self.blame(Some(step), message);
        }
        self.pending.push_back(Event::Exited { step, success });
    }

    /// A step that ends by the signal it was sent has done nothing wrong.
    fn is_being_stopped(&self) -> bool {
        matches!(self.machine.state, State::Terminating(_) | State::Closing(_))
    }

    fn timed_out(&mut self, timer: Timer) {
        if let Timer::Step(step) = timer {
            let limit = self.timeout_of(timer).unwrap_or_default().as_secs();
            self.blame(
                Some(step),
                format!("{} took longer than its timeout of {limit} s", step.name()),
            );
        }
        self.pending.push_back(Event::TimedOut(timer));
    }

    fn blame(&mut self, step: Option<StepKind>, message: String) {
        tracing::warn!(component = self.definition.name, "{message}");
        if let Some(fence) = &self.fence {
            fence.log_line(&message);
        }
        self.fault = Some(Fault { step: step.map(|step| step.name().to_owned()), message });
    }

    /// A step that the last daemon started goes on; its time starts anew, which is never too short.
    fn rearm_after_adoption(&mut self) {
        let step = match self.machine.state {
            State::Installing => StepKind::Install,
            State::Startup => StepKind::Startup,
            State::Running if self.machine.main == Some(StepKind::Run) => StepKind::Run,
            _ => return,
        };
        let wait = self.timeout_of(Timer::Step(step));
        self.timer = wait.map(|wait| (Timer::Step(step), Instant::now() + wait));
    }

    fn publish(&self) {
        self.around.registry.update(self.status());
    }

    fn status(&self) -> Status {
        let pid = self.fence.as_ref().and_then(|fence| fence.main_pid(self.machine.main));
        Status {
            name: self.definition.name.clone(),
            version: self.definition.version.clone(),
            digest: self.definition.digest.clone(),
            state: self.machine.state,
            changed: self.changed.clone(),
            pid,
            restarts: self.restarts,
            begun: self.machine.begun,
            fault: self.fault.clone(),
            fence: self.fence.as_ref().map(|fence| fence.id.clone()),
            hard_dependencies: self.definition.hard_dependencies.clone(),
        }
    }
}

async fn next_news(fence: Option<&mut Fence>) -> News {
    match fence {
        Some(fence) => fence.next().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn describe(step: StepKind, exit: &Exit, memory: Option<u64>) -> String {
    let step = step.name();
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

/// Closes a fence that nothing desired belongs to.
pub async fn discard(around: &Surroundings, fence: FenceId) {
    around.launcher.forget(&fence);
    if let Err(error) = around.launcher.run(Request::Close { fence: fence.clone() }, vec![]).await {
        tracing::error!("cannot close fence {fence}: {error}");
    }
}
