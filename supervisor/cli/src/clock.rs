//! How long ago, and how long until: on the clock that nobody can set.

use std::time::Duration;

use hedgerow_api::Moment;
use nix::time::{ClockId, clock_gettime};

/// One moment of this boot.
#[derive(Debug, Clone)]
pub struct Clock {
    pub boot_id: String,
    /// Since the boot.
    pub boottime: Duration,
}

impl Clock {
    pub fn now() -> Self {
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
        let boottime = clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from);
        Self {
            boot_id: boot_id.unwrap_or_default().trim().to_owned(),
            boottime: boottime.unwrap_or_default(),
        }
    }

    /// How long ago it was, in short.
    pub fn age(&self, moment: &Moment) -> String {
        match self.since(moment) {
            Some(seconds) => span(seconds.max(0)),
            None => "an earlier boot".to_owned(),
        }
    }

    /// How long until then; `None` where it is past or not set.
    pub fn until(&self, moment: &Moment) -> Option<String> {
        self.since(moment).filter(|seconds| *seconds < 0).map(|seconds| span(-seconds))
    }

    /// Seconds; `None` where it was not in this boot.
    pub fn since(&self, moment: &Moment) -> Option<i64> {
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        let then = Duration::from_nanos(moment.boottime);
        (moment.boot_id == self.boot_id).then(|| seconds(self.boottime) - seconds(then))
    }
}

pub fn span(seconds: i64) -> String {
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7199 => format!("{}m", seconds / 60),
        7200..=172_799 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short() {
        for (seconds, text) in
            [(0, "0s"), (119, "119s"), (120, "2m"), (7200, "2h"), (200_000, "2d")]
        {
            assert_eq!(span(seconds), text);
        }
    }

    #[test]
    fn a_moment_is_before_or_after_or_in_another_boot() {
        let clock = Clock { boot_id: "this".to_owned(), boottime: Duration::from_secs(100) };
        let moment = |boot: &str, seconds: u64| Moment {
            boot_id: boot.to_owned(),
            boottime: seconds * 1_000_000_000,
            realtime: 0,
        };
        assert_eq!(clock.age(&moment("this", 70)), "30s");
        assert_eq!(clock.age(&moment("that", 70)), "an earlier boot");
        assert_eq!(clock.until(&moment("this", 110)).as_deref(), Some("10s"));
        assert_eq!(clock.until(&moment("this", 70)), None);
        assert_eq!(clock.until(&Moment::default()), None);
    }
}
