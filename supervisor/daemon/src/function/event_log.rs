//! Queued events on disk: one thread, begun with the first event, has the file.
//!
//! What came while a commit was under way goes into the next: one flush serves all of it.

use std::mem::take;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use hedgerow_function::{EventKey, EventLog, LogError, Stored};
use hedgerow_store::{Change, CommitPoint, Queue, StoreError, Waiting};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

/// Orders that were not looked at yet: who gives one waits.
const ORDERS: usize = 256;

/// Bytes of events in one commit, about.
const BATCH: usize = 4 * 1024 * 1024;

/// What nobody waits for waits so long for company.
const COMPANY: Duration = Duration::from_millis(100);

pub type Observer = Arc<dyn Fn(&'static str, CommitPoint) + Send + Sync>;

pub struct StoredEvents {
    path: PathBuf,
    observer: Option<Observer>,
    orders: Mutex<Option<mpsc::Sender<Order>>>,
}

enum Order {
    Load(oneshot::Sender<Result<Vec<Waiting>, LogError>>),
    Read(EventKey, oneshot::Sender<Result<Option<Vec<u8>>, LogError>>),
    Change(Change, Reply),
}

type Reply = oneshot::Sender<Result<(), LogError>>;

impl StoredEvents {
    /// The file is made with the first event.
    pub fn new(path: PathBuf, observer: Option<Observer>) -> Self {
        Self { path, observer, orders: Mutex::default() }
    }

    async fn order<T>(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<T, LogError>>) -> Order,
    ) -> Result<T, LogError> {
        let (reply, answer) = oneshot::channel();
        let ended = || LogError::Failed("the thread that writes events has ended".into());
        let orders = self.orders()?;
        orders.send(order(reply)).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }

    async fn change(&self, change: Change) -> Result<(), LogError> {
        self.order(|reply| Order::Change(change, reply)).await
    }

    fn orders(&self) -> Result<mpsc::Sender<Order>, LogError> {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(orders) = orders.as_ref().filter(|orders| !orders.is_closed()) {
            return Ok(orders.clone());
        }
        let (sender, received) = mpsc::channel(ORDERS);
        let writer = Writer {
            path: self.path.clone(),
            observer: self.observer.clone(),
            queue: None,
            orders: received,
            batch: vec![],
            owed: vec![],
        };
        let runtime = Handle::current();
        thread::Builder::new()
            .name("events".to_owned())
            .spawn(move || writer.run(&runtime))
            .map_err(|error| LogError::Failed(error.into()))?;
        *orders = Some(sender.clone());
        Ok(sender)
    }
}

impl EventLog for StoredEvents {
    async fn load(&self) -> Result<Vec<Stored>, LogError> {
        if !self.path.try_exists().map_err(|error| LogError::Failed(error.into()))? {
            return Ok(vec![]);
        }
        let waiting = self.order(Order::Load).await;
        let waiting = waiting.inspect_err(|error| tracing::error!("queued events: {error}"))?;
        let stored = |Waiting { line, number, note, size }| {
            let key = EventKey { function: line.into(), number };
            Stored { key, note, size }
        };
        Ok(waiting.into_iter().map(stored).collect())
    }

    async fn append(&self, key: EventKey, event: Vec<u8>, note: Vec<u8>) -> Result<(), LogError> {
        let (line, number) = parts(&key);
        self.change(Change::Append { line, number, event, note }).await
    }

    async fn read(&self, key: EventKey) -> Result<Option<Vec<u8>>, LogError> {
        self.order(|reply| Order::Read(key, reply)).await
    }

    async fn note(&self, key: EventKey, note: Vec<u8>) -> Result<(), LogError> {
        let (line, number) = parts(&key);
        self.change(Change::Note { line, number, note }).await
    }

    async fn remove(&self, key: EventKey) -> Result<(), LogError> {
        let (line, number) = parts(&key);
        self.change(Change::Remove { line, number }).await
    }

    async fn clear(&self, function: Arc<str>, before: u64) -> Result<(), LogError> {
        // There is nothing to clear without a file, and no reason to make one.
        if !self.path.try_exists().map_err(|error| LogError::Failed(error.into()))? {
            return Ok(());
        }
        self.change(Change::Clear { line: function.to_string(), before }).await
    }
}

fn parts(key: &EventKey) -> (String, u64) {
    (key.function.to_string(), key.number)
}

struct Writer {
    path: PathBuf,
    observer: Option<Observer>,
    /// Open from the first order on.
    queue: Option<Queue>,
    orders: mpsc::Receiver<Order>,
    batch: Vec<(Change, Reply)>,
    /// What was done with, and could not be removed: it goes with the next commit.
    owed: Vec<Change>,
}

impl Writer {
    /// Until nobody gives orders any more.
    fn run(mut self, runtime: &Handle) {
        while runtime.block_on(self.gather()) {
            let batch = take(&mut self.batch);
            self.commit(batch);
        }
        let batch = take(&mut self.batch);
        self.commit(batch);
    }

    /// Until somebody waits for a commit, or what nobody waits for has waited for long enough. Whether more may come.
    async fn gather(&mut self) -> bool {
        let mut until: Option<Instant> = None;
        let (mut bytes, mut is_urgent) = (0, false);
        loop {
            let order = match until {
                None => self.orders.recv().await,
                Some(_) if is_urgent && (self.orders.is_empty() || bytes >= BATCH) => return true,
                Some(until) => match timeout_at(until, self.orders.recv()).await {
                    Ok(order) => order,
                    Err(_) => return true,
                },
            };
            match order {
                None => return false,
                // What nobody waits for any more needs no answer.
                Some(Order::Load(reply)) => drop(reply.send(self.with(Queue::waiting))),
                Some(Order::Read(EventKey { function, number }, reply)) => {
                    drop(reply.send(self.with(|queue| queue.event(&function, number))));
                }
                Some(Order::Change(change, reply)) => {
                    if let Change::Append { event, .. } = &change {
                        bytes += event.len();
                        is_urgent = true;
                    }
                    until.get_or_insert_with(|| Instant::now() + COMPANY);
                    self.batch.push((change, reply));
                }
            }
        }
    }

    fn commit(&mut self, batch: Vec<(Change, Reply)>) {
        let (changes, replies): (Vec<Change>, Vec<Reply>) = batch.into_iter().unzip();
        let mut all = take(&mut self.owed);
        let owed = all.len();
        all.extend(changes);
        match self.write(&all) {
            Ok(()) => replies.into_iter().for_each(|reply| drop(reply.send(Ok(())))),
            // A large event that does not fit is no reason to refuse the small ones.
            Err(LogError::Full) if replies.len() > 1 => {
                let mut all = all.into_iter();
                self.owed = all.by_ref().take(owed).collect();
                for one in all.zip(replies) {
                    self.commit(vec![one]);
                }
            }
            Err(error) => {
                tracing::error!("queued events: {error}");
                let text = error.to_string();
                let is_full = matches!(error, LogError::Full);
                for reply in replies {
                    let error = if is_full {
                        LogError::Full
                    } else {
                        LogError::Failed(text.as_str().into())
                    };
                    // Who does not wait any more needs no answer.
                    let _ = reply.send(Err(error));
                }
                all.retain(|change| matches!(change, Change::Remove { .. } | Change::Clear { .. }));
                self.owed = all;
            }
        }
    }

    fn write(&mut self, changes: &[Change]) -> Result<(), LogError> {
        let is_append = |change: &Change| matches!(change, Change::Append { .. });
        let label = if changes.iter().any(is_append) { "enqueue" } else { "complete" };
        self.with(|queue| queue.commit(label, changes))
    }

    fn with<T>(
        &mut self,
        ask: impl FnOnce(&Queue) -> Result<T, StoreError>,
    ) -> Result<T, LogError> {
        let failed = |error| log_error(&self.path, error);
        let queue = match &mut self.queue {
            Some(queue) => queue,
            none => none.insert(open(&self.path, self.observer.clone()).map_err(failed)?),
        };
        ask(queue).map_err(failed)
    }
}

fn open(path: &Path, observer: Option<Observer>) -> Result<Queue, StoreError> {
    let (queue, aside) = Queue::open(path)?;
    if let Some(aside) = aside {
        tracing::error!(
            "{}: {}. Every event that waited in it ({} bytes with its administration) is lost; the file is kept as {}, and \
             a new one begins",
            path.display(),
            aside.why,
            aside.size,
            aside.path.display()
        );
    }
    Ok(match observer {
        Some(observer) => queue.with_commit_observer(move |label, point| observer(label, point)),
        None => queue,
    })
}

/// What is wrong with the file, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}{}", path.display(), remedy(error))]
struct FileError {
    path: PathBuf,
    error: StoreError,
}

fn remedy(error: &StoreError) -> &'static str {
    match error {
        StoreError::TooNew { .. } => {
            "; or move the file away, and the events in it wait until it is back"
        }
        StoreError::Corrupt(_) => "; it is set aside when the daemon starts again",
        StoreError::Device(_) | StoreError::Busy => "; nothing in it is changed",
        StoreError::Full | StoreError::Row { .. } | StoreError::NoIdsLeft => "",
    }
}

fn log_error(path: &Path, error: StoreError) -> LogError {
    match error {
        StoreError::Full => LogError::Full,
        error @ (StoreError::Busy
        | StoreError::Corrupt(_)
        | StoreError::TooNew { .. }
        | StoreError::Row { .. }
        | StoreError::NoIdsLeft
        | StoreError::Device(_)) => {
            LogError::Failed(FileError { path: path.to_owned(), error }.into())
        }
    }
}

impl std::fmt::Debug for StoredEvents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredEvents").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use hedgerow_store::{META, Query, Store};

    use super::*;

    fn key(number: u64) -> EventKey {
        EventKey { function: "f".into(), number }
    }

    #[tokio::test]
    async fn events_are_there_for_the_next_daemon_and_commits_are_shared() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("queue.redb");
        let commits = Arc::new(AtomicUsize::default());
        let log = || {
            let commits = Arc::clone(&commits);
            let observer: Observer = Arc::new(move |_, point| {
                commits.fetch_add(usize::from(point == CommitPoint::After), Ordering::Relaxed);
            });
            Arc::new(StoredEvents::new(path.clone(), Some(observer)))
        };
        let first = log();
        assert_eq!(first.load().await.unwrap(), []);
        first.clear("f".into(), 1).await.unwrap();
        assert!(!path.exists(), "a device without functions has no such file");

        let appends = (0..200).map(|number| {
            let log = Arc::clone(&first);
            tokio::spawn(async move { log.append(key(number), vec![1; 10], b"note".into()).await })
        });
        for append in appends.collect::<Vec<_>>() {
            append.await.unwrap().unwrap();
        }
        assert!(commits.load(Ordering::Relaxed) < 100, "{commits:?}");
        assert_eq!(first.read(key(7)).await.unwrap(), Some(vec![1; 10]));
        commits.store(0, Ordering::Relaxed);
        let removals = (0..199).map(|number| {
            let log = Arc::clone(&first);
            tokio::spawn(async move { log.remove(key(number)).await })
        });
        for removal in removals.collect::<Vec<_>>() {
            removal.await.unwrap().unwrap();
        }
        assert!(commits.load(Ordering::Relaxed) < 100, "{commits:?}");
        first.note(key(199), b"tried".into()).await.unwrap();
        assert_eq!(first.read(key(7)).await.unwrap(), None);
        drop(first);

        let second = log();
        let mut stored = second.load().await;
        // The thread of the first has the file until it has seen its end.
        while stored.is_err() {
            tokio::task::yield_now().await;
            stored = second.load().await;
        }
        assert_eq!(stored.unwrap(), [Stored { key: key(199), note: b"tried".into(), size: 10 }]);
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_read_is_left_alone_and_says_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("queue.redb");
        // Of a program with another schema.
        let newer = Store::open(&path).unwrap();
        newer.write("any", |tx| tx.put(META, "key", b"row")).unwrap();
        drop(newer);
        let log = StoredEvents::new(path.clone(), None);
        for _ in 0..2 {
            let refused = log.load().await.unwrap_err().to_string();
            for part in ["queue.redb", "run the newer program", "move the file away"] {
                assert!(refused.contains(part), "{refused}");
            }
        }
        let newer = Store::open(&path).unwrap();
        assert_eq!(newer.read(|tx| tx.get(META, "key")).unwrap().as_deref(), Some(&b"row"[..]));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
        drop(newer);

        std::fs::rename(&path, directory.path().join("away")).unwrap();
        assert_eq!(log.load().await.unwrap(), []);
        log.append(key(1), vec![1], vec![]).await.unwrap();
    }
}
