//! What components ask over IPC and the daemon answers. Publish and subscribe never come here.

use std::sync::Arc;

use hedgerow_ipc::model::{
    ComponentDetails, GetComponentDetailsRequest, GetComponentDetailsResponse,
    GetConfigurationRequest, GetConfigurationResponse, LifecycleState, ListComponentsResponse,
    OperationError, ReportedLifecycleState, Request, ResourceNotFoundError, Response,
    UpdateStateRequest, UpdateStateResponse,
};
use hedgerow_ipc::{Principal, Services};

use crate::lifecycle::Published;
use crate::records::{Records, RecordsError};
use crate::registry::{Command, Registry, Status};

#[derive(Debug)]
pub struct DaemonServices {
    pub registry: Arc<Registry>,
    pub records: Arc<Records>,
}

impl Services for DaemonServices {
    async fn call(&self, who: &Principal, request: Request) -> Result<Response, OperationError> {
        match request {
            Request::UpdateState(request) => self.update_state(component(who)?, &request).await,
            Request::GetConfiguration(request) => self.get_configuration(component(who)?, request),
            Request::ListComponents(_) => Ok(self.list_components()),
            Request::GetComponentDetails(request) => self.get_component_details(&request),
            other => Err(OperationError::not_provided(other.operation())),
        }
    }

    fn session_opened(&self, who: &Principal) {
        if let Principal::Component(name) = who {
            self.registry.session_opened(name);
        }
    }

    fn session_closed(&self, who: &Principal) {
        if let Principal::Component(name) = who {
            self.registry.session_closed(name);
        }
    }
}

impl DaemonServices {
    async fn update_state(
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

    fn get_configuration(
        &self,
        caller: &str,
        request: GetConfigurationRequest,
    ) -> Result<Response, OperationError> {
        let name = request.component_name.unwrap_or_else(|| caller.to_owned());
        if self.registry.status(&name).is_none() {
            return Err(unknown(&name));
        }
        let path = request.key_path;
        let missing = || {
            let message = format!("{name} has no configuration at {}", pointer(&path));
            not_found(message, "Configuration", pointer(&path))
        };
        let value =
            self.records.configuration(&name, &path).map_err(failed)?.ok_or_else(missing)?;
        // Greengrass wraps a single value in an object under its last key.
        let value = match (value, path.last()) {
            (value @ serde_json::Value::Object(_), _) | (value, None) => value,
            (value, Some(key)) => serde_json::json!({ key: value }),
        };
        Ok(Response::GetConfiguration(GetConfigurationResponse {
            component_name: Some(name),
            value: Some(value),
        }))
    }

    fn list_components(&self) -> Response {
        let components = self.registry.all().iter().map(|status| self.details(status)).collect();
        Response::ListComponents(ListComponentsResponse { components: Some(components) })
    }

    fn get_component_details(
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

fn component(who: &Principal) -> Result<&str, OperationError> {
    match who {
        Principal::Component(name) => Ok(name),
        Principal::HostUser(_) | Principal::LocalDevice(_) | Principal::Cloud => {
            Err(OperationError::unauthorized(format!("{who} is not a component")))
        }
    }
}

fn unknown(component: &str) -> OperationError {
    let message = format!("no component {component:?} is deployed on this device");
    not_found(message, "Component", component)
}

fn not_found(message: String, kind: &str, name: impl Into<String>) -> OperationError {
    OperationError::ResourceNotFound(ResourceNotFoundError {
        message: Some(message),
        resource_type: Some(kind.to_owned()),
        resource_name: Some(name.into()),
    })
}

fn failed(error: RecordsError) -> OperationError {
    tracing::error!("{error}");
    OperationError::service(error.to_string())
}

fn pointer(path: &[String]) -> String {
    path.iter().map(|key| format!("/{}", key.replace('~', "~0").replace('/', "~1"))).collect()
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
