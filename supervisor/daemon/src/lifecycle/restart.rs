//! How often a component failed lately, and how long to wait before it is tried again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Conditions, Source};

/// When a component is tried again, and when it has failed too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartPolicy {
    /// Faults in one state that make a component BROKEN for the deployment that waits for it.
    pub limit: u32,
    /// A fault counts towards the limit for this long after the one before it (Greengrass: `errorResetTime`).
    pub window: Duration,
    /// Doubled with each fault, whatever its state.
    pub initial_backoff: Duration,
    /// Also the time for which a component must have run in order to begin with the initial back-off again.
    pub max_backoff: Duration,
    /// Greengrass's own rule: tried again at once, and BROKEN for good at the limit, deployment or not.
    pub greengrass: bool,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            limit: 3,
            window: Duration::from_secs(3600),
            initial_backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(600),
            greengrass: false,
        }
    }
}

impl RestartPolicy {
    fn backoff(&self, streak: u32) -> Duration {
        let factor = 1_u32.checked_shl(streak.saturating_sub(1)).unwrap_or(u32::MAX);
        self.initial_backoff.saturating_mul(factor).min(self.max_backoff)
    }
}

/// What follows from the last fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    Retry(Duration),
    /// BROKEN, and tried again after this time, where at all.
    Break(Option<Duration>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Count {
    faults: u32,
    /// CLOCK_BOOTTIME in milliseconds.
    last: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Failures {
    new: Count,
    starting: Count,
    running: Count,
    /// Faults since the component last ran for a while.
    streak: u32,
    /// Fences lost to the launcher since then.
    losses: u32,
    /// Since when it is RUNNING: CLOCK_BOOTTIME in milliseconds.
    running_since: Option<u64>,
}

impl Failures {
    /// Counts a fault.
    pub(super) fn record(&mut self, source: Source, conditions: &Conditions<'_>) -> Verdict {
        let Conditions { now, policy, awaited } = *conditions;
        self.leave_running(conditions);
        self.streak = self.streak.saturating_add(1);
        let count = self.of(source);
        if now.saturating_sub(count.last) >= milliseconds(policy.window) {
            count.faults = 0;
        }
        *count = Count { faults: count.faults.saturating_add(1), last: now };
        let is_over = policy.limit > 0 && count.faults >= policy.limit;
        match (policy.greengrass, is_over) {
            (true, true) => Verdict::Break(None),
            (true, false) => Verdict::Retry(Duration::ZERO),
            (false, true) if awaited => Verdict::Break(Some(policy.max_backoff)),
            (false, _) => Verdict::Retry(policy.backoff(self.streak)),
        }
    }

    /// The wait after a loss that the component has no part in: none for the first, but a component whose fence
    /// takes the launcher with it each time must not spin either.
    pub(super) fn lose(&mut self, conditions: &Conditions<'_>) -> Duration {
        self.leave_running(conditions);
        let wait = match self.losses {
            0 => Duration::ZERO,
            losses => conditions.policy.backoff(losses),
        };
        self.losses = self.losses.saturating_add(1);
        wait
    }

    pub(super) fn enter_running(&mut self, now: u64) {
        self.running_since = Some(now);
    }

    /// A component that ran well for a while is what it was before it ever failed.
    fn leave_running(&mut self, conditions: &Conditions<'_>) {
        let since = self.running_since.take();
        let ran = since.map_or(0, |since| conditions.now.saturating_sub(since));
        if ran >= milliseconds(conditions.policy.max_backoff) {
            self.streak = 0;
            self.losses = 0;
        }
    }

    /// It left that state without a fault, which makes up for those before (as Greengrass counts).
    pub(super) fn forget(&mut self, source: Source) {
        *self.of(source) = Count::default();
    }

    pub(super) fn clear(&mut self) {
        *self = Self { running_since: self.running_since, ..Self::default() };
    }

    fn of(&mut self, source: Source) -> &mut Count {
        match source {
            Source::New => &mut self.new,
            Source::Starting => &mut self.starting,
            Source::Running => &mut self.running,
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
