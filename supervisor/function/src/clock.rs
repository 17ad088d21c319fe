//! Clocks, and waiting by them.

use std::fs::read_to_string;
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::sleep;

/// Where the kernel gives no timer (too many files are open), it is looked so often whether the time has come.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Time as the device has it.
pub trait Clock: Send + Sync + 'static {
    /// `/proc/sys/kernel/random/boot_id`.
    fn boot_id(&self) -> &str;

    /// CLOCK_BOOTTIME: goes on while the device sleeps, begins anew with each boot, and nobody can set it.
    fn boottime(&self) -> Duration;

    /// Returns when [`Self::boottime`] is not less.
    fn sleep_until(&self, boottime: Duration) -> impl Future<Output = ()> + Send;

    /// Seconds since 1970 of the wall clock, which anybody can set.
    fn unix(&self) -> i64;

    /// Returns when [`Self::unix`] is not less, or when the wall clock has been set.
    fn sleep_until_unix(&self, unix: i64) -> impl Future<Output = ()> + Send;
}

/// The kernel's clocks.
#[derive(Debug, Clone)]
pub struct DeviceClock {
    boot_id: String,
}

impl DeviceClock {
    pub fn new() -> io::Result<Self> {
        let boot_id = read_to_string("/proc/sys/kernel/random/boot_id")?;
        Ok(Self { boot_id: boot_id.trim().to_owned() })
    }
}

impl Clock for DeviceClock {
    fn boot_id(&self) -> &str {
        &self.boot_id
    }

    fn boottime(&self) -> Duration {
        let now = clock_gettime(ClockId::Boottime);
        Duration::new(now.tv_sec.try_into().unwrap_or(0), now.tv_nsec.try_into().unwrap_or(0))
    }

    async fn sleep_until(&self, boottime: Duration) {
        let at = Timespec {
            tv_sec: boottime.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: boottime.subsec_nanos().into(),
        };
        let timer = timer(TimerfdClockId::Boottime, TimerfdTimerFlags::ABSTIME, at);
        match timer {
            // Readable at that time; it fails for no reason that the manual knows.
            Ok(timer) => drop(timer.readable().await),
            Err(_) => sleep(boottime.saturating_sub(self.boottime()).min(LOOK_AGAIN)).await,
        }
    }

    fn unix(&self) -> i64 {
        clock_gettime(ClockId::Realtime).tv_sec
    }

    async fn sleep_until_unix(&self, unix: i64) {
        // See timerfd_create(2), TFD_TIMER_CANCEL_ON_SET: readable too when the clock was set.
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        let at = Timespec { tv_sec: unix, tv_nsec: 0 };
        match timer(TimerfdClockId::Realtime, flags, at) {
            Ok(timer) => drop(timer.readable().await),
            Err(_) => sleep(LOOK_AGAIN).await,
        }
    }
}

fn timer(
    clock: TimerfdClockId,
    flags: TimerfdTimerFlags,
    at: Timespec,
) -> io::Result<AsyncFd<OwnedFd>> {
    let timer = timerfd_create(clock, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
    // Zero would disarm it.
    let at = Timespec { tv_nsec: at.tv_nsec.max(i64::from(at.tv_sec == 0)), ..at };
    let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: at };
    timerfd_settime(&timer, flags, &once)?;
    register(timer)
}

#[expect(
    deprecated,
    reason = "its replacement is unsafe; an OwnedFd is one descriptor all its life"
)]
fn register(timer: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(timer, Interest::READABLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_sleeps_until_the_time_has_come() {
        let clock = DeviceClock::new().unwrap();
        assert_eq!(clock.boot_id().len(), 36);
        let until = clock.boottime() + Duration::from_millis(50);
        clock.sleep_until(until).await;
        assert!(clock.boottime() >= until);
        clock.sleep_until(Duration::ZERO).await;
        let until = clock.unix() + 1;
        clock.sleep_until_unix(until).await;
        assert!(clock.unix() >= until);
    }
}
