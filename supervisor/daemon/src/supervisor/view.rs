//! What is known of a component or a deployment, as the bus shows it.

use crate::bus::{ComponentView, DeploymentView};
use crate::deployment;
use crate::fault::StatusCode;
use crate::jobs;
use crate::registry::Status;

pub fn component(status: &Status) -> ComponentView {
    ComponentView {
        version: status.version.clone(),
        state: status.state.published(),
        state_changed: jobs::moment(&status.changed),
        pid: status.pid.and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0),
        restarts: status.restarts,
        last_error: status.fault.as_ref().map(ToString::to_string).unwrap_or_default(),
        status_codes: status_codes(status),
        next_retry: status.next_retry.as_ref().map(jobs::moment).unwrap_or_default(),
        paused: status.paused,
    }
}

fn status_codes(status: &Status) -> Vec<String> {
    let code = status.fault.as_ref().map(|fault| fault.code).unwrap_or_default();
    match code {
        StatusCode::None => vec![],
        code => vec![code.name().to_owned()],
    }
}

pub fn deployment(view: &deployment::DeploymentView) -> DeploymentView {
    DeploymentView {
        id: view.id.to_string(),
        group: view.group.to_string(),
        created: view.created,
        components: view.components.clone(),
        stage: view.stage,
        progress: view.percent,
        status: view.status,
        detailed_status: view
            .detailed
            .map(|detailed| detailed.name().to_owned())
            .unwrap_or_default(),
        error_stack: view.error_stack.clone(),
        error_types: view.error_types.clone(),
        failure_cause: view.failure_cause.clone(),
    }
}
