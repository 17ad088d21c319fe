//! Every component's driver, and what is known of it: the one place where components see each other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hedgerow_isolation::moment::Moment;
use hedgerow_isolation::plan::FenceId;
use tokio::sync::{mpsc, watch};

use crate::definition::Definition;
use crate::lifecycle::{Goal, State};

/// Commands that may wait for one driver.
pub const COMMANDS: usize = 64;

/// What a driver is told from outside its fence.
#[derive(Debug)]
pub enum Command {
    /// The stored desired state changed.
    Goal(Goal),
    Restart,
    Replace(Box<Definition>),
    /// IPC UpdateState.
    Report {
        healthy: bool,
    },
}

/// What is observed of a component. In memory only: what is desired is in the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    pub name: String,
    pub version: String,
    /// The definition that the driver follows.
    pub digest: String,
    pub state: State,
    pub changed: Moment,
    /// The host's number of the `startup` or `run` step's process.
    pub pid: Option<i32>,
    pub restarts: u32,
    /// [`crate::lifecycle::Machine::begun`].
    pub begun: u64,
    pub fault: Option<Fault>,
    pub fence: Option<FenceId>,
    /// What must be ready before it starts, and stopped after it.
    pub hard_dependencies: Vec<String>,
}

/// What went wrong last.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Fault {
    /// The step at fault, where it was one.
    pub step: Option<String>,
    /// For people.
    pub message: String,
}

#[derive(Debug)]
struct Entry {
    commands: mpsc::Sender<Command>,
    /// IPC sessions that are open.
    sessions: watch::Sender<u32>,
    status: Status,
}

#[derive(Debug)]
pub struct Registry {
    entries: Mutex<BTreeMap<String, Entry>>,
    changed: watch::Sender<()>,
}

impl Default for Registry {
    fn default() -> Self {
        Self { entries: Mutex::default(), changed: watch::Sender::new(()) }
    }
}

impl Registry {
    /// Returns the count of the component's IPC sessions.
    pub fn insert(&self, status: Status, commands: mpsc::Sender<Command>) -> watch::Receiver<u32> {
        let (sessions, count) = watch::channel(0);
        self.lock().insert(status.name.clone(), Entry { commands, sessions, status });
        self.changed.send_replace(());
        count
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

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
