//! Fences that are made before they are wanted, so that the next instance of a function starts in one at once.

use std::collections::VecDeque;
use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hedgerow_isolation::plan::FenceId;
use hedgerow_isolation::protocol::Event;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::component::Component;
use super::instances::Version;
use super::open::{self, Made};
use crate::launcher::{FenceEvent, Launcher};

/// After memory was short none is made for so long.
const SCARCE: Duration = Duration::from_secs(60);

/// One for each of a few versions, those whose instances were opened last.
#[derive(Debug)]
pub struct Prepared {
    launcher: Launcher,
    /// Fences, of all functions together.
    limit: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The oldest first.
    places: VecDeque<Place>,
    scarce_until: Option<Instant>,
}

#[derive(Debug)]
struct Place {
    fence: FenceId,
    version: Arc<Version>,
    /// `None` while it is being made or closed.
    made: Option<Made>,
    /// It is there only for whoever waits for its end.
    gives_way: bool,
    /// Makes or closes it.
    task: JoinHandle<()>,
}

/// What gives way where all places are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    Leave,
    Oldest,
}

impl Prepared {
    pub fn new(launcher: &Launcher, limit: usize) -> Self {
        Self { launcher: launcher.clone(), limit, state: Mutex::default() }
    }

    /// Makes one, unless there is one or memory is short.
    pub fn prepare(self: &Arc<Self>, version: &Arc<Version>, full: Full) {
        let mut state = self.state();
        let is_scarce = state.scarce_until.is_some_and(|until| Instant::now() < until);
        let is_there = state.kept().any(|place| place.is_of(version));
        if is_scarce || is_there {
            return;
        }
        if state.kept().count() >= self.limit {
            match (full, state.places.iter_mut().find(|place| !place.gives_way)) {
                (Full::Oldest, Some(oldest)) => self.give_way(oldest),
                (Full::Oldest, None) | (Full::Leave, _) => return,
            }
        }
        let fence = open::fresh_id(version.making.definition.slot);
        let (prepared, of, id) = (Arc::clone(self), Arc::clone(version), fence.clone());
        let task = tokio::spawn(async move { prepared.make(&of, id).await });
        let version = Arc::clone(version);
        state.places.push_back(Place { fence, version, made: None, gives_way: false, task });
    }

    /// For memory's sake. Whether there was one.
    pub fn give_back(self: &Arc<Self>) -> bool {
        let mut state = self.state();
        state.scarce_until = Some(Instant::now() + SCARCE);
        let given = state.places.iter_mut().filter(|place| place.made.is_some());
        given.map(|place| self.give_way(place)).count() > 0
    }

    /// One that is still being made is closed once it is.
    fn give_way(self: &Arc<Self>, place: &mut Place) {
        place.gives_way = true;
        if let Some(made) = place.made.take() {
            let prepared = Arc::clone(self);
            place.task = tokio::spawn(async move { prepared.close(made.fence).await });
        }
    }

    async fn make(&self, version: &Arc<Version>, fence: FenceId) {
        let is_kept = match open::prepare(&self.launcher, version, fence.clone()).await {
            Ok(made) => self.fill(made),
            // Whoever wants an instance is told what prevents it.
            Err(_) => false,
        };
        if !is_kept {
            self.close(fence).await;
        }
    }

    async fn close(&self, fence: FenceId) {
        open::close(&self.launcher, fence.clone()).await;
        self.state().places.retain(|place| place.fence != fence);
    }

    /// Whether it is still wanted.
    fn fill(&self, made: Made) -> bool {
        let mut state = self.state();
        let place = state.places.iter_mut().find(|place| place.fence == made.fence);
        match place.filter(|place| !place.gives_way) {
            Some(place) => {
                place.made = Some(made);
                true
            }
            None => false,
        }
    }

    /// The fence is the caller's from here on.
    pub fn take(self: &Arc<Self>, version: &Arc<Version>) -> Option<Made> {
        let mut state = self.state();
        let is_ready = |place: &Place| place.is_of(version) && place.made.is_some();
        let index = state.places.iter().position(is_ready)?;
        let place = state.places.get_mut(index)?;
        if has_ended(place.made.as_mut()?, &version.component) {
            self.give_way(place);
            return None;
        }
        state.places.remove(index)?.made
    }

    /// Returns when nothing of it is left.
    pub async fn end(&self, version: &Arc<Version>) {
        let places = self.state().leave(version);
        for Place { made, task, .. } in places {
            match made {
                Some(made) => open::close(&self.launcher, made.fence).await,
                // It does not panic.
                None => drop(task.await),
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn kept(&self) -> impl Iterator<Item = &Place> {
        self.places.iter().filter(|place| !place.gives_way)
    }

    fn leave(&mut self, version: &Arc<Version>) -> VecDeque<Place> {
        let (leaving, kept) = take(&mut self.places).into_iter().partition(|p| p.is_of(version));
        self.places = kept;
        leaving
    }
}

impl Place {
    fn is_of(&self, version: &Arc<Version>) -> bool {
        Arc::ptr_eq(&self.version, version)
    }
}

fn has_ended(made: &mut Made, component: &Component) -> bool {
    loop {
        match made.events.try_recv() {
            Ok(FenceEvent::Told(Event::FenceEnded { .. }) | FenceEvent::LauncherEnded) => {
                return true;
            }
            Ok(FenceEvent::Told(Event::Notice { text, .. })) => component.say(&text),
            Ok(FenceEvent::Told(Event::StepExited { .. } | Event::Emptied { .. })) => {}
            Err(TryRecvError::Empty) => return false,
            Err(TryRecvError::Disconnected) => return true,
        }
    }
}
