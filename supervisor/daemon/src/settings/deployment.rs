//! `[deployment]`

use std::time::Duration;

use serde::Deserialize;

/// All times in seconds.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Deployment {
    /// For reading recipes, resolving versions and bringing artifacts into the store.
    pub prepare_timeout: u32,
    /// For every component to come up, once they have been told; also for those that a rollback brings back.
    pub apply_timeout: u32,
    /// For components to go that nobody asks for any more.
    pub remove_timeout: u32,
    /// The longest that components may put a deployment off, in all.
    pub defer_limit: u32,
    /// Deployments that have ended and are remembered.
    pub history: u32,
    /// What reboots the device when a bootstrap step asks for it; empty: systemd, over D-Bus.
    pub reboot_command: Vec<String>,
    /// For the device to go down, once it was asked to reboot.
    pub reboot_timeout: u32,
}

impl Default for Deployment {
    fn default() -> Self {
        Self {
            prepare_timeout: 3600,
            apply_timeout: 7200,
            remove_timeout: 600,
            defer_limit: 86_400,
            history: 32,
            reboot_command: vec![],
            reboot_timeout: 600,
        }
    }
}

impl Deployment {
    pub fn prepare_timeout(&self) -> Duration {
        Duration::from_secs(self.prepare_timeout.into())
    }

    pub fn apply_timeout(&self) -> Duration {
        Duration::from_secs(self.apply_timeout.into())
    }

    pub fn remove_timeout(&self) -> Duration {
        Duration::from_secs(self.remove_timeout.into())
    }

    pub fn reboot_timeout(&self) -> Duration {
        Duration::from_secs(self.reboot_timeout.into())
    }

    pub fn defer_limit(&self) -> Duration {
        Duration::from_secs(self.defer_limit.into())
    }
}
