//! Every component's driver, and what is known of it: the one place where components see each other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hedgerow_isolation::moment::Moment;
use hedgerow_isolation::plan::FenceId;
use tokio::sync::{mpsc, oneshot, watch};

use crate::definition::Definition;
use crate::fault::Fault;
use crate::launcher::CallError;
use crate::lifecycle::{Goal, State};

/// Commands that may wait for one driver.
pub const COMMANDS: usize = 64;

/// What a driver is told from outside its fence.
#[derive(Debug)]
pub enum Command {
    /// The stored desired state changed.
    Goal(Goal),
    Restart,
    /// Forget what went wrong, and try again now where that is why the component waits.
    Reset,
    /// What happens to what runs is [`Definition::change_to`]'s to say.
    Replace(Box<Definition>),
    /// IPC UpdateState.
    Report {
        healthy: bool,
    },
    /// Freezes every process of the component. Answered once they are; already so is a success.
    Pause(oneshot::Sender<Result<(), PauseError>>),
    Resume(oneshot::Sender<Result<(), PauseError>>),
    /// Its fence is closed at once, for a reason of the supervisor's.
    End {
        why: String,
    },
    /// No time is left: SIGKILL at once.
    Kill,
}

#[derive(Debug, thiserror::Error)]
pub enum PauseError {
    #[error("it is {}; only a component that is RUNNING can be paused", .0.published().as_str())]
    NotRunning(State),
    #[error("it is built in: there is no process to pause")]
    BuiltIn,
    #[error("it is a Lambda function: what it does not use is frozen already; stop it instead")]
    Function,
    #[error(transparent)]
    Launcher(#[from] CallError),
}

/// What is observed of a component. In memory only: what is desired is in the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    pub name: String,
    pub version: String,
    /// The definition that the driver follows.
    pub digest: String,
    pub goal: Goal,
    pub state: State,
    pub changed: Moment,
    /// Every process of it is frozen.
    pub paused: bool,
    /// While it waits after a failure: when it is tried again.
    pub next_retry: Option<Moment>,
    /// The host's number of the `startup` or `run` step's process.
    pub pid: Option<i32>,
    pub restarts: u32,
    /// [`crate::lifecycle::Machine::begun`].
    pub begun: u64,
    /// [`crate::lifecycle::Machine::tried`].
    pub tried: bool,
    pub fault: Option<Fault>,
    pub fence: Option<FenceId>,
    /// What must be ready before it starts, and stopped after it.
    pub hard_dependencies: Vec<String>,
}

#[derive(Debug)]
struct Entry {
    commands: mpsc::Sender<Command>,
    /// IPC sessions that are open.
    sessions: watch::Sender<u32>,
    status: Status,
    /// How many operators' requests there were, and what the last one wants.
    requests: u64,
    requested: Goal,
}

#[derive(Debug)]
pub struct Registry {
    entries: Mutex<BTreeMap<String, Entry>>,
    /// How many deployments wait for each component.
    awaited: Mutex<BTreeMap<String, u32>>,
    changed: watch::Sender<()>,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            entries: Mutex::default(),
            awaited: Mutex::default(),
            changed: watch::Sender::new(()),
        }
    }
}

impl Registry {
    /// Returns the count of the component's IPC sessions.
    pub fn insert(&self, status: Status, commands: mpsc::Sender<Command>) -> watch::Receiver<u32> {
        let (sessions, count) = watch::channel(0);
        self.lock().insert(
            status.name.clone(),
            Entry { commands, sessions, requests: 0, requested: status.goal, status },
        );
        self.changed.send_replace(());
        count
    }

    /// Somebody wants this of the component from now on. The answer tells the request from later ones.
    pub fn request(&self, name: &str, goal: Goal) -> u64 {
        let mut entries = self.lock();
        let Some(entry) = entries.get_mut(name) else { return 0 };
        entry.requests += 1;
        entry.requested = goal;
        let request = entry.requests;
        drop(entries);
        self.changed.send_replace(());
        request
    }

    /// Whether somebody wanted something else after that request.
    pub fn is_overtaken(&self, name: &str, request: u64, goal: Goal) -> bool {
        let entries = self.lock();
        entries.get(name).is_some_and(|entry| entry.requests > request && entry.requested != goal)
    }

    pub fn session_opened(&self, name: &str) {
        if let Some(entry) = self.lock().get(name) {
            entry.sessions.send_modify(|count| *count += 1);
        }
    }

    pub fn session_closed(&self, name: &str) {
        if let Some(entry) = self.lock().get(name) {
            entry.sessions.send_modify(|count| *count = count.saturating_sub(1));
        }
    }

    pub fn remove(&self, name: &str) {
        self.lock().remove(name);
        self.changed.send_replace(());
    }

    /// Publishes a driver's news, if they are any.
    pub fn update(&self, status: Status) {
        let mut entries = self.lock();
        let Some(entry) = entries.get_mut(&status.name) else { return };
        if entry.status == status {
            return;
        }
        entry.status = status;
        drop(entries);
        self.changed.send_replace(());
    }

    pub fn status(&self, name: &str) -> Option<Status> {
        self.lock().get(name).map(|entry| entry.status.clone())
    }

    pub fn all(&self) -> Vec<Status> {
        self.lock().values().map(|entry| entry.status.clone()).collect()
    }

    pub fn commands(&self, name: &str) -> Option<mpsc::Sender<Command>> {
        self.lock().get(name).map(|entry| entry.commands.clone())
    }

    /// Resolves after every change of any component.
    pub fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Gives each component that `is_left` a goal that ends it, dependents first, until none is left.
    pub async fn end_in_order(&self, goal: Goal, is_left: impl Fn(&Status) -> bool) {
        let mut changes = self.watch();
        let mut asked = BTreeSet::new();
        loop {
            changes.mark_unchanged();
            let mut left = self.all();
            left.retain(&is_left);
            if left.is_empty() {
                return;
            }
            for status in &left {
                let is_needed =
                    left.iter().any(|other| other.hard_dependencies.contains(&status.name));
                if !is_needed
                    && asked.insert(status.name.clone())
                    && let Some(commands) = self.commands(&status.name)
                {
                    // A driver that has just ended needs no telling.
                    let _ = commands.send(Command::Goal(goal)).await;
                }
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// SIGKILL to each, in no order, and waits until none is left.
    pub async fn kill(&self, is_left: impl Fn(&Status) -> bool) {
        let mut changes = self.watch();
        for status in self.all().iter().filter(|status| is_left(status)) {
            if let Some(commands) = self.commands(&status.name) {
                // In this order: what is killed while it is wanted starts again.
                let _ = commands.send(Command::Goal(Goal::Stop)).await;
                let _ = commands.send(Command::Kill).await;
            }
        }
        while self.all().iter().any(&is_left) && changes.changed().await.is_ok() {}
    }

    pub fn are_ready(&self, names: &[String]) -> bool {
        let entries = self.lock();
        names
            .iter()
            .all(|name| entries.get(name).is_some_and(|entry| entry.status.state.is_ready()))
    }

    /// Whether each is ready or has not had its turn yet, as after a restart of the daemon.
    pub fn are_ready_or_new(&self, names: &[String]) -> bool {
        let entries = self.lock();
        names.iter().all(|name| {
            entries.get(name).is_none_or(|Entry { status, .. }| {
                status.state.is_ready() || matches!(status.state, State::New | State::Installed)
            })
        })
    }

    /// While the answer lives, too many failures of these components make them BROKEN: somebody waits for them to
    /// come up or not to.
    pub fn awaiting(self: &Arc<Self>, names: impl IntoIterator<Item = String>) -> Awaiting {
        let names: Vec<String> = names.into_iter().collect();
        let mut awaited = self.lock_awaited();
        for name in &names {
            *awaited.entry(name.clone()).or_default() += 1;
        }
        Awaiting { registry: Arc::clone(self), names }
    }

    pub fn is_awaited(&self, name: &str) -> bool {
        self.lock_awaited().contains_key(name)
    }

    /// Whether the first attempt of each to start has ended, one way or another, or none is to be expected.
    pub fn have_had_their_turn(&self, names: &[String]) -> bool {
        let entries = self.lock();
        let mut known = BTreeMap::new();
        names.iter().all(|name| has_had_its_turn(&entries, name, &mut known))
    }

    fn lock_awaited(&self) -> MutexGuard<'_, BTreeMap<String, u32>> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Registry::awaiting`].
#[derive(Debug)]
pub struct Awaiting {
    registry: Arc<Registry>,
    names: Vec<String>,
}

impl Drop for Awaiting {
    fn drop(&mut self) {
        let mut awaited = self.registry.lock_awaited();
        for name in &self.names {
            if let Some(count) = awaited.get_mut(name) {
                *count -= 1;
            }
        }
        awaited.retain(|_, count| *count > 0);
    }
}

/// `known` has the answers so far, each of which is asked for once.
fn has_had_its_turn<'a>(
    entries: &'a BTreeMap<String, Entry>,
    name: &'a str,
    known: &mut BTreeMap<&'a str, bool>,
) -> bool {
    if let Some(known) = known.get(name) {
        return *known;
    }
    let Some(Entry { status, .. }) = entries.get(name) else { return true };
    // What a cycle of dependencies comes back to.
    known.insert(name, true);
    let mut is_held_up = |needed: &'a String| {
        let is_ready = entries.get(needed).is_some_and(|entry| entry.status.state.is_ready());
        !is_ready && has_had_its_turn(entries, needed, known)
    };
    let answer = status.tried
        || status.goal != Goal::Run
        || (status.state == State::Installed
            && status.hard_dependencies.iter().any(&mut is_held_up));
    known.insert(name, answer);
    answer
}

#[cfg(test)]
#[path = "registry/tests.rs"]
mod tests;
