//! How many entries a component may write: a bucket that fills at a steady rate.

use std::time::{Duration, Instant};

/// The bucket holds what comes in this many seconds, so that a burst passes.
const BURST: u32 = 10;

#[derive(Debug)]
pub struct Rate {
    /// Entries a second; 0 is no limit.
    per_second: u32,
    /// In entries, and when that was so.
    level: f64,
    at: Instant,
    held: u64,
}

impl Rate {
    pub fn new(per_second: u32, now: Instant) -> Self {
        Self { per_second, level: f64::from(per_second) * f64::from(BURST), at: now, held: 0 }
    }

    /// Whether one more may pass; then how many were held back before it.
    pub fn admit(&mut self, now: Instant) -> Option<u64> {
        if self.per_second == 0 {
            return Some(0);
        }
        let passed: Duration = now.saturating_duration_since(self.at);
        let rate = f64::from(self.per_second);
        self.level = (self.level + passed.as_secs_f64() * rate).min(rate * f64::from(BURST));
        self.at = now;
        // Once it is empty, a whole second's worth passes at a time: a line about those held back is itself a line.
        let needed = if self.held > 0 { rate } else { 1.0 };
        if self.level < needed {
            self.held += 1;
            return None;
        }
        self.level -= 1.0;
        Some(self.settle())
    }

    /// How many were held back and not told of.
    pub fn settle(&mut self) -> u64 {
        std::mem::take(&mut self.held)
    }

    pub fn say(&self, held: u64) -> String {
        format!(
            "{held} entries were held back: more than {} a second (log.rate in hedgerow.toml)",
            self.per_second
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_a_flood_is_held_back_and_counted() {
        let start = Instant::now();
        let mut rate = Rate::new(10, start);
        let passed = (0..250).filter(|_| rate.admit(start).is_some()).count();
        assert_eq!(passed, 100);
        let half = start + Duration::from_millis(500);
        assert_eq!(rate.admit(half), None);
        let second = start + Duration::from_secs(1);
        assert_eq!(rate.admit(second), Some(151));
        assert_eq!(rate.admit(second), Some(0));
        assert_eq!(rate.settle(), 0);
    }

    #[test]
    fn no_limit_is_none() {
        let now = Instant::now();
        let mut rate = Rate::new(0, now);
        assert!((0..100_000).all(|_| rate.admit(now) == Some(0)));
    }
}
