//! Every so often, on a clock that nobody can set.

use std::str::FromStr;
use std::time::Duration;

use super::InvalidSchedule;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    period: Duration,
}

impl Rate {
    /// The first time after `now`. Its times are whole periods from the boot on, shifted by what `name` makes of it, so
    /// that a daemon that restarts neither skips nor repeats one, and not all functions come at once.
    pub fn next(&self, name: &str, now: Duration) -> Duration {
        let period = self.period.as_millis();
        let shift = u128::from(hash(name)) % period;
        let passed = (now.as_millis() + period - shift) / period;
        let next = passed * period + shift;
        Duration::from_millis(u64::try_from(next).unwrap_or(u64::MAX))
    }
}

/// FNV-1a: the same in every version of this program.
fn hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

impl FromStr for Rate {
    type Err = InvalidSchedule;

    /// `5 minutes`. Seconds are ours; EventBridge has nothing shorter than a minute.
    fn from_str(text: &str) -> Result<Self, InvalidSchedule> {
        let parsed = || {
            let (value, unit) = text.trim().split_once(char::is_whitespace)?;
            let unit = match unit.trim().trim_end_matches('s') {
                "second" => 1,
                "minute" => 60,
                "hour" => 3600,
                "day" => 86_400,
                _ => return None,
            };
            let value: u32 = value.parse().ok().filter(|value| *value > 0)?;
            Some(Self { period: Duration::from_secs(u64::from(value) * unit) })
        };
        parsed().ok_or_else(|| InvalidSchedule::Rate(text.to_owned()))
    }
}
