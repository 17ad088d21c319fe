//! Points in time that survive a wrong wall clock.

use serde::{Deserialize, Serialize};
use zbus::Type;

/// When something happened, `(stx)` on the bus; [`Moment::default`] is "not yet".
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, Type)]
pub struct Moment {
    /// `/proc/sys/kernel/random/boot_id` of the boot in which it happened.
    pub boot_id: String,
    /// Nanoseconds of CLOCK_BOOTTIME in that boot.
    pub boottime: u64,
    /// Nanoseconds of CLOCK_REALTIME since 1970, for people; negative before it.
    pub realtime: i64,
}

impl Moment {
    /// Whether it has happened at all.
    pub fn is_set(&self) -> bool {
        !self.boot_id.is_empty()
    }
}
