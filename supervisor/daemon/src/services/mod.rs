//! What components ask over IPC and the daemon answers. Publish and subscribe never come here.
//!
//! A file for each family of operations; [`missing`] has those whose service does not exist yet.

mod change;
mod components;
mod configuration;
mod metrics;
mod missing;
mod tokens;
mod updates;

use std::sync::Arc;

use hedgerow_ipc::model::{Operation, OperationError, Request, ResourceNotFoundError};
use hedgerow_ipc::{Answer, Hub, Principal, Services};

use crate::configuration_updates::ConfigurationUpdates;
use crate::consent::Consent;
use crate::metrics::Metrics;
use crate::records::{Records, RecordsError};
use crate::registry::Registry;

#[derive(Debug)]
pub struct DaemonServices {
    pub registry: Arc<Registry>,
    pub records: Arc<Records>,
    pub hub: Hub,
    pub consent: Arc<Consent>,
    pub configuration_updates: ConfigurationUpdates,
    pub metrics: Metrics,
    /// Every component may read every configuration, as in Greengrass.
    pub open_configuration: bool,
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
            Request::ListComponents(_) => Ok(self.list_components()),
            Request::GetComponentDetails(request) => self.get_component_details(&request),
            Request::GetConfiguration(request) => self.get_configuration(caller, request),
            Request::UpdateConfiguration(request) => {
                self.update_configuration(caller, request).await
            }
            Request::SubscribeToConfigurationUpdate(request) => {
                return self.subscribe_to_configuration_update(caller, request);
            }
            Request::SubscribeToValidateConfigurationUpdates(_) => {
                return Ok(self.subscribe_to_validate_configuration_updates(caller));
            }
            Request::SendConfigurationValidityReport(request) => {
                self.send_configuration_validity_report(caller, request)
            }
            Request::SubscribeToComponentUpdates(_) => {
                return Ok(self.subscribe_to_component_updates(caller));
            }
            Request::DeferComponentUpdate(request) => self.defer_component_update(caller, &request),
            Request::PutComponentMetric(request) => self.put_component_metric(caller, request),
            Request::ValidateAuthorizationToken(request) => {
                self.validate_authorization_token(caller, &request)
            }
            // `missing` has refused it.
            other => Err(OperationError::not_provided(other.operation(), "what it is for")),
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
