//! The disk while components run: none of them may fill it, and what is kept free for the daemon's own store stays
//! free.
//!
//! Asked of the file system (statvfs(2): no disk is read) now and then while a fence is open. Only once it has become
//! noticeably fuller is what components wrote counted, and whoever has too much is stopped: see [`watch`].

mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hedgerow_isolation::protocol::{MAX_DIRECTORIES, Request, Response};
use nix::sys::statvfs::statvfs;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::definition::Definition;
use crate::driver::Surroundings;
use crate::launcher::{CallError, Launcher};
use crate::layout::{layer, work_directory};
use crate::registry::Command;
use watch::{Excess, Taken, Watch};

/// How long counting may take: with the lowest priority, on a slow card.
const COUNTING: Duration = Duration::from_secs(600);

#[derive(Debug, thiserror::Error)]
pub enum CountError {
    #[error(transparent)]
    Launcher(#[from] CallError),
    #[error(transparent)]
    Disk(#[from] io::Error),
    #[error("it took longer than {} s", COUNTING.as_secs())]
    Late,
}

#[derive(Debug)]
pub struct Disk {
    state: PathBuf,
    /// Bytes that stay free.
    reserve: u64,
    /// Those that have a fence.
    open: Mutex<BTreeMap<String, Parts>>,
    opened: Notify,
    /// Those that were stopped because too little was free.
    held: Mutex<BTreeSet<String>>,
    /// Locked while the launcher counts: it does one thing at a time.
    counting: tokio::sync::Mutex<()>,
}

/// What a component writes to, and how much it may.
#[derive(Debug, Clone)]
struct Parts {
    layer: PathBuf,
    layer_quota: u64,
    work: PathBuf,
    work_quota: Option<u64>,
}

/// A component that is watched until this is dropped.
#[derive(Debug)]
pub struct Watched {
    disk: Arc<Disk>,
    name: String,
}

impl Drop for Watched {
    fn drop(&mut self) {
        lock(&self.disk.open).remove(&self.name);
    }
}

/// Bytes that a user without privileges may still write there.
pub fn free(directory: &Path) -> io::Result<u64> {
    let found = statvfs(directory)?;
    // Both numbers have 32 bits on a 32-bit machine.
    #[allow(clippy::useless_conversion)]
    let (blocks, size) = (u64::from(found.blocks_available()), u64::from(found.fragment_size()));
    Ok(blocks.saturating_mul(size))
}

impl Disk {
    pub fn of(state: PathBuf, reserve: u64) -> Self {
        Self {
            state,
            reserve,
            open: Mutex::default(),
            opened: Notify::new(),
            held: Mutex::default(),
            counting: tokio::sync::Mutex::default(),
        }
    }

    /// Watches the component, of which a fence is open.
    pub fn watched(self: &Arc<Self>, definition: &Definition) -> Watched {
        let name = definition.name.clone();
        lock(&self.open).insert(name.clone(), Parts::of(definition));
        self.opened.notify_one();
        Watched { disk: Arc::clone(self), name }
    }

    /// Whether a fence may be opened; else what stands in the way. What its layer takes is for the launcher to say.
    pub async fn admit(&self, definition: &Definition, launcher: &Launcher) -> Result<(), Refused> {
        let name = &definition.name;
        if lock(&self.held).contains(name) {
            match free(&self.state) {
                Ok(free) if free < self.reserve => {
                    return Err(Refused::Reserve { free, reserve: self.reserve });
                }
                // What cannot be asked will be said by whoever writes.
                Ok(_) | Err(_) => drop(lock(&self.held).remove(name)),
            }
        }
        let Some(quota) = definition.work_quota else { return Ok(()) };
        let taken = self.count(launcher, vec![work_directory(definition.slot)]).await?;
        match taken.first() {
            Some(&taken) if taken > quota => Err(Excess::Work { taken, quota }.into()),
            _ => Ok(()),
        }
    }

    /// Returns as soon as a fence is open.
    async fn is_in_use(&self) {
        while lock(&self.open).is_empty() {
            self.opened.notified().await;
        }
    }

    async fn taken(&self, launcher: &Launcher) -> Result<BTreeMap<String, Taken>, CountError> {
        let open: Vec<(String, Parts)> =
            lock(&self.open).iter().map(|(name, parts)| (name.clone(), parts.clone())).collect();
        let mut all = BTreeMap::new();
        for some in open.chunks(MAX_DIRECTORIES / 2) {
            let each = |(_, parts): &(String, Parts)| [parts.layer.clone(), parts.work.clone()];
            let bytes = self.count(launcher, some.iter().flat_map(each).collect()).await?;
            for ((name, parts), bytes) in some.iter().zip(bytes.chunks_exact(2)) {
                if let [layer, work] = *bytes {
                    let (layer_quota, work_quota) = (parts.layer_quota, parts.work_quota);
                    all.insert(name.clone(), Taken { layer, layer_quota, work, work_quota });
                }
            }
        }
        Ok(all)
    }

    /// Bytes in directories, in their order.
    async fn count(
        &self,
        launcher: &Launcher,
        sources: Vec<PathBuf>,
    ) -> Result<Vec<u64>, CountError> {
        let counting = async {
            let _turn = self.counting.lock().await;
            launcher.call(Request::Measure { sources }, vec![]).await
        };
        match timeout(COUNTING, counting).await.map_err(|_| CountError::Late)?? {
            (Response::Measured { bytes }, _) => Ok(bytes),
            _ => Err(CallError::Confused.into()),
        }
    }
}

impl Parts {
    fn of(definition: &Definition) -> Self {
        Self {
            layer: layer(definition.slot, &definition.version),
            layer_quota: definition.layer_quota,
            work: work_directory(definition.slot),
            work_quota: definition.work_quota,
        }
    }
}

/// Why a component is not started.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error(transparent)]
    Quota(#[from] Excess),
    #[error(
        "{free} bytes of the disk are free, and {reserve} stay free (`store.keep-free` in hedgerow.toml); it was stopped \
         because it wrote most: make room, or remove it"
    )]
    Reserve { free: u64, reserve: u64 },
    #[error("what its work directory takes cannot be counted: {0}")]
    Count(#[from] CountError),
}

/// Looks for as long as the daemon lives.
pub async fn watch(around: Arc<Surroundings>) {
    let mut watch = Watch::new(around.disk.reserve);
    loop {
        around.disk.is_in_use().await;
        let next = match look(&around, &mut watch).await {
            Ok(next) => next,
            Err(error) => {
                tracing::warn!("cannot see who fills the disk: {error}");
                watch::SELDOMEST
            }
        };
        tokio::time::sleep(next).await;
    }
}

/// Returns how long nothing can happen then.
async fn look(around: &Surroundings, watch: &mut Watch) -> Result<Duration, CountError> {
    let disk = &around.disk;
    let free = free(&disk.state)?;
    if watch.is_due(free) {
        let taken = disk.taken(&around.launcher).await?;
        for (name, excess) in watch.judge(free, &taken) {
            stop(around, &name, &excess).await;
        }
    }
    Ok(watch.next_look(free))
}

async fn stop(around: &Surroundings, name: &str, excess: &Excess) {
    match excess {
        Excess::Reserve { .. } => {
            lock(&around.disk.held).insert(name.to_owned());
        }
        Excess::Layer { .. } | Excess::Work { .. } => {}
    }
    if let Some(commands) = around.registry.commands(name) {
        // One that has just gone writes no more.
        let _ = commands.send(Command::End { why: excess.to_string() }).await;
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
