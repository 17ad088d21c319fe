//! What is known of a component, as the bus shows it.

use hedgerow_api::{ComponentState, Moment};

use crate::bus::ComponentView;
use crate::jobs;
use crate::lifecycle::Published;
use crate::registry::Status;

pub fn component(status: &Status) -> ComponentView {
    ComponentView {
        version: status.version.clone(),
        state: match status.state.published() {
            Published::New => ComponentState::New,
            Published::Installed => ComponentState::Installed,
            Published::Starting => ComponentState::Starting,
            Published::Running => ComponentState::Running,
            Published::Stopping => ComponentState::Stopping,
            Published::Errored => ComponentState::Errored,
            Published::Broken => ComponentState::Broken,
            Published::Finished => ComponentState::Finished,
        },
        state_changed: jobs::moment(&status.changed),
        pid: status.pid.and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0),
        restarts: status.restarts,
        last_error: status.fault.as_ref().map(|fault| fault.message.clone()).unwrap_or_default(),
        status_codes: vec![],
        next_retry: Moment::default(),
        paused: false,
    }
}
