//! One open fence of a component: its launcher calls, its IPC socket, its log.

mod adopted;
mod environment;
mod error;
mod output;

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hedgerow_ipc::{Identity, Principal, Token};
use hedgerow_isolation::moment::Moment;
use hedgerow_isolation::plan::{FenceId, IdRange, Network, Plan, Step, StepId, User};
use hedgerow_isolation::protocol::{ErrorKind, Event, Request, Response};
use nix::sys::signal::Signal;
use tokio::net::UnixListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

pub use adopted::{Adopted, adopt};
pub use environment::environment;
pub use error::FenceError;
use output::{SharedLog, drain_into};

use super::socket::bind;
use super::{Note, Surroundings};
use crate::definition::{Definition, skip_if};
use crate::disk::Watched;
use crate::launcher::{CallError, FenceEvent, FenceEvents, Launcher};
use crate::layout::inside;
use crate::lifecycle::{Machine, StepKind};
use crate::log::{ComponentLog, Drain, Stream};

/// The variable that tells an `uninstall` step which version is removed.
const COMPONENT_VERSION: &str = "GREENGRASS_COMPONENT_VERSION";

/// How long a closed fence's last output is waited for. It is in the pipes already, unless a component with the
/// host's network passed one on.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What a fence has to tell its driver.
#[derive(Debug)]
pub(super) enum News {
    Event(Event),
    /// The launcher has ended, and the fence with it.
    LauncherEnded,
    /// A pipe has ended.
    Drained,
    /// Nobody will tell anything more.
    Gone,
}

/// What was started for a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begun {
    Step,
    /// The test of whether it is to be skipped.
    Probe,
}

/// What exited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exited {
    Step(StepKind),
    Probe(StepKind),
}

pub(super) struct Fence {
    pub id: FenceId,
    /// With which it was opened: what runs is ended by what it was started with.
    pub definition: Definition,
    launcher: Launcher,
    events: FenceEvents,
    /// Events that came before this daemon.
    replay: VecDeque<Event>,
    /// Those that run, and those whose exit is not acknowledged yet.
    steps: BTreeMap<StepId, (StepKind, i32)>,
    exited: Vec<StepId>,
    /// The test of a step's `Skipif` that is under way.
    probe: Option<(StepId, StepKind)>,
    next_step: u64,
    token: Token,
    socket: PathBuf,
    environment: BTreeMap<String, String>,
    log: SharedLog,
    /// One for each pipe that is still open at its other end.
    drains: JoinSet<StepId>,
    /// How many of a step's pipes are.
    draining: BTreeMap<StepId, usize>,
    /// Dropped to stop serving the component's socket.
    ipc: Option<oneshot::Sender<()>>,
    noted: Option<Note>,
    observed: bool,
    _disk: Watched,
}

impl Fence {
    pub async fn open(
        around: &Arc<Surroundings>,
        definition: &Definition,
        machine: &Machine,
    ) -> Result<Self, FenceError> {
        around.disk.admit(definition, &around.launcher).await?;
        let id = fresh_id(definition.slot);
        let token = Token::generate()?;
        let (listener, spare) = bind(&around.layout, definition.slot)?;
        let events = around.launcher.listen(id.clone());
        let mut fence = Self::around(around, definition, id, token, events);
        let observer =
            around.observations.observer(&definition.name).map_err(CallError::Unsendable)?;
        fence.observed = observer.is_some();
        let note = fence.to_note(machine, &definition.digest, 0);
        let text = serde_json::to_string(&note).unwrap_or_default();
        fence.noted = Some(note);
        match fence.open_or_go_without_network(definition, text, spare, observer).await {
            Ok(users) => {
                fence.serve(around, listener, users);
                Ok(fence)
            }
            Err(error) => {
                around.launcher.forget(&fence.id);
                Err(error.into())
            }
        }
    }

    /// A machine that cannot join fences to its network runs the component alone: better than not at all.
    async fn open_or_go_without_network(
        &mut self,
        definition: &Definition,
        note: String,
        spare: OwnedFd,
        observer: Option<OwnedFd>,
    ) -> Result<IdRange, CallError> {
        let mut plan = definition.plan(self.id.clone());
        let observed = observer.is_some();
        let open = |plan: &Plan, note| match (Box::new(plan.clone()), observed) {
            (plan, false) => Request::Open { plan, note },
            (plan, true) => Request::OpenObserved { plan, note },
        };
        let descriptors: Vec<_> = [spare].into_iter().chain(observer).collect();
        let kept = descriptors.iter().map(OwnedFd::try_clone).collect::<Result<_, _>>();
        let kept = kept.map_err(CallError::Unsendable)?;
        let opened = self.launcher.open(open(&plan, note.clone()), descriptors).await;
        let Err(CallError::Refused(refusal)) = &opened else { return opened };
        if refusal.kind != ErrorKind::NoNat {
            return opened;
        }
        self.log_line(&format!("without a network: {refusal}"));
        plan.network = Network::None;
        self.launcher.open(open(&plan, note), kept).await
    }

    fn around(
        around: &Arc<Surroundings>,
        definition: &Definition,
        id: FenceId,
        token: Token,
        events: FenceEvents,
    ) -> Self {
        let log = ComponentLog::new(
            &definition.name,
            &definition.version,
            around.layout.log(&definition.name),
            around.layout.journal.clone(),
            &around.settings.log,
        );
        Self {
            id,
            events,
            definition: definition.clone(),
            launcher: around.launcher.clone(),
            replay: VecDeque::new(),
            steps: BTreeMap::new(),
            exited: Vec::new(),
            probe: None,
            next_step: 1,
            socket: around.layout.ipc_socket(definition.slot),
            environment: environment(&around.settings, token.as_str()),
            token,
            log: Arc::new(Mutex::new(log)),
            drains: JoinSet::new(),
            draining: BTreeMap::new(),
            ipc: None,
            noted: None,
            observed: false,
            _disk: around.disk.watched(definition),
        }
    }

    /// Serves the component's socket to processes that have the ids `users`.
    fn serve(&mut self, around: &Surroundings, listener: UnixListener, users: IdRange) {
        let (stop, stopped) = oneshot::channel::<()>();
        let identity = Identity {
            principal: Principal::Component(self.definition.name.as_str().into()),
            token: self.token.clone(),
            uids: users.first..users.first + IdRange::COUNT,
        };
        tokio::spawn(hedgerow_ipc::serve(
            listener,
            identity,
            around.hub.clone(),
            Arc::clone(&around.services),
            async move {
                // Either way the fence is gone.
                let _ = stopped.await;
            },
        ));
        self.ipc = Some(stop);
    }

    /// Starts the step, or first the test of whether it is to be skipped.
    pub async fn start(&mut self, kind: StepKind) -> Result<Begun, FenceError> {
        let step = self.definition.steps.get(&kind).ok_or(FenceError::NoStep(kind))?;
        if let Some(why) = &step.invalid {
            return Err(FenceError::Invalid(why.clone()));
        }
        let Some(condition) = &step.skip_if else {
            self.start_script(kind).await?;
            return Ok(Begun::Step);
        };
        let argv = skip_if::argv(condition);
        let (id, _) = self.execute(kind, argv).await?;
        self.probe = Some((id, kind));
        Ok(Begun::Probe)
    }

    /// Starts the step itself.
    pub async fn start_script(&mut self, kind: StepKind) -> Result<(), FenceError> {
        let step = self.definition.steps.get(&kind).ok_or(FenceError::NoStep(kind))?;
        let shell = self.definition.run_with.posix_shell.clone();
        let argv = vec![shell, "-c".into(), step.script.clone()];
        let (id, pid) = self.execute(kind, argv).await?;
        self.steps.insert(id, (kind, pid));
        Ok(())
    }

    /// A program in the step's place: as its user, in its environment.
    async fn execute(
        &mut self,
        kind: StepKind,
        argv: Vec<String>,
    ) -> Result<(StepId, i32), FenceError> {
        let definition = self.definition.steps.get(&kind).ok_or(FenceError::NoStep(kind))?;
        let id = StepId(self.next_step);
        self.next_step += 1;
        let mut env = self.environment.clone();
        env.extend(definition.environment.clone());
        if kind == StepKind::Uninstall {
            env.insert(COMPONENT_VERSION.into(), self.definition.version.clone());
        }
        let cwd = inside::work(&self.definition.name).into();
        let (user, privileged) = (User::GGC, definition.privileged);
        let account = Some(self.definition.account());
        let step = Step { id, argv, env, cwd, user, account, privileged };
        let request = Request::Start { fence: self.id.clone(), step };
        let (response, descriptors) = self.launcher.call(request, vec![]).await?;
        let Response::Started { pid } = response else { return Err(CallError::Confused.into()) };
        let found = descriptors.len();
        let Ok([stdout, stderr]) = <[OwnedFd; 2]>::try_from(descriptors) else {
            return Err(FenceError::Descriptors { expected: 2, found });
        };
        self.drain(id, kind, stdout, stderr);
        Ok((id, pid))
    }

    fn drain(&mut self, step: StepId, kind: StepKind, stdout: OwnedFd, stderr: OwnedFd) {
        for (pipe, stream) in [(stdout, Stream::Stdout), (stderr, Stream::Stderr)] {
            match Drain::new(pipe) {
                Ok(drain) => {
                    let log = Arc::clone(&self.log);
                    *self.draining.entry(step).or_default() += 1;
                    self.drains.spawn(async move {
                        drain_into(drain, log, kind.as_str(), stream).await;
                        step
                    });
                }
                Err(error) => {
                    tracing::error!("cannot read the output of {}: {error}", self.definition.name);
                }
            }
        }
    }

    pub async fn next(&mut self) -> News {
        if let Some(event) = self.replay.pop_front() {
            return News::Event(event);
        }
        tokio::select! {
            event = self.events.recv() => match event {
                Some(FenceEvent::Told(event)) => News::Event(event),
                Some(FenceEvent::LauncherEnded) => News::LauncherEnded,
                None => News::Gone,
            },
            Some(Ok(step)) = self.drains.join_next() => {
                if let Some(open) = self.draining.get_mut(&step) {
                    *open -= 1;
                }
                self.draining.retain(|_, open| *open > 0);
                News::Drained
            }
        }
    }

    /// What it was that exited.
    pub fn exited(&mut self, step: StepId) -> Option<Exited> {
        if self.exited.contains(&step) {
            return None;
        }
        self.exited.push(step);
        if let Some((_, kind)) = self.probe.take_if(|(probe, _)| *probe == step) {
            return Some(Exited::Probe(kind));
        }
        self.steps.get(&step).map(|(kind, _)| Exited::Step(*kind))
    }

    /// Lets the launcher forget the exits. Only once what follows from them has been noted or stored: a daemon that
    /// is killed before that hears of them again. And only once the step's pipes have ended: what it left in the
    /// background still writes to them, and the launcher keeps them open while no daemon does.
    pub async fn acknowledge(&mut self) {
        let (open, done): (Vec<_>, Vec<_>) = std::mem::take(&mut self.exited)
            .into_iter()
            .partition(|step| self.draining.contains_key(step));
        self.exited = open;
        for step in done {
            self.steps.remove(&step);
            let acknowledge = Request::Acknowledge { fence: self.id.clone(), step };
            if let Err(error) = self.launcher.run(acknowledge, vec![]).await {
                tracing::warn!("cannot acknowledge an exit of {}: {error}", self.definition.name);
            }
        }
    }

    /// SIGTERM to every process. The launcher tells when none is left, at once where there is none now.
    pub async fn terminate(&self) {
        let signal =
            Request::Signal { fence: self.id.clone(), step: None, signal: Signal::SIGTERM as i32 };
        if let Err(error) = self.launcher.run(signal, vec![]).await {
            tracing::warn!("cannot signal {}: {error}", self.definition.name);
        }
    }

    /// Returns when nothing of the fence is left and its last words are in the log.
    pub async fn close(mut self) {
        let close = || Request::Close { fence: self.id.clone() };
        let mut closed = self.launcher.run(close(), vec![]).await;
        if matches!(closed, Err(CallError::Gone)) {
            // It ended the fence by ending itself; its successor cleans up and answers.
            closed = self.launcher.run(close(), vec![]).await;
        }
        if let Err(error) = closed {
            tracing::error!("cannot close the fence of {}: {error}", self.definition.name);
        }
        self.launcher.forget(&self.id);
        drop(self.ipc);
        // Nobody listens there any more.
        if let Err(error) = fs::remove_file(&self.socket) {
            tracing::debug!("cannot remove {}: {error}", self.socket.display());
        }
        let rest = async { while self.drains.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_WORDS, rest).await.is_err() {
            tracing::warn!(
                "{} passed its output on to somebody outside its fence",
                self.definition.name
            );
        }
    }

    /// Leaves with the launcher what the next daemon must know, if it is new.
    pub async fn note(&mut self, machine: &Machine, digest: &str, sessions: u32, paused: bool) {
        let note = Note { paused, ..self.to_note(machine, digest, sessions) };
        if self.noted.as_ref() == Some(&note) {
            return;
        }
        let text = serde_json::to_string(&note).unwrap_or_default();
        let request = Request::Note { fence: self.id.clone(), note: text };
        match self.launcher.run(request, vec![]).await {
            Ok(()) => self.noted = Some(note),
            Err(error) => {
                tracing::warn!("cannot note the state of {}: {error}", self.definition.name)
            }
        }
    }

    fn to_note(&self, machine: &Machine, digest: &str, sessions: u32) -> Note {
        Note {
            component: self.definition.name.clone(),
            digest: digest.to_owned(),
            machine: machine.clone(),
            token: self.token.as_str().to_owned(),
            sessions,
            paused: false,
            observed: self.observed,
            steps: self.steps.iter().map(|(id, (kind, _))| (*id, *kind)).collect(),
        }
    }

    pub fn main_pid(&self, main: Option<StepKind>) -> Option<i32> {
        self.steps.values().find(|(kind, _)| Some(*kind) == main).map(|(_, pid)| *pid)
    }

    /// A line of the supervisor's own in the component's log.
    pub fn log_line(&self, text: &str) {
        let written = self.log.lock().unwrap_or_else(PoisonError::into_inner).say(text);
        if let Err(error) = written {
            tracing::error!("cannot write the log of {}: {error}", self.definition.name);
        }
    }
}

/// Never one that was used before, by this daemon or by its predecessors of this boot.
fn fresh_id(slot: u32) -> FenceId {
    let milliseconds = Moment::now().boottime / 1_000_000;
    FenceId::try_from(format!("c{slot}-{milliseconds:x}"))
        .unwrap_or_else(|_| unreachable!("digits and lower-case letters, at most 28"))
}
