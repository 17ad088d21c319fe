//! One task per component: it feeds [`Machine`] with what happens and carries out what the machine answers.

mod act;
mod alarm;
mod bootstrap;
mod discard;
mod fence;
mod fenceless;
mod function;
mod note;
mod obey;
mod observe;
mod pause;
mod socket;
mod surroundings;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use hedgerow_isolation::moment::Moment;
use tokio::sync::{mpsc, watch};

use alarm::Alarm;
pub use bootstrap::{BootstrapError, bootstrap};
pub use discard::discard;
pub use fence::{Adopted, FenceError, adopt, environment};
use fence::{Fence, News};
pub use fenceless::FencelessDriver;
pub use function::FunctionDriver;
pub use note::Note;
pub use socket::bind;
pub use surroundings::Surroundings;

use crate::definition::Definition;
use crate::fault::Fault;
use crate::lifecycle::{Conditions, Event, Goal, Machine, RestartPolicy, State, StepKind, Timer};
use crate::registry::{COMMANDS, Command, Status};

/// How a driver hears of what is outside its fence.
#[derive(Debug)]
struct Mailbox {
    commands: mpsc::Receiver<Command>,
    /// How many IPC sessions are open.
    sessions: watch::Receiver<u32>,
}

pub struct Driver {
    around: Arc<Surroundings>,
    /// What is followed. An open fence may still be of one before it: [`Fence::definition`].
    definition: Definition,
    policy: RestartPolicy,
    machine: Machine,
    fence: Option<Fence>,
    mailbox: Mailbox,
    /// What happened and has not been stepped through yet.
    pending: VecDeque<Event>,
    alarm: Alarm,
    next_retry: Option<Moment>,
    paused: bool,
    /// Adopted, and what it depends on may not have had its turn yet: no reason to stop what never stopped.
    is_early: bool,
    /// Soft dependencies order the first start only.
    has_been_ready: bool,
    /// A definition that takes effect once the open fence is gone.
    replacement: Option<Box<Definition>>,
    changed: Moment,
    restarts: u32,
    fault: Option<Fault>,
}

impl Driver {
    /// Starts the task of a component that has no fence.
    pub fn spawn(around: &Arc<Surroundings>, definition: Definition, goal: Goal) {
        if let Some(function) = definition.function.clone() {
            return FunctionDriver::spawn(around, definition, function, goal);
        }
        let machine = Machine::new(goal, definition.steps(), around.is_installed(&definition));
        Self::launch(around, definition, machine, None, None);
    }

    /// Goes on for the task of a component that had no fence, and hears what that has not heard any more.
    fn take_over(around: &Arc<Surroundings>, definition: Definition, goal: Goal, mailbox: Mailbox) {
        if let Some(function) = definition.function.clone() {
            return FunctionDriver::take_over(around, definition, function, goal, mailbox);
        }
        let machine = Machine::new(goal, definition.steps(), around.is_installed(&definition));
        Self::launch(around, definition, machine, None, Some(mailbox));
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
        let paused = note.paused;
        let fence = Fence::adopt(around, &definition, note, adopted).await?;
        Self::launch(around, definition, machine, Some((fence, goal, paused)), None);
        Ok(())
    }

    fn launch(
        around: &Arc<Surroundings>,
        definition: Definition,
        machine: Machine,
        adopted: Option<(Fence, Goal, bool)>,
        taken: Option<Mailbox>,
    ) {
        let is_new = taken.is_none();
        let (sender, commands) = mpsc::channel(COMMANDS);
        let new = || Mailbox { commands, sessions: watch::channel(0).1 };
        let is_early = adopted.is_some();
        let (fence, goal, paused) = match adopted {
            Some((fence, goal, paused)) => (Some(fence), goal, paused),
            None => (None, machine.goal, false),
        };
        let mut driver = Self {
            around: Arc::clone(around),
            policy: around.settings.restart_policy(&definition.name),
            definition,
            machine,
            fence,
            mailbox: taken.unwrap_or_else(new),
            pending: [Event::Goal(goal)].into(),
            alarm: Alarm::default(),
            next_retry: None,
            paused,
            is_early,
            has_been_ready: is_early,
            replacement: None,
            changed: Moment::now(),
            restarts: 0,
            fault: None,
        };
        if is_new {
            driver.mailbox.sessions = around.registry.insert(driver.status(), sender);
        } else {
            around.registry.update(driver.status());
        }
        tokio::spawn(driver.run());
    }

    async fn run(mut self) {
        let mut neighbours = self.around.registry.watch();
        self.rearm_after_adoption();
        loop {
            let ready = self.is_ready();
            self.has_been_ready |= ready;
            self.is_early &=
                !ready && self.around.registry.are_ready_or_new(&self.definition.hard_dependencies);
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
                self.around.observations.forget(&self.definition.name);
                self.around.registry.remove(&self.definition.name);
                return;
            }
            tokio::select! {
                command = self.mailbox.commands.recv() => match command {
                    Some(command) => self.obey(command).await,
                    // The registry dropped this component: only removal does that.
                    None => return,
                },
                news = next_news(self.fence.as_mut()) => self.observe(news).await,
                timer = self.alarm.ring() => self.rang(timer),
                Ok(()) = self.mailbox.sessions.changed() => self.note().await,
                _ = neighbours.changed() => {}
            }
        }
    }

    /// Hard dependencies must be ready, soft ones have had their turn before the first start (inventory 2.5).
    fn is_ready(&self) -> bool {
        let registry = &self.around.registry;
        registry.are_ready(&self.definition.hard_dependencies)
            && (self.has_been_ready
                || registry.have_had_their_turn(&self.definition.soft_dependencies))
    }

    async fn step(&mut self, event: Event) {
        let before = self.machine.state;
        let now = Moment::now();
        let conditions = Conditions {
            now: now.boottime / 1_000_000,
            policy: &self.policy,
            awaited: self.around.registry.is_awaited(&self.definition.name),
        };
        let actions = self.machine.step(event, &conditions);
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
        let sessions = *self.mailbox.sessions.borrow_and_update();
        if let Some(fence) = &mut self.fence {
            fence.note(&self.machine, &self.definition.digest, sessions, self.paused).await;
        }
    }

    /// A step that the last daemon started goes on; its time starts anew, which is never too short.
    fn rearm_after_adoption(&mut self) {
        let step = match self.machine.state {
            State::Installing => StepKind::Install,
            State::Startup => StepKind::Startup,
            State::Running if self.machine.main == Some(StepKind::Run) => StepKind::Run,
            _ => return,
        };
        if let Some(wait) = self.timeout_of(step) {
            self.alarm.arm(Timer::Step(step), wait);
        }
        if self.paused {
            self.alarm.hold();
        }
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
            goal: self.machine.goal,
            state: self.machine.state,
            changed: self.changed.clone(),
            paused: self.paused,
            next_retry: self.next_retry.clone(),
            pid,
            restarts: self.restarts,
            begun: self.machine.begun,
            tried: self.machine.tried,
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

/// So much later than now.
fn plus(wait: Duration) -> Moment {
    let now = Moment::now();
    let nanoseconds = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
    Moment {
        boottime: now.boottime.saturating_add(nanoseconds),
        realtime: now.realtime.saturating_add_unsigned(nanoseconds),
        ..now
    }
}
