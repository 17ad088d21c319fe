//! Components and their states.

use hedgerow_ipc::model::{
    ComponentDetails, GetComponentDetailsRequest, GetComponentDetailsResponse, LifecycleState,
    ListComponentsResponse, OperationError, ReportedLifecycleState, Response, UpdateStateRequest,
    UpdateStateResponse,
};

use super::{DaemonServices, unknown};
use crate::lifecycle::Published;
use crate::registry::{Command, Status};

impl DaemonServices {
    pub(super) async fn update_state(
        &self,
        component: &str,
        request: &UpdateStateRequest,
    ) -> Result<Response, OperationError> {
        let healthy = match request.state {
            ReportedLifecycleState::Running => true,
            ReportedLifecycleState::Errored => false,
        };
        let commands = self.registry.commands(component).ok_or_else(|| unknown(component))?;
        commands
            .send(Command::Report { healthy })
            .await
            .map_err(|_| OperationError::service("the component is being removed"))?;
        Ok(Response::UpdateState(UpdateStateResponse {}))
    }

    pub(super) fn list_components(&self) -> Response {
        let components = self.registry.all().iter().map(|status| self.details(status)).collect();
        Response::ListComponents(ListComponentsResponse { components: Some(components) })
    }

    pub(super) fn get_component_details(
        &self,
        request: &GetComponentDetailsRequest,
    ) -> Result<Response, OperationError> {
        let name = &request.component_name;
        let status = self.registry.status(name).ok_or_else(|| unknown(name))?;
        Ok(Response::GetComponentDetails(GetComponentDetailsResponse {
            component_details: self.details(&status),
        }))
    }

    fn details(&self, status: &Status) -> ComponentDetails {
        ComponentDetails {
            component_name: status.name.clone(),
            version: status.version.clone(),
            state: lifecycle_state(status.state.published()),
            configuration: self.records.configuration(&status.name, &[]).ok().flatten(),
        }
    }
}

fn lifecycle_state(state: Published) -> LifecycleState {
    match state {
        Published::New => LifecycleState::New,
        Published::Installed => LifecycleState::Installed,
        Published::Starting => LifecycleState::Starting,
        Published::Running => LifecycleState::Running,
        Published::Stopping => LifecycleState::Stopping,
        Published::Errored => LifecycleState::Errored,
        Published::Broken => LifecycleState::Broken,
        Published::Finished => LifecycleState::Finished,
    }
}
