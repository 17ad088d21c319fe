//! Waiting for what others do.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// After this a test fails instead of waiting on. Generous: the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at something that cannot be waited for otherwise.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks again and again until there is something, `limit` at most. `what` names it in the error.
pub fn eventually<T>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            bail!("not within {} s: {what}", limit.as_secs());
        }
        thread::sleep(PAUSE);
    }
}
