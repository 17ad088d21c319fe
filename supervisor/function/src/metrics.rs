//! What an operator sees of a function.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::FunctionSpec;

/// A function at one moment.
#[derive(Debug, Clone)]
pub struct Overview {
    pub spec: Arc<FunctionSpec>,
    pub health: Health,
    pub instances: Counts,
    /// Invocations that wait for an instance.
    pub waiting: usize,
    pub metrics: Metrics,
    /// Since when the instance is idle that goes first when memory is short.
    pub longest_idle: Option<Instant>,
}

/// How it stands with one version of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The version's, [`FunctionSpec::digest`].
    pub digest: String,
    pub health: Health,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Stopped by its operator or driver: invocations are refused.
    Stopped,
    /// It has no instance, and starts one for the next invocation.
    Idle,
    /// Its first instance has not polled yet.
    Starting,
    /// An instance has polled.
    Ready,
    /// Instances do not come up. Where nothing waits, `retry_at` is only when an invocation would start one again.
    Failing { error: String, since: Instant, retry_at: Instant },
}

/// Instances by what they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    pub starting: usize,
    pub busy: usize,
    pub idle: usize,
    pub frozen: usize,
    /// Of a version that was replaced, or of a stopped function, finishing what they run.
    pub draining: usize,
    /// Being closed.
    pub ending: usize,
}

/// Counted since the daemon started.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metrics {
    /// That ran, or failed because no instance came up.
    pub invocations: u64,
    /// Of these, those that ended in a function error, timeouts among them.
    pub errors: u64,
    pub timeouts: u64,
    /// Refused because concurrency, the line or the queue was used up.
    pub throttles: u64,
    pub cold_starts: u64,
    pub durations: Histogram,
    pub queue: QueueMetrics,
}

/// Of the durable queue of asynchronous events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueMetrics {
    pub depth: u64,
    /// When the oldest event that waits came.
    pub oldest: Option<Instant>,
    pub dead_lettered: u64,
}

/// How many durations were at most so long: three bounds to a factor of ten, from 100 µs to 1,000 s.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Histogram {
    counts: [u64; BOUNDS.len() + 1],
    sum: Duration,
}

/// In microseconds.
const BOUNDS: [u64; 22] = [
    100,
    200,
    500,
    1_000,
    2_000,
    5_000,
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    200_000_000,
    500_000_000,
    1_000_000_000,
];

impl Overview {
    pub(crate) fn new(spec: Arc<FunctionSpec>, is_stopped: bool) -> Self {
        let health = match (is_stopped, spec.pinned) {
            (true, _) => Health::Stopped,
            (false, true) => Health::Starting,
            (false, false) => Health::Idle,
        };
        Self {
            spec,
            health,
            instances: Counts::default(),
            waiting: 0,
            metrics: Metrics::default(),
            longest_idle: None,
        }
    }
}

impl Counts {
    pub fn total(&self) -> usize {
        let Self { starting, busy, idle, frozen, draining, ending } = self;
        starting + busy + idle + frozen + draining + ending
    }
}

impl Histogram {
    pub(crate) fn record(&mut self, duration: Duration) {
        let bucket = BOUNDS.partition_point(|bound| Duration::from_micros(*bound) < duration);
        self.counts[bucket] += 1;
        self.sum += duration;
    }

    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// Upper bound and how many fell below it and not below the one before. `None`: those above all bounds.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let bounds = BOUNDS.iter().map(|bound| Some(Duration::from_micros(*bound)));
        bounds.chain([None]).zip(self.counts)
    }

    /// The bound below which that part of all durations lies, from 0 to 1. `None` without durations, and where it lies
    /// above all bounds.
    pub fn quantile(&self, part: f64) -> Option<Duration> {
        let count = self.count();
        let mut below = 0;
        for (bound, fell) in self.buckets() {
            below += fell;
            // Counts that an f64 does not hold exactly take longer than a device lives.
            #[allow(clippy::cast_precision_loss)]
            let reached = below as f64 >= count as f64 * part;
            if count > 0 && reached {
                return bound;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_tells_between_which_bounds_durations_lie() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        for milliseconds in 1..=100 {
            histogram.record(Duration::from_millis(milliseconds));
        }
        assert_eq!(histogram.count(), 100);
        assert_eq!(histogram.sum(), Duration::from_millis(5050));
        assert_eq!(histogram.quantile(0.01), Some(Duration::from_millis(1)));
        assert_eq!(histogram.quantile(0.5), Some(Duration::from_millis(50)));
        assert_eq!(histogram.quantile(0.99), Some(Duration::from_millis(100)));
        histogram.record(Duration::from_secs(2000));
        assert_eq!(histogram.quantile(1.0), None);
        assert_eq!(histogram.buckets().last(), Some((None, 1)));
    }
}
