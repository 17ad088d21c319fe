//! What components ask over IPC and the daemon answers. Publish and subscribe never come here.
//!
//! A file for each family of operations; [`missing`] has those whose service does not exist yet.

mod change;
mod components;
mod configuration;
mod deployments;
mod document;
mod metrics;
mod missing;
mod tokens;
mod updates;

use std::sync::{Arc, OnceLock};

use hedgerow_ipc::model::{Operation, OperationError, Request, ResourceNotFoundError};
use hedgerow_ipc::{Answer, Hub, Principal, Services};

use crate::configuration_updates::ConfigurationUpdates;
use crate::consent::Consent;
use crate::deployment::Deployments;
use crate::launcher::Launcher;
use crate::metrics::Metrics;
use crate::operations::Operations;
use crate::records::{Records, RecordsError};
use crate::registry::Registry;
use crate::settings::Settings;

#[derive(Debug)]
pub struct DaemonServices {
    pub launcher: Launcher,
    pub registry: Arc<Registry>,
    pub records: Arc<Records>,
    pub hub: Hub,
    pub consent: Arc<Consent>,
    pub configuration_updates: ConfigurationUpdates,
    pub metrics: Metrics,
    /// What can be asked once the daemon has recovered; components that outlived the last one ask before.
    pub deployments: OnceLock<Deployments>,
    pub operations: OnceLock<Operations>,
    pub settings: Settings,
    /// Held while a component writes its configuration, so that its requests take effect in their order.
    pub writing: tokio::sync::Mutex<()>,
}

impl Services for DaemonServices {
    fn missing(&self, operation: Operation) -> Option<&'static str> {
        missing::missing(operation)
    }

    async fn call(&self, who: &Principal, request: Request) -> Result<Answer, OperationError> {
        let caller = component(who)?;
        let answer = match request {
            Request::UpdateState(request) => self.update_state(caller, &request).await,
            Request::ListComponents(_) => Ok(self.list_components(caller)),
            Request::GetComponentDetails(request) => self.get_component_details(caller, &request),
            Request::RestartComponent(request) => self.restart_component(&request),
            Request::StopComponent(request) => self.stop_component(&request),
            Request::CreateLocalDeployment(request) => {
                self.create_local_deployment(caller, request).await
            }
            Request::CancelLocalDeployment(request) => self.cancel_local_deployment(request),
            Request::GetLocalDeploymentStatus(request) => self.get_local_deployment_status(request),
            Request::ListLocalDeployments(_) => self.list_local_deployments(),
            Request::GetConfiguration(request) => self.get_configuration(caller, request),
            Request::UpdateConfiguration(request) => {
                self.update_configuration(caller, request).await
            }
            Request::SubscribeToConfigurationUpdate(request) => {
                return self.subscribe_to_configuration_update(caller, request);
            }
            Request::SubscribeToValidateConfigurationUpdates(_) => {
                return self.subscribe_to_validate_configuration_updates(caller);
            }
            Request::SendConfigurationValidityReport(request) => {
                self.send_configuration_validity_report(caller, request)
            }
            Request::SubscribeToComponentUpdates(_) => {
                return self.subscribe_to_component_updates(caller);
            }
            Request::DeferComponentUpdate(request) => self.defer_component_update(caller, &request),
            Request::PutComponentMetric(request) => self.put_component_metric(caller, request),
            Request::ValidateAuthorizationToken(request) => {
                self.validate_authorization_token(caller, &request)
            }
            Request::PauseComponent(request) => self.pause_component(&request).await,
            Request::ResumeComponent(request) => self.resume_component(&request).await,
            // Publish and subscribe are the session's; `missing` has refused the others.
            Request::PublishToTopic(_)
            | Request::SubscribeToTopic(_)
            | Request::AuthorizeClientDeviceAction(_)
            | Request::CreateDebugPassword(_)
            | Request::DeleteThingShadow(_)
            | Request::GetClientDeviceAuthToken(_)
            | Request::GetSecretValue(_)
            | Request::GetThingShadow(_)
            | Request::ListNamedShadowsForThing(_)
            | Request::PublishToIoTCore(_)
            | Request::SubscribeToCertificateUpdates(_)
            | Request::SubscribeToIoTCore(_)
            | Request::SubscribeToIoTCoreConnectionStatus(_)
            | Request::UpdateThingShadow(_)
            | Request::VerifyClientDeviceIdentity(_) => {
                Err(OperationError::service("it is answered elsewhere"))
            }
        };
        answer.map(Answer::Once)
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

/// Of what is there once the daemon has recovered.
fn recovered<T>(cell: &OnceLock<T>) -> Result<&T, OperationError> {
    cell.get().ok_or_else(|| {
        OperationError::service("the daemon is still starting; try again in a moment")
    })
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
