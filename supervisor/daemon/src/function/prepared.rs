//! Fences that are made before they are wanted, so that the next instance of a function starts in one at once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hedgerow_isolation::protocol::Event;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::task::JoinHandle;

use super::component::Component;
use super::instances::Version;
use super::open::{self, Made};
use crate::launcher::{FenceEvent, Launcher};

/// One for each of a few versions, those that were used last.
#[derive(Debug)]
pub struct Prepared {
    launcher: Launcher,
    /// Fences, of all functions together.
    limit: usize,
    /// The oldest first.
    places: Mutex<VecDeque<Place>>,
}

#[derive(Debug)]
struct Place {
    version: Arc<Version>,
    /// `None` while it is being made.
    made: Option<Made>,
    /// Makes it, or closes it where its place has gone to another one meanwhile.
    making: JoinHandle<()>,
}

/// What gives way where all places are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    Leave,
    Oldest,
}

impl Prepared {
    pub fn new(launcher: &Launcher, limit: usize) -> Self {
        Self { launcher: launcher.clone(), limit, places: Mutex::default() }
    }

    /// Makes one, unless there is one.
    pub fn prepare(self: &Arc<Self>, version: &Arc<Version>, full: Full) {
        let mut places = self.places();
        if places.iter().any(|place| Arc::ptr_eq(&place.version, version)) {
            return;
        }
        let mut oldest = None;
        if places.len() >= self.limit {
            oldest = match full {
                Full::Leave => return,
                Full::Oldest => places.pop_front(),
            };
            if oldest.is_none() {
                return;
            }
        }
        let (prepared, for_version) = (Arc::clone(self), Arc::clone(version));
        let making = tokio::spawn(async move {
            prepared.close(oldest).await;
            prepared.make(&for_version).await;
        });
        places.push_back(Place { version: Arc::clone(version), made: None, making });
    }

    async fn make(&self, version: &Arc<Version>) {
        let fence = open::fresh_id(version.making.definition.slot);
        let is_kept = match open::prepare(&self.launcher, version, fence.clone()).await {
            Ok(made) => self.fill(version, made),
            // Whoever wants an instance is told what prevents it.
            Err(_) => false,
        };
        if !is_kept {
            drop(self.leave(version));
            open::close(&self.launcher, fence).await;
        }
    }

    /// Whether its place is still kept.
    fn fill(&self, version: &Arc<Version>, made: Made) -> bool {
        let mut places = self.places();
        let place = places.iter_mut().find(|place| Arc::ptr_eq(&place.version, version));
        let is_kept = place.is_some();
        if let Some(place) = place {
            place.made = Some(made);
        }
        is_kept
    }

    /// The fence is the caller's from here on.
    pub fn take(&self, version: &Arc<Version>) -> Option<Made> {
        let mut places = self.places();
        let is_ready = |place: &Place| Arc::ptr_eq(&place.version, version) && place.made.is_some();
        let index = places.iter().position(is_ready)?;
        let mut made = places.remove(index)?.made?;
        drop(places);
        if has_ended(&mut made, &version.component) {
            // The launcher has seen to all else.
            self.launcher.forget(&made.fence);
            return None;
        }
        Some(made)
    }

    /// Returns when nothing of it is left.
    pub async fn end(&self, version: &Arc<Version>) {
        let place = self.leave(version);
        self.close(place).await;
    }

    fn leave(&self, version: &Arc<Version>) -> Option<Place> {
        let mut places = self.places();
        let index = places.iter().position(|place| Arc::ptr_eq(&place.version, version))?;
        places.remove(index)
    }

    /// Of one that has lost its place.
    async fn close(&self, place: Option<Place>) {
        let Some(Place { made, making, .. }) = place else { return };
        match made {
            Some(made) => open::close(&self.launcher, made.fence).await,
            // It does not panic.
            None => drop(making.await),
        }
    }

    fn places(&self) -> MutexGuard<'_, VecDeque<Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
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
