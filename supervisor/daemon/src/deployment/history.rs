//! Deployments that wait, are at work, or have ended: what is known of each, and whether it is to end early.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::document::DeploymentId;
use super::view::{DeploymentStatus, DeploymentView, Stage};

#[derive(Debug)]
struct Entry {
    view: DeploymentView,
    canceled: watch::Sender<bool>,
}

/// In memory; what has to survive is in the store.
#[derive(Debug)]
pub struct History {
    entries: Mutex<BTreeMap<DeploymentId, Entry>>,
    changed: watch::Sender<()>,
}

impl History {
    pub fn of(views: impl IntoIterator<Item = DeploymentView>) -> Self {
        let entry = |view: DeploymentView| {
            (view.id.clone(), Entry { view, canceled: watch::Sender::new(false) })
        };
        let entries = views.into_iter().map(entry).collect();
        Self { entries: Mutex::new(entries), changed: watch::Sender::new(()) }
    }

    /// `false` where there is one of that id already.
    pub fn insert(&self, view: DeploymentView) -> bool {
        let mut entries = self.lock();
        if entries.contains_key(&view.id) {
            return false;
        }
        let entry = Entry { canceled: watch::Sender::new(false), view };
        entries.insert(entry.view.id.clone(), entry);
        drop(entries);
        self.changed.send_replace(());
        true
    }

    /// Takes it up. `false` where it was withdrawn.
    pub fn begin(&self, id: &DeploymentId) -> bool {
        let mut entries = self.lock();
        let Some(entry) = entries.get_mut(id) else { return false };
        if entry.view.status.is_final() {
            return false;
        }
        entry.view.status = DeploymentStatus::InProgress;
        drop(entries);
        self.changed.send_replace(());
        true
    }

    /// Ends one that nobody has taken up. `None` where there is none, or it is too late for that.
    pub fn withdraw(&self, id: &DeploymentId) -> Option<DeploymentView> {
        let mut entries = self.lock();
        let entry = entries.get_mut(id)?;
        if entry.view.status != DeploymentStatus::Queued {
            return None;
        }
        (entry.view.stage, entry.view.status) = (Stage::Done, DeploymentStatus::Canceled);
        let view = entry.view.clone();
        drop(entries);
        self.changed.send_replace(());
        Some(view)
    }

    /// How many have not ended.
    pub fn unfinished(&self) -> usize {
        self.lock().values().filter(|entry| !entry.view.status.is_final()).count()
    }

    pub fn update(&self, id: &DeploymentId, change: impl FnOnce(&mut DeploymentView)) {
        if let Some(entry) = self.lock().get_mut(id) {
            change(&mut entry.view);
        }
        self.changed.send_replace(());
    }

    pub fn advance(&self, id: &DeploymentId, stage: Stage, percent: u32) {
        self.update(id, |view| {
            if !view.status.is_final() {
                view.status = DeploymentStatus::InProgress;
                view.stage = stage;
                view.percent = view.percent.max(percent.min(100));
            }
        });
    }

    /// Forgets those that ended first, beyond `count`.
    pub fn keep(&self, count: usize) {
        let mut entries = self.lock();
        let ended = entries.values().filter(|entry| entry.view.status.is_final());
        let mut ended: Vec<(u64, DeploymentId)> =
            ended.map(|entry| (entry.view.job, entry.view.id.clone())).collect();
        ended.sort();
        let surplus = ended.len().saturating_sub(count);
        for (_, id) in ended.iter().take(surplus) {
            entries.remove(id);
        }
        drop(entries);
        self.changed.send_replace(());
    }

    /// Asks the one who carries it out to end it. `None` where there is none of that id.
    pub fn cancel(&self, id: &DeploymentId) -> Option<DeploymentView> {
        let entries = self.lock();
        let entry = entries.get(id)?;
        if !entry.view.status.is_final() {
            entry.canceled.send_replace(true);
        }
        let view = entry.view.clone();
        drop(entries);
        self.changed.send_replace(());
        Some(view)
    }

    /// Becomes true when it is to end early.
    pub fn cancellation(&self, id: &DeploymentId) -> watch::Receiver<bool> {
        match self.lock().get(id) {
            Some(entry) => entry.canceled.subscribe(),
            None => watch::channel(false).1,
        }
    }

    pub fn get(&self, id: &DeploymentId) -> Option<DeploymentView> {
        self.lock().get(id).map(|entry| entry.view.clone())
    }

    /// The oldest first.
    pub fn all(&self) -> Vec<DeploymentView> {
        let mut views: Vec<_> = self.lock().values().map(|entry| entry.view.clone()).collect();
        views.sort_by_key(|view| view.job);
        views
    }

    /// Resolves after every change of any deployment.
    pub fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<DeploymentId, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
