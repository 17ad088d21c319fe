//! Points in time that survive a wrong wall clock.

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// When something happened: this boot and the time since it began (CLOCK_BOOTTIME, which no one can set),
/// with the wall clock beside it for people.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Moment {
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// Nanoseconds of CLOCK_BOOTTIME.
    pub boottime: u64,
    /// Nanoseconds of CLOCK_REALTIME since 1970; negative before it.
    pub realtime: i64,
}

impl Moment {
    pub fn now() -> Self {
        Self {
            boot_id: boot_id().to_owned(),
            boottime: nanoseconds(ClockId::CLOCK_BOOTTIME).try_into().unwrap_or(0),
            realtime: nanoseconds(ClockId::CLOCK_REALTIME),
        }
    }

    /// Nanoseconds from `earlier` to `self`, or `None` where they are of two boots.
    pub fn since(&self, earlier: &Self) -> Option<u64> {
        (self.boot_id == earlier.boot_id).then(|| self.boottime.saturating_sub(earlier.boottime))
    }
}

fn nanoseconds(clock: ClockId) -> i64 {
    // Both clocks exist on every kernel that can run a fence; zero is the honest answer elsewhere.
    clock_gettime(clock).map_or(0, |t| t.tv_sec() * 1_000_000_000 + t.tv_nsec())
}

fn boot_id() -> &'static str {
    static BOOT_ID: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    BOOT_ID.get_or_init(|| {
        std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .map(|text| text.trim().to_owned())
            .unwrap_or_default()
    })
}
