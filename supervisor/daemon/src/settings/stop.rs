//! `[stop]`: how long an ordered stop of everything may take.

use std::time::Duration;

use serde::Deserialize;

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Stop {
    /// Seconds from SIGTERM to the daemon until what still runs is killed. Has to be less than `TimeoutStopSec=` of
    /// the daemon's unit.
    pub timeout: u32,
}

impl Default for Stop {
    fn default() -> Self {
        // hedgerow.service has 120.
        Self { timeout: 100 }
    }
}

impl Stop {
    pub fn timeout(self) -> Duration {
        Duration::from_secs(self.timeout.into())
    }
}
