//! A log in memory, a clock that tests turn, and who gets the dead letters.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::queue::{DeadLetter, DeadLetters, EventKey, EventLog, Events, LogError, Stored};
use crate::tests::fake::Fake;
use crate::{Clock, FunctionSpec, Functions, Invocation, InvokeError, RequestId, Target};

/// What is on the disk: event and note.
type Rows = BTreeMap<Id, Row>;
type Id = (String, u64);
type Row = (Vec<u8>, Vec<u8>);

#[derive(Debug, Default)]
pub struct Memory {
    pub rows: Mutex<Rows>,
    pub is_full: AtomicBool,
    pub is_broken: AtomicBool,
    /// Whether who stores something has to wait.
    pub is_slow: watch::Sender<bool>,
    /// How many rows there are, for those who wait.
    count: watch::Sender<usize>,
}

impl Memory {
    /// Waits until so many events are stored.
    pub async fn until(&self, count: usize) {
        self.count.subscribe().wait_for(|is| *is == count).await.unwrap();
    }

    fn change<T>(&self, change: impl FnOnce(&mut Rows) -> T) -> T {
        let mut rows = self.rows.lock().unwrap();
        let result = change(&mut rows);
        self.count.send_replace(rows.len());
        result
    }
}

fn id(key: EventKey) -> Id {
    (key.function.to_string(), key.number)
}

impl EventLog for Memory {
    async fn load(&self) -> Result<Vec<Stored>, LogError> {
        let stored = |((function, number), (event, note)): (&Id, &Row)| {
            let key = EventKey { function: function.as_str().into(), number: *number };
            Stored { key, note: note.clone(), size: event.len() }
        };
        if self.is_broken.load(Ordering::Relaxed) {
            return Err(LogError::Failed("input/output error".into()));
        }
        Ok(self.change(|rows| rows.iter().map(stored).collect()))
    }

    async fn append(&self, key: EventKey, event: Vec<u8>, note: Vec<u8>) -> Result<(), LogError> {
        tokio::task::yield_now().await;
        self.is_slow.subscribe().wait_for(|is_slow| !is_slow).await.unwrap();
        if self.is_full.load(Ordering::Relaxed) {
            return Err(LogError::Full);
        }
        assert!(self.change(|rows| rows.insert(id(key), (event, note))).is_none());
        Ok(())
    }

    async fn read(&self, key: EventKey) -> Result<Option<Vec<u8>>, LogError> {
        Ok(self.change(|rows| rows.get(&id(key)).map(|(event, _)| event.clone())))
    }

    async fn note(&self, key: EventKey, note: Vec<u8>) -> Result<(), LogError> {
        self.change(|rows| {
            if let Some(row) = rows.get_mut(&id(key)) {
                row.1 = note;
            }
        });
        Ok(())
    }

    async fn remove(&self, key: EventKey) -> Result<(), LogError> {
        self.change(|rows| rows.remove(&id(key)));
        Ok(())
    }

    async fn clear(&self, function: Arc<str>, before: u64) -> Result<(), LogError> {
        // After whatever is appended meanwhile.
        tokio::time::sleep(Duration::from_secs(1)).await;
        if self.is_full.load(Ordering::Relaxed) {
            return Err(LogError::Full);
        }
        self.change(|rows| {
            rows.retain(|(name, number), _| **name != *function || *number >= before)
        });
        Ok(())
    }
}

#[derive(Debug, Default)]
pub struct Letters(watch::Sender<Vec<DeadLetter>>);

impl Letters {
    /// Waits until there are so many; their contents.
    pub async fn wait_for(&self, count: usize) -> Vec<Value> {
        let mut letters = self.0.subscribe();
        let letters = letters.wait_for(|letters| letters.len() >= count).await.unwrap();
        letters.iter().map(|letter| serde_json::from_slice(&letter.body).unwrap()).collect()
    }

    pub fn count(&self) -> usize {
        self.0.borrow().len()
    }
}

impl DeadLetters for Letters {
    async fn publish(&self, _: &FunctionSpec, letter: DeadLetter) {
        self.0.send_modify(|letters| letters.push(letter));
    }
}

/// Tokio's time, which tests pause, from `at` on.
#[derive(Debug, Clone)]
pub struct TestClock {
    boot: String,
    at: Duration,
    origin: Instant,
    /// What the wall clock showed at the origin.
    wall: watch::Sender<i64>,
}

impl TestClock {
    pub fn new(boot: &str, at: Duration) -> Self {
        Self { boot: boot.to_owned(), at, origin: Instant::now(), wall: watch::Sender::new(0) }
    }

    /// Sets the wall clock.
    pub fn set(&self, unix: i64) {
        self.wall.send_replace(unix - self.elapsed());
    }

    fn elapsed(&self) -> i64 {
        i64::try_from(self.origin.elapsed().as_secs()).unwrap()
    }
}

impl Clock for TestClock {
    fn boot_id(&self) -> &str {
        &self.boot
    }

    fn boottime(&self) -> Duration {
        self.at + self.origin.elapsed()
    }

    async fn sleep_until(&self, boottime: Duration) {
        tokio::time::sleep_until(self.origin + boottime.saturating_sub(self.at)).await;
    }

    fn unix(&self) -> i64 {
        *self.wall.borrow() + self.elapsed()
    }

    async fn sleep_until_unix(&self, unix: i64) {
        let mut set = self.wall.subscribe();
        let seconds = u64::try_from(unix - *set.borrow_and_update()).unwrap_or(0);
        tokio::select! {
            () = tokio::time::sleep_until(self.origin + Duration::from_secs(seconds)) => {}
            _ = set.changed() => {}
        }
    }
}

/// Bytes of all events that wait.
pub const MAX_SIZE: u64 = 8 << 20;

/// What outlives a daemon.
#[derive(Debug, Default)]
pub struct Device {
    pub log: Arc<Memory>,
    pub letters: Arc<Letters>,
}

/// One life of a daemon.
pub struct Life {
    pub functions: Functions,
    pub fake: Arc<Fake>,
    pub events: Events,
}

impl Device {
    /// So long after the boot of that name.
    pub async fn start(&self, boot: &str, after: Duration) -> Life {
        let fake = Arc::new(Fake::default());
        let functions = Functions::new(Arc::clone(&fake));
        let clock = TestClock::new(boot, after);
        let (log, letters) = (Arc::clone(&self.log), Arc::clone(&self.letters));
        let (events, queue) = Events::new(functions.clone());
        queue.start(log, letters, clock, MAX_SIZE);
        Life { functions, fake, events }
    }

    /// With a function.
    pub async fn with(&self, spec: FunctionSpec) -> Life {
        let life = self.start("a boot", Duration::from_secs(100)).await;
        life.functions.define(spec).await;
        life
    }
}

impl Life {
    pub async fn enqueue(&self, target: &str, payload: &str) -> Result<RequestId, InvokeError> {
        self.events.enqueue(&Target::from(target), invocation(payload)).await
    }

    pub fn starts(&self) -> usize {
        self.fake.log_lines().iter().filter(|line| line.contains("START")).count()
    }
}

pub fn invocation(payload: &str) -> Invocation {
    Invocation {
        request_id: RequestId::generate().unwrap(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        client_context: None,
        trace_id: None,
        log_tail: false,
    }
}
