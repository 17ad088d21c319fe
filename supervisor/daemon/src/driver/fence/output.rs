//! What a step writes, on its way into the component's log.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::log::{ComponentLog, Drain, Entries, Stream};

pub(super) type SharedLog = Arc<Mutex<ComponentLog>>;

/// Time for the rest of an entry that has begun.
const REST_OF_ENTRY: Duration = Duration::from_millis(50);

/// Ends with the pipe. A log that cannot be written is said once and does not stop the component.
pub(super) async fn drain_into(
    mut drain: Drain,
    log: SharedLog,
    step: &'static str,
    stream: Stream,
) {
    let lock = || log.lock().unwrap_or_else(PoisonError::into_inner);
    let mut entries = Entries::new(stream);
    let mut failing = false;
    loop {
        let mut peeked = drain.peek().await;
        if let Ok(Some(bytes)) = &peeked
            && entries.is_open_after(bytes)
        {
            // Half a stack trace: its writer is at it. What has come stays in the pipe meanwhile.
            tokio::time::sleep(REST_OF_ENTRY).await;
            peeked = drain.peek().await;
        }
        let bytes = match peeked {
            Ok(Some(bytes)) => bytes,
            Ok(None) => break,
            Err(error) => return tracing::error!("reading the output of a step: {error}"),
        };
        let written = lock().write(step, &entries.split(&bytes));
        match written {
            Ok(()) => failing = false,
            Err(error) if !failing => {
                failing = true;
                tracing::error!("output of a step is lost: {error}");
            }
            Err(_) => {}
        }
        if let Err(error) = drain.consume(bytes.len()) {
            return tracing::error!("reading the output of a step: {error}");
        }
        // One component that writes without end must not starve the others.
        tokio::task::yield_now().await;
    }
    if let Err(error) = lock().settle() {
        tracing::error!("output of a step is lost: {error}");
    }
}
