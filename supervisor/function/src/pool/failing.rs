//! When instances are tried again that do not come up.

use std::time::Duration;

use crate::fault::Fault;

/// After the first failure; doubled with each that follows.
const FIRST: Duration = Duration::from_secs(1);

/// A function on demand is tried again at least this often, as callers wait for it.
const LONGEST_ON_DEMAND: Duration = Duration::from_secs(30);

/// As for other components.
const LONGEST_PINNED: Duration = Duration::from_secs(600);

/// An instance of a pinned function that ran for so long is no part of a streak of failures.
pub(super) const STEADY: Duration = Duration::from_secs(60);

/// Instances do not come up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failing {
    pub fault: Fault,
    pub since: Duration,
    /// Until then none is opened, and what would need one fails with the same fault.
    pub retry_at: Duration,
}

#[derive(Debug)]
pub(super) struct Backoff {
    streak: u32,
    /// xorshift64: never 0.
    noise: u64,
}

impl Backoff {
    pub fn new(seed: u64) -> Self {
        Self { streak: 0, noise: seed | 1 }
    }

    pub fn forget(&mut self) {
        self.streak = 0;
    }

    /// How long to wait after one more failure: with up to a fifth more, so that functions that failed together are not
    /// tried together for ever.
    pub fn next(&mut self, pinned: bool) -> Duration {
        let longest = if pinned { LONGEST_PINNED } else { LONGEST_ON_DEMAND };
        let factor = 1_u32.checked_shl(self.streak).unwrap_or(u32::MAX);
        self.streak = self.streak.saturating_add(1);
        let wait = FIRST.saturating_mul(factor).min(longest);
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 7;
        self.noise ^= self.noise << 17;
        let thousandths = u32::try_from(self.noise % 200).unwrap_or(0);
        wait + wait * thousandths / 1000
    }
}
