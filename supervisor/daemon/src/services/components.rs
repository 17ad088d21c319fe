//! Components and their states.

use hedgerow_api::{ComponentState, Error};
use hedgerow_ipc::model::{
    ComponentDetails, ErrorKind, GetComponentDetailsRequest, GetComponentDetailsResponse,
    LifecycleState, ListComponentsResponse, Operation, OperationError, PauseComponentRequest,
    PauseComponentResponse, ReportedLifecycleState, RequestStatus, Response,
    RestartComponentRequest, RestartComponentResponse, ResumeComponentRequest,
    ResumeComponentResponse, StopComponentRequest, StopComponentResponse, UpdateStateRequest,
    UpdateStateResponse,
};

use super::{DaemonServices, recovered, unknown};
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

    pub(super) fn list_components(&self, caller: &str) -> Response {
        let all = self.registry.all();
        let components = all.iter().map(|status| self.details(caller, status)).collect();
        Response::ListComponents(ListComponentsResponse { components: Some(components) })
    }

    pub(super) fn get_component_details(
        &self,
        caller: &str,
        request: &GetComponentDetailsRequest,
    ) -> Result<Response, OperationError> {
        let name = &request.component_name;
        let status = self.registry.status(name).ok_or_else(|| unknown(name))?;
        Ok(Response::GetComponentDetails(GetComponentDetailsResponse {
            component_details: self.details(caller, &status),
        }))
    }

    pub(super) fn restart_component(
        &self,
        request: &RestartComponentRequest,
    ) -> Result<Response, OperationError> {
        let operations = recovered(&self.operations)?;
        let (restart_status, message) = begun(operations.restart(&request.component_name))?;
        Ok(Response::RestartComponent(RestartComponentResponse { restart_status, message }))
    }

    pub(super) fn stop_component(
        &self,
        request: &StopComponentRequest,
    ) -> Result<Response, OperationError> {
        let operations = recovered(&self.operations)?;
        let (stop_status, message) = begun(operations.stop(&request.component_name))?;
        Ok(Response::StopComponent(StopComponentResponse { stop_status, message }))
    }

    pub(super) async fn pause_component(
        &self,
        request: &PauseComponentRequest,
    ) -> Result<Response, OperationError> {
        self.freeze(&request.component_name, true).await?;
        Ok(Response::PauseComponent(PauseComponentResponse {}))
    }

    pub(super) async fn resume_component(
        &self,
        request: &ResumeComponentRequest,
    ) -> Result<Response, OperationError> {
        self.freeze(&request.component_name, false).await?;
        Ok(Response::ResumeComponent(ResumeComponentResponse {}))
    }

    /// Answered once every process is frozen, or goes on. Already so is a success.
    async fn freeze(&self, component: &str, pause: bool) -> Result<(), OperationError> {
        let operations = recovered(&self.operations)?;
        operations.pause(component, pause).await.map_err(|error| match error {
            Error::NoSuchComponent(_) => unknown(component),
            error => OperationError::service(error.message()),
        })
    }

    /// Without the configuration, where the caller may not read it.
    fn details(&self, caller: &str, status: &Status) -> ComponentDetails {
        let may_read = self.may_read(caller, &status.name, Operation::GetConfiguration).is_ok();
        let configuration = || self.records.configuration(&status.name, &[]).ok().flatten();
        ComponentDetails {
            component_name: status.name.clone(),
            version: status.version.clone(),
            state: lifecycle_state(status.state.published()),
            configuration: may_read.then(configuration).flatten(),
        }
    }
}

/// What is answered is that it is wanted, durably: it may be the caller itself that ends.
fn begun(job: Result<u64, Error>) -> Result<(RequestStatus, Option<String>), OperationError> {
    match job {
        Ok(_) => Ok((RequestStatus::Succeeded, None)),
        Err(Error::NoSuchComponent(message)) => {
            Err(OperationError::new(ErrorKind::ComponentNotFound, message))
        }
        Err(Error::InvalidArgument(message)) => {
            Err(OperationError::new(ErrorKind::InvalidArguments, message))
        }
        Err(error) => Ok((RequestStatus::Failed, Some(error.message().to_owned()))),
    }
}

fn lifecycle_state(state: ComponentState) -> LifecycleState {
    match state {
        ComponentState::New => LifecycleState::New,
        ComponentState::Installed => LifecycleState::Installed,
        ComponentState::Starting => LifecycleState::Starting,
        ComponentState::Running => LifecycleState::Running,
        ComponentState::Stopping => LifecycleState::Stopping,
        ComponentState::Errored => LifecycleState::Errored,
        ComponentState::Broken => LifecycleState::Broken,
        ComponentState::Finished => LifecycleState::Finished,
    }
}
