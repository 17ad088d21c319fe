//! The one timer of a driver.

use std::future::pending;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::sys::timer::{Expiration, TimerSetTimeFlags};
use nix::sys::timerfd::{ClockId, TimerFd, TimerFlags};
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

use crate::lifecycle::Timer;

/// At most one thing that the driver waits for.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    armed: Option<(Timer, When)>,
}

#[derive(Debug)]
enum When {
    At(Instant),
    /// Goes on while the device sleeps.
    Boot(AsyncFd<BootTimer>),
    /// The rest of a wait while the component is paused.
    Held(Duration),
}

#[derive(Debug)]
struct BootTimer(TimerFd);

impl AsRawFd for BootTimer {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl Alarm {
    /// A back-off runs on CLOCK_BOOTTIME, a step's time only while the device is awake.
    pub fn arm(&mut self, timer: Timer, wait: Duration) {
        let when = match timer {
            Timer::Backoff => boot_timer(wait).map(When::Boot),
            Timer::Step(_) | Timer::Grace => None,
        };
        self.armed = Some((timer, when.unwrap_or_else(|| When::At(Instant::now() + wait))));
    }

    pub fn disarm(&mut self) {
        self.armed = None;
    }

    /// The time that is left stays, until [`Self::release`].
    pub fn hold(&mut self) {
        if let Some((_, when)) = &mut self.armed
            && let When::At(at) = when
        {
            *when = When::Held(at.saturating_duration_since(Instant::now()));
        }
    }

    pub fn release(&mut self) {
        if let Some((_, when)) = &mut self.armed
            && let When::Held(rest) = when
        {
            *when = When::At(Instant::now() + *rest);
        }
    }

    /// Waits for the time to pass. Loses nothing when it is dropped.
    pub async fn ring(&mut self) -> Timer {
        let timer = match &self.armed {
            None | Some((_, When::Held(_))) => pending().await,
            Some((timer, When::At(at))) => {
                tokio::time::sleep_until(*at).await;
                *timer
            }
            Some((timer, When::Boot(clock))) => {
                // An error is no reason to wait for ever.
                let _ = clock.readable().await;
                *timer
            }
        };
        self.armed = None;
        timer
    }
}

/// `None` where the kernel has no such timer: then the back-off is longer by the time the device sleeps.
fn boot_timer(wait: Duration) -> Option<AsyncFd<BootTimer>> {
    let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
    let timer = TimerFd::new(ClockId::CLOCK_BOOTTIME, flags).ok()?;
    // Zero would disarm it.
    let wait = TimeSpec::from_duration(wait.max(Duration::from_nanos(1)));
    timer.set(Expiration::OneShot(wait), TimerSetTimeFlags::empty()).ok()?;
    register(BootTimer(timer)).ok()
}

#[expect(
    deprecated,
    reason = "its replacement is unsafe; a BootTimer owns one descriptor all its life"
)]
fn register(timer: BootTimer) -> io::Result<AsyncFd<BootTimer>> {
    AsyncFd::new(timer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::StepKind;

    const STEP: Timer = Timer::Step(StepKind::Startup);

    #[tokio::test]
    async fn what_is_held_does_not_ring_until_it_is_released() {
        let mut alarm = Alarm::default();
        alarm.arm(STEP, Duration::from_millis(20));
        alarm.hold();
        let waited = tokio::time::timeout(Duration::from_millis(100), alarm.ring()).await;
        assert!(waited.is_err());
        alarm.release();
        assert_eq!(alarm.ring().await, STEP);
    }

    #[tokio::test]
    async fn a_backoff_rings_once() {
        let mut alarm = Alarm::default();
        alarm.arm(Timer::Backoff, Duration::from_millis(5));
        assert_eq!(alarm.ring().await, Timer::Backoff);
        let again = tokio::time::timeout(Duration::from_millis(50), alarm.ring()).await;
        assert!(again.is_err());
    }
}
