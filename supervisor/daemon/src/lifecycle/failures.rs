//! How often a component failed lately, and how long to wait before it is tried again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Faults in one state that make a component BROKEN (a constant of Greengrass).
pub const LIMIT: usize = 3;

/// A fault counts for this long after the one before it (Greengrass: `errorResetTime`).
pub const WINDOW: Duration = Duration::from_secs(3600);

/// First back-off; doubled with each fault. Greengrass retries at once, which spins.
pub const FIRST_BACKOFF: Duration = Duration::from_secs(1);

/// The published state in which a fault happened: each is counted for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    New,
    Starting,
    Running,
}

/// CLOCK_BOOTTIME milliseconds of the recent faults of each [`Source`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Failures {
    new: Vec<u64>,
    starting: Vec<u64>,
    running: Vec<u64>,
}

impl Failures {
    /// Counts a fault. The time to wait before the next try, or `None` where there have been too many.
    pub fn record(&mut self, source: Source, now: u64) -> Option<Duration> {
        let times = self.of(source);
        let window = u64::try_from(WINDOW.as_millis()).unwrap_or(u64::MAX);
        if times.last().is_some_and(|last| now.saturating_sub(*last) >= window) {
            times.clear();
        }
        times.push(now);
        let count = times.len();
        (count < LIMIT).then(|| FIRST_BACKOFF * (1 << (count - 1)))
    }

    pub fn forget(&mut self, source: Source) {
        self.of(source).clear();
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn of(&mut self, source: Source) -> &mut Vec<u64> {
        match source {
            Source::New => &mut self.new,
            Source::Starting => &mut self.starting,
            Source::Running => &mut self.running,
        }
    }
}
