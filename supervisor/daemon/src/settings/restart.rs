//! `[[restart]]`: how components that fail are tried again, by name pattern.

use std::time::Duration;

use serde::Deserialize;

use crate::lifecycle::RestartPolicy;

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RestartRule {
    /// A component name; `*` stands for any characters.
    pub component: String,
    /// Failures in one state that fail the deployment which waits for the component; 0: none do.
    pub limit: Option<u32>,
    /// Seconds for which a failure counts after the one before it.
    pub window: Option<f64>,
    /// Seconds.
    pub initial_backoff: Option<f64>,
    /// Seconds.
    pub max_backoff: Option<f64>,
}

impl RestartRule {
    /// Longest time in seconds that a rule may say: a day.
    pub(super) const LONGEST: f64 = 86_400.0;

    pub(super) fn is_sane(&self) -> bool {
        let times = [self.window, self.initial_backoff, self.max_backoff];
        times.into_iter().flatten().all(|seconds| (0.001..=Self::LONGEST).contains(&seconds))
    }

    pub(super) fn apply(&self, policy: &mut RestartPolicy) {
        // In range: `is_sane` has been asked.
        let set = |field: &mut Duration, seconds: Option<f64>| {
            if let Some(seconds) = seconds {
                *field = Duration::from_secs_f64(seconds);
            }
        };
        set(&mut policy.window, self.window);
        set(&mut policy.initial_backoff, self.initial_backoff);
        set(&mut policy.max_backoff, self.max_backoff);
        policy.limit = self.limit.unwrap_or(policy.limit);
    }
}
