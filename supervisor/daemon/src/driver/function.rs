//! The task of a component that is a Lambda function: the same life as of any other, [`Machine`]'s, with the function's
//! pool in the place of a fence. STARTING is a pinned function until its instance polls, and RUNNING one that is ready
//! for events.
//!
//! Instances of a pinned function that do not come up are the component's failures: it is stopped, and started again
//! after its back-off. A function on demand stays where callers find it, and its pool says when it tries again; until it
//! comes up, the component is ERRORED.

mod obey;

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hedgerow_function::{Health, Instances, Standing};
use hedgerow_isolation::moment::Moment;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::act::jittered;
use super::alarm::Alarm;
use super::{Mailbox, Surroundings, plus};
use crate::definition::{Definition, Function};
use crate::fault::{Fault, Reason, StatusCode};
use crate::function::{ProvideError, Provided};
use crate::lifecycle::{
    Action, Blame, Conditions, Event, GRACE, Goal, Machine, RestartPolicy, Source, State, StepKind,
    StepNews, Timer,
};
use crate::registry::{COMMANDS, Status};

/// Functions for Greengrass v1 may never come back from their initialization: one that is pinned and has no limit for it
/// runs, if it has not failed for so long.
const SILENCE: Duration = Duration::from_secs(5);

pub struct FunctionDriver {
    around: Arc<Surroundings>,
    definition: Definition,
    /// The definition's.
    function: Function,
    policy: RestartPolicy,
    machine: Machine,
    mailbox: Mailbox,
    /// What happened and has not been stepped through yet.
    pending: VecDeque<Event>,
    alarm: Alarm,
    next_retry: Option<Moment>,
    has_been_ready: bool,
    /// Instances can be opened.
    provided: Option<Provided>,
    standing: Option<watch::Receiver<Standing>>,
    health: Health,
    /// A running pinned function was given another definition, of which there is no instance yet.
    is_renewed: bool,
    /// The function is being stopped.
    stopping: Option<JoinHandle<()>>,
    /// All of it is being ended.
    closing: Option<JoinHandle<()>>,
    /// What is shown, and since when.
    shown: State,
    changed: Moment,
    restarts: u32,
    fault: Option<Fault>,
}

impl FunctionDriver {
    pub fn spawn(
        around: &Arc<Surroundings>,
        definition: Definition,
        function: Function,
        goal: Goal,
    ) {
        let (sender, commands) = mpsc::channel(COMMANDS);
        let mailbox = Mailbox { commands, sessions: watch::channel(0).1 };
        let mut driver = Self::new(around, definition, function, goal, mailbox);
        driver.mailbox.sessions = around.registry.insert(driver.status(), sender);
        tokio::spawn(driver.run());
    }

    /// Goes on for the task of a component that was no function.
    pub(super) fn take_over(
        around: &Arc<Surroundings>,
        definition: Definition,
        function: Function,
        goal: Goal,
        mailbox: Mailbox,
    ) {
        let driver = Self::new(around, definition, function, goal, mailbox);
        around.registry.update(driver.status());
        tokio::spawn(driver.run());
    }

    fn new(
        around: &Arc<Surroundings>,
        definition: Definition,
        function: Function,
        goal: Goal,
        mailbox: Mailbox,
    ) -> Self {
        let machine = Machine::new(goal, definition.steps(), true);
        Self {
            around: Arc::clone(around),
            policy: around.settings.restart_policy(&definition.name),
            shown: machine.state,
            definition,
            function,
            machine,
            mailbox,
            pending: [Event::Goal(goal)].into(),
            alarm: Alarm::default(),
            next_retry: None,
            has_been_ready: false,
            provided: None,
            standing: None,
            health: Health::Stopped,
            is_renewed: false,
            stopping: None,
            closing: None,
            changed: Moment::now(),
            restarts: 0,
            fault: None,
        }
    }

    async fn run(mut self) {
        let mut neighbours = self.around.registry.watch();
        // Callers are told that it does not run, rather than that there is none.
        self.around.functions.define_stopped(self.function.spec.clone()).await;
        loop {
            let ready = self.is_ready();
            self.has_been_ready |= ready;
            if ready != self.machine.ready {
                self.pending.push_back(Event::Dependencies { ready });
            }
            while let Some(event) = self.pending.pop_front() {
                self.step(event).await;
            }
            if self.machine.state == State::Removed {
                self.around.functions.remove(&self.definition.name, Duration::ZERO).await;
                return self.around.registry.remove(&self.definition.name);
            }
            tokio::select! {
                command = self.mailbox.commands.recv() => match command {
                    Some(command) => self.obey(command).await,
                    // The registry dropped this component: only removal does that.
                    None => return,
                },
                health = next_health(self.standing.as_mut(), &self.function.spec.digest, &self.health) => {
                    self.observe(health);
                }
                () = done(self.stopping.as_mut()) => self.emptied(),
                () = done(self.closing.as_mut()) => self.closed(),
                timer = self.alarm.ring() => self.rang(timer),
                _ = neighbours.changed() => {}
            }
        }
    }

    fn is_ready(&self) -> bool {
        let registry = &self.around.registry;
        registry.are_ready(&self.definition.hard_dependencies)
            && (self.has_been_ready
                || registry.have_had_their_turn(&self.definition.soft_dependencies))
    }

    async fn step(&mut self, event: Event) {
        let before = self.machine.state;
        let conditions = Conditions {
            now: Moment::now().boottime / 1_000_000,
            policy: &self.policy,
            awaited: self.around.registry.is_awaited(&self.definition.name),
        };
        let actions = self.machine.step(event, &conditions);
        tracing::debug!(
            component = self.definition.name,
            "{event:?}: {before:?} -> {:?} {actions:?}",
            self.machine.state
        );
        self.publish();
        for action in actions {
            self.carry_out(action).await;
        }
        self.publish();
    }

    async fn carry_out(&mut self, action: Action) {
        match action {
            Action::Open => match self.provide().await {
                Ok(()) => self.pending.push_back(Event::Opened),
                Err(blame) => self.pending.push_back(Event::OpenFailed(blame)),
            },
            Action::Start(step) => self.start(step).await,
            Action::Terminate => {
                let stop = self.stop(GRACE);
                self.stopping = Some(tokio::spawn(stop));
            }
            Action::Close => self.close(),
            Action::RecordInstalled => {}
            Action::Arm(timer, wait) => self.arm(timer, wait),
            Action::Disarm => {
                self.alarm.disarm();
                self.next_retry = None;
            }
        }
    }

    /// Instances of the definition can be opened from here on.
    async fn provide(&mut self) -> Result<(), Blame> {
        match self.around.instances.provide(&self.definition, &self.function).await {
            Ok(provided) => {
                self.provided = Some(provided);
                Ok(())
            }
            Err(error) => {
                let (reason, blame) = match &error {
                    ProvideError::Making(_) => (Reason::ConfigNotValid, Blame::Component),
                    ProvideError::Fence(error) => (error.reason(), error.blame()),
                };
                self.blame(reason, error.to_string());
                Err(blame)
            }
        }
    }

    async fn start(&mut self, step: StepKind) {
        if self.fault.is_some() {
            self.restarts += 1;
        }
        self.define().await;
        let (functions, name) = (&self.around.functions, &self.definition.name);
        // It is there: it has just been defined.
        let _ = functions.start(name).await;
        self.standing = functions.watch_standing(name);
        self.is_renewed = false;
        self.pending.push_back(Event::Step(step, StepNews::Started));
        if !self.function.spec.pinned {
            self.pending.push_back(Event::Step(step, StepNews::Exited { success: true }));
        }
    }

    async fn define(&self) {
        let Function { spec, notices, .. } = &self.function;
        for notice in notices {
            self.around.instances.log(&spec.name, notice);
        }
        self.around.functions.define(spec.clone()).await;
    }

    fn emptied(&mut self) {
        self.stopping = None;
        if let Some(step) = self.machine.main {
            self.pending.push_back(Event::Step(step, StepNews::Exited { success: false }));
        }
        self.pending.push_back(Event::Emptied);
    }

    fn stop(&self, grace: Duration) -> impl Future<Output = ()> + use<> {
        let (functions, name) = (self.around.functions.clone(), self.definition.name.clone());
        let goal = self.machine.goal;
        async move {
            match goal {
                Goal::Remove => functions.retire(&name, grace).await,
                Goal::Run | Goal::Stop => functions.stop(&name, grace).await,
            }
        }
    }

    fn close(&mut self) {
        self.stopping = None;
        (self.standing, self.health) = (None, Health::Stopped);
        self.is_renewed = false;
        let (stop, provided) = (self.stop(Duration::ZERO), self.provided.take());
        self.closing = Some(tokio::spawn(async move {
            stop.await;
            if let Some(provided) = provided {
                provided.end().await;
            }
        }));
    }

    fn closed(&mut self) {
        self.closing = None;
        self.pending.push_back(Event::Closed);
    }

    fn arm(&mut self, timer: Timer, wait: Option<Duration>) {
        let wait = match timer {
            Timer::Step(_) => {
                let spec = &self.function.spec;
                (spec.pinned && spec.init_timeout.is_none()).then_some(SILENCE)
            }
            Timer::Grace => wait,
            Timer::Backoff => wait.map(|wait| jittered(wait).min(self.policy.max_backoff)),
        };
        self.next_retry = match timer {
            Timer::Backoff => wait.map(plus),
            Timer::Step(_) | Timer::Grace => None,
        };
        match wait {
            Some(wait) => self.alarm.arm(timer, wait),
            None => self.alarm.disarm(),
        }
    }

    fn rang(&mut self, timer: Timer) {
        self.pending.push_back(match timer {
            Timer::Step(step) => Event::Step(step, StepNews::Exited { success: true }),
            Timer::Grace => Event::GraceOver,
            Timer::Backoff => Event::BackoffOver,
        });
    }

    fn observe(&mut self, health: Option<Health>) {
        let Some(health) = health else {
            self.standing = None;
            return;
        };
        let pinned = self.function.spec.pinned;
        match &health {
            Health::Failing { error, .. } if pinned => {
                let is_up = self.machine.state == State::Running;
                self.blame(Reason::Error, error.clone());
                self.pending.push_back(match is_up {
                    true => Event::Ended(Blame::Component),
                    false => Event::Step(StepKind::Startup, StepNews::Exited { success: false }),
                });
            }
            Health::Failing { error, retry_at, .. } => {
                self.blame(Reason::Error, error.clone());
                self.next_retry = Some(plus(retry_at.saturating_duration_since(Instant::now())));
            }
            Health::Ready => {
                self.is_renewed = false;
                self.next_retry = None;
                if pinned {
                    let up = StepNews::Exited { success: true };
                    self.pending.push_back(Event::Step(StepKind::Startup, up));
                }
            }
            Health::Idle | Health::Starting | Health::Stopped => {}
        }
        self.health = health;
        self.publish();
    }

    fn blame(&mut self, reason: Reason, message: String) {
        let is_up = self.machine.state == State::Running;
        let step = if is_up { StepKind::Run } else { StepKind::Startup };
        tracing::warn!(component = self.definition.name, "{message}");
        self.fault = Some(Fault { step: None, code: StatusCode::of(step, reason), message });
    }

    /// The machine's state, but for what the pool does by itself.
    fn state(&self) -> State {
        match (self.machine.state, &self.health) {
            (State::Running, Health::Failing { .. }) => State::Errored(Source::Running),
            (State::Running, _) if self.is_renewed => State::Startup,
            (state, _) => state,
        }
    }

    fn publish(&mut self) {
        let state = self.state();
        if state.published() != self.shown.published() {
            self.changed = Moment::now();
        }
        self.shown = state;
        self.around.registry.update(self.status());
    }

    fn status(&self) -> Status {
        Status {
            name: self.definition.name.clone(),
            version: self.definition.version.clone(),
            digest: self.definition.digest.clone(),
            goal: self.machine.goal,
            state: self.shown,
            changed: self.changed.clone(),
            paused: false,
            next_retry: self.next_retry.clone(),
            pid: None,
            restarts: self.restarts,
            begun: self.machine.begun,
            tried: self.machine.tried,
            fault: self.fault.clone(),
            fence: None,
            hard_dependencies: self.definition.hard_dependencies.clone(),
        }
    }
}

/// Another one than the last, of the version with that digest. `None`: the function is gone.
async fn next_health(
    standing: Option<&mut watch::Receiver<Standing>>,
    digest: &str,
    last: &Health,
) -> Option<Health> {
    let Some(standing) = standing else { return pending().await };
    let is_news = |now: &Standing| now.digest == digest && now.health != *last;
    let now = standing.wait_for(is_news).await.ok()?;
    Some(now.health.clone())
}

async fn done(task: Option<&mut JoinHandle<()>>) {
    match task {
        // One that panicked is done too.
        Some(task) => drop(task.await),
        None => pending().await,
    }
}
