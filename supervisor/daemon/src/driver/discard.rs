//! Fences that nothing desired belongs to.

use std::sync::Arc;

use hedgerow_isolation::plan::FenceId;
use hedgerow_isolation::protocol::{Event, Request};
use nix::sys::signal::Signal;

use super::Surroundings;
use crate::launcher::{FenceEvent, FenceEvents};
use crate::lifecycle::GRACE;

/// Ends a fence: SIGTERM, [`GRACE`], SIGKILL. Its steps are not asked, for nobody knows them any more.
pub async fn discard(around: Arc<Surroundings>, fence: FenceId) {
    let events = around.launcher.listen(fence.clone());
    let signal = Signal::SIGTERM as i32;
    let polite = Request::Signal { fence: fence.clone(), step: None, signal };
    // A fence that takes no signals has ended already.
    if around.launcher.run(polite, vec![]).await.is_ok() {
        let _ = tokio::time::timeout(GRACE, emptied(events)).await;
    }
    around.launcher.forget(&fence);
    if let Err(error) = around.launcher.run(Request::Close { fence: fence.clone() }, vec![]).await {
        tracing::error!("cannot close fence {fence}: {error}");
    }
}

async fn emptied(mut events: FenceEvents) {
    while let Some(FenceEvent::Told(event)) = events.recv().await {
        match event {
            Event::Emptied { .. } | Event::FenceEnded { .. } => return,
            Event::StepExited { .. } | Event::Notice { .. } => {}
        }
    }
}
