//! What the daemon has to know after a power cut: every table, every migration, and one
//! transaction per decision.
//!
//! The store does not know what its rows mean. A decision is a closure: it reads and writes, and
//! either all of it is on disk when [`Store::write`] returns, or none of it ever happened. A
//! decision that changes nothing writes nothing.
//!
//! ```
//! # fn main() -> Result<(), hedgerow_store::StoreError> {
//! # let directory = tempfile::tempdir().expect("a directory");
//! use hedgerow_store::{DESIRED, Query, Store};
//! let store = Store::open(&directory.path().join("state.redb"))?;
//! let ids = store.write("deploy", |tx| {
//!     tx.put(DESIRED, "com.example.Hello", b"{}")?;
//!     tx.allocate_ids("com.example.Hello")
//! })?;
//! assert_eq!(store.read(|tx| tx.ids_of("com.example.Hello"))?, Some(ids));
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

#[cfg(any(test, feature = "disk"))]
pub mod disk;
mod error;
mod ids;
mod open;
mod query;
mod queue;
mod schema;
mod write;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use redb::{Database, ReadableDatabase};

use open::Source;

pub use error::StoreError;
pub use ids::Ids;
pub use query::{Keyed, Query, Read};
pub use queue::{Change, Queue, SetAside, Waiting};
pub use schema::{DEPLOYMENTS, DESIRED, GROUPS, INSTALLS, JOBS, META, PACKAGES, Rows, SNAPSHOTS};
pub use write::Write;

/// Memory for pages, in bytes, unless [`Store::open_with_cache`] says otherwise.
pub const DEFAULT_CACHE_BYTES: usize = 256 * 1024;

/// The moments that a commit observer is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CommitPoint {
    /// The decision is made; nothing of it is on disk yet.
    Before,
    /// All of it is on disk; no one has been told yet.
    After,
}

type Observer = Box<dyn Fn(&'static str, CommitPoint) + Send + Sync>;

/// One file of state. Shared between threads by reference; decisions wait for each other.
pub struct Store {
    source: Source,
    /// `None` after an input or output error, until the file is opened anew.
    database: Mutex<Option<Arc<Database>>>,
    observer: Option<Observer>,
}

impl Store {
    /// Opens the file, or makes it, mode 0600. After a crash it is brought to the last decision
    /// that was committed; a file that was altered otherwise is [`StoreError::Corrupt`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with_cache(path, DEFAULT_CACHE_BYTES)
    }

    pub fn open_with_cache(path: &Path, cache_bytes: usize) -> Result<Self, StoreError> {
        Self::from_source(Source::file(path, cache_bytes, schema::MIGRATIONS))
    }

    /// For tests.
    #[cfg(any(test, feature = "disk"))]
    pub fn on(disk: &disk::Disk) -> Result<Self, StoreError> {
        Self::from_source(Source::on(disk, schema::MIGRATIONS))
    }

    fn from_source(source: Source) -> Result<Self, StoreError> {
        let database = source.open()?;
        let database = Mutex::new(Some(Arc::new(database)));
        Ok(Self { source, database, observer: None })
    }

    /// Has `observer` called around every commit, with the label of its decision. A crash test
    /// ends the process from within it.
    #[must_use]
    pub fn with_commit_observer(
        mut self,
        observer: impl Fn(&'static str, CommitPoint) + Send + Sync + 'static,
    ) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// Reads one consistent state.
    pub fn read<T, E: From<StoreError>>(
        &self,
        query: impl FnOnce(&Read) -> Result<T, E>,
    ) -> Result<T, E> {
        let database = self.database()?;
        let transaction = database.begin_read().map_err(|e| self.failed(e.into()))?;
        let tx = Read::new(transaction);
        let result = query(&tx);
        self.reopen_if(tx.failed());
        result
    }

    /// Makes one decision. `label` names it to the commit observer.
    ///
    /// An error, of the closure or of the commit, leaves the store as it was; after
    /// [`StoreError::Full`] the same decision can be tried again. Decisions do not nest: another
    /// `write` from within the closure waits for ever.
    pub fn write<T, E: From<StoreError>>(
        &self,
        label: &'static str,
        decide: impl FnOnce(&mut Write) -> Result<T, E>,
    ) -> Result<T, E> {
        self.decide(label, false, decide)
    }

    /// Like [`Store::write`], for deployments and identity: two flushes, so that whether a commit
    /// is whole does not rest on checksums alone, even where someone chose what was written.
    pub fn write_two_phase<T, E: From<StoreError>>(
        &self,
        label: &'static str,
        decide: impl FnOnce(&mut Write) -> Result<T, E>,
    ) -> Result<T, E> {
        self.decide(label, true, decide)
    }

    fn decide<T, E: From<StoreError>>(
        &self,
        label: &'static str,
        two_phase: bool,
        decide: impl FnOnce(&mut Write) -> Result<T, E>,
    ) -> Result<T, E> {
        let database = self.database()?;
        let mut transaction = database.begin_write().map_err(|e| self.failed(e.into()))?;
        transaction.set_two_phase_commit(two_phase);
        let mut tx = Write::new(transaction);
        let result = decide(&mut tx);
        self.reopen_if(tx.failed());
        let value = result?;
        if !tx.changed() {
            tx.abort().map_err(|e| self.failed(e))?;
            return Ok(value);
        }
        self.observe(label, CommitPoint::Before);
        tx.commit().map_err(|e| self.failed(e))?;
        self.observe(label, CommitPoint::After);
        Ok(value)
    }

    fn observe(&self, label: &'static str, point: CommitPoint) {
        if let Some(observer) = &self.observer {
            observer(label, point);
        }
    }

    fn database(&self) -> Result<Arc<Database>, StoreError> {
        let mut slot = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        match &*slot {
            Some(database) => Ok(Arc::clone(database)),
            None => {
                let database = Arc::new(self.source.open()?);
                *slot = Some(Arc::clone(&database));
                Ok(database)
            }
        }
    }

    /// The library refuses everything after an input or output error, because it cannot know what
    /// reached the disk; opening the file anew finds out.
    fn failed(&self, error: StoreError) -> StoreError {
        self.reopen_if(error.is_device());
        error
    }

    fn reopen_if(&self, failed: bool) {
        if failed {
            *self.database.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("source", &self.source).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
