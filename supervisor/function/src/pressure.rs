//! Memory pressure: what is kept for instances to come goes, then idle instances, the one that was idle for longest of all
//! functions first.
//!
//! The kernel tells (PSI: `Documentation/accounting/psi.rst`) when tasks waited for memory for longer than a threshold.
//! A process without CAP_SYS_RESOURCE may ask for that since Linux 6.5 and in windows of whole two seconds; on older
//! kernels the ten-second average is read instead, and only while there is an instance that could go.

use std::convert::Infallible;
use std::fs::{File, OpenOptions, read_to_string};
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::sleep;

use crate::{Functions, Instances};

/// Some task waited for memory for 150 ms within 2 s, in microseconds.
const TRIGGER: &[u8] = b"some 150000 2000000\0";

/// What the kernel tells of is at least about half of that.
const STALLED: Duration = Duration::from_millis(75);

/// The same as a part of the time, in percent.
const PRESSURE: f64 = 7.5;

/// After an instance went, it takes so long to see whether that was enough.
const RELIEF: Duration = Duration::from_millis(500);

/// How often the average is read where the kernel does not tell.
const READ_EVERY: Duration = Duration::from_secs(5);

/// Why nobody watches: then instances go only when they were idle for their `maxIdleTimeInSeconds`.
#[derive(Debug, thiserror::Error)]
pub enum PressureError {
    #[error(
        "the kernel does not tell of memory pressure (CONFIG_PSI, or psi=1 on its command line): {0}"
    )]
    Missing(io::Error),
    #[error("the kernel's figures of memory pressure are not understood: {0:?}")]
    Format(String),
    #[error("waiting for memory pressure: {0}")]
    Wait(io::Error),
}

/// Ends idle instances while memory is short. `instances`: those of the functions. `path`: `/proc/pressure/memory`. Returns
/// only when it cannot go on.
pub async fn reclaim_under_pressure(
    functions: &Functions,
    instances: &impl Instances,
    path: &Path,
) -> PressureError {
    // Says at once what is missing.
    if let Err(error) = Stalls::read(path) {
        return error;
    }
    let watch = Watch { functions, instances, path };
    let watched = match trigger(path) {
        Ok(trigger) => watch.reclaim_when_told(&trigger).await,
        Err(_) => watch.reclaim_by_average().await,
    };
    match watched {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

fn trigger(path: &Path) -> io::Result<AsyncFd<File>> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    file.write_all(TRIGGER)?;
    register(file)
}

#[expect(deprecated, reason = "its replacement is unsafe; a file owns one descriptor all its life")]
fn register(file: File) -> io::Result<AsyncFd<File>> {
    AsyncFd::with_interest(file, Interest::PRIORITY)
}

struct Watch<'a, I> {
    functions: &'a Functions,
    instances: &'a I,
    path: &'a Path,
}

impl<I: Instances> Watch<'_, I> {
    async fn reclaim_when_told(
        &self,
        trigger: &AsyncFd<File>,
    ) -> Result<Infallible, PressureError> {
        let mut seen = Stalls::read(self.path)?.total;
        loop {
            let mut told = trigger.ready(Interest::PRIORITY).await.map_err(PressureError::Wait)?;
            told.clear_ready();
            let total = Stalls::read(self.path)?.total;
            // The first window begins at zero, so that the kernel tells of what was long ago.
            if total.saturating_sub(seen) >= STALLED {
                self.reclaim().await?;
            }
            seen = Stalls::read(self.path)?.total;
        }
    }

    async fn reclaim_by_average(&self) -> Result<Infallible, PressureError> {
        loop {
            self.functions.spare().await;
            sleep(READ_EVERY).await;
            if Stalls::read(self.path)?.average >= PRESSURE {
                self.reclaim().await?;
            }
        }
    }

    /// One after the other, until tasks hardly wait for memory any more.
    async fn reclaim(&self) -> Result<(), PressureError> {
        while self.instances.give_back() || self.functions.reclaim().await {
            let before = Stalls::read(self.path)?.total;
            sleep(RELIEF).await;
            let stalled = Stalls::read(self.path)?.total.saturating_sub(before);
            if stalled.as_secs_f64() < RELIEF.as_secs_f64() * PRESSURE / 100.0 {
                break;
            }
        }
        Ok(())
    }
}

/// How long some task waited for memory.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stalls {
    /// Percent of the last ten seconds.
    average: f64,
    /// Since the device started.
    total: Duration,
}

impl Stalls {
    fn read(path: &Path) -> Result<Self, PressureError> {
        let text = read_to_string(path).map_err(PressureError::Missing)?;
        Self::parse(&text).ok_or(PressureError::Format(text))
    }

    /// `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`
    fn parse(text: &str) -> Option<Self> {
        let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
        let value = |name: &str| {
            let fields = some.split_ascii_whitespace();
            fields.filter_map(|field| field.split_once('=')).find(|(key, _)| *key == name)
        };
        Some(Self {
            average: value("avg10")?.1.parse().ok()?,
            total: Duration::from_micros(value("total")?.1.parse().ok()?),
        })
    }
}

#[cfg(test)]
mod tests;
