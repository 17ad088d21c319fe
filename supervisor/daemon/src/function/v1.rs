//! What functions reach with the SDK of Greengrass v1 beside other functions.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hedgerow_component::ComponentName;
use hedgerow_function::v1::{Destination, Device, DeviceError, Sdk};
use hedgerow_function::{Broker, FunctionSpec};
use hedgerow_ipc::model::Operation;
use hedgerow_ipc::{Action, Denied, Message, Principal, PublishError};
use serde_json::Value;

use super::subscriptions::destinations;
use crate::driver::Surroundings;
use crate::lambda_manager;
use crate::records::RecordsError;

const ROUTER: &str = "aws.greengrass.LegacySubscriptionRouter";

/// Where the configuration says nothing of it.
const RESULT_TIMEOUT: Duration = Duration::from_secs(60);

/// For [`super::DaemonInstances::sdk`].
pub fn sdk(around: &Arc<Surroundings>) -> Sdk {
    Sdk {
        functions: around.functions.clone(),
        events: around.events.clone(),
        device: Arc::new(DaemonDevice { around: Arc::clone(around) }),
    }
}

#[derive(Debug)]
struct DaemonDevice {
    around: Arc<Surroundings>,
}

impl Device for DaemonDevice {
    fn may_invoke(&self, caller: &str, callee: &str) -> Result<(), DeviceError> {
        if self.around.settings.compat.open_invoke {
            return Ok(());
        }
        let who = Principal::Component(caller.into());
        self.around.hub.authorize(&who, Action::InvokeFunction, callee).map(drop).map_err(denied)
    }

    fn destinations(
        &self,
        source: &FunctionSpec,
        topic: &str,
    ) -> Result<Vec<Destination>, DeviceError> {
        let subscriptions = self.configuration(ROUTER, "subscriptions").map_err(failed)?;
        destinations(&subscriptions.unwrap_or_default(), source, topic).map_err(|problem| {
            DeviceError::Service(format!("the configuration of {ROUTER}: {problem}"))
        })
    }

    /// Payloads are published as they are: it is the subscriber who knows what they mean.
    fn publish(
        &self,
        source: &str,
        broker: Broker,
        topic: &str,
        payload: Bytes,
    ) -> Result<(), DeviceError> {
        let who = Principal::Component(source.into());
        let hub = &self.around.hub;
        match broker {
            Broker::Local => match hub.publish(&who, topic, &Message::Binary(payload)) {
                Ok(_) => Ok(()),
                Err(PublishError::Denied(error)) => Err(denied(error)),
                Err(error @ (PublishError::Topic(_) | PublishError::TooLarge { .. })) => {
                    Err(DeviceError::Invalid(error.to_string()))
                }
                Err(error @ PublishError::NoMemory) => Err(DeviceError::Service(error.to_string())),
            },
            Broker::IotCore => {
                let _permit =
                    hub.authorize(&who, Operation::PublishToIoTCore, topic).map_err(denied)?;
                Err(DeviceError::Service("there is no cloud link yet".to_owned()))
            }
        }
    }

    fn result_timeout(&self) -> Duration {
        let configured = self.configuration(lambda_manager::NAME, lambda_manager::RESULT_TIMEOUT);
        let configured = configured.ok().flatten();
        configured.as_ref().and_then(lambda_manager::result_timeout).unwrap_or(RESULT_TIMEOUT)
    }

    fn tell(&self, function: &str, what: &str) {
        // Its own log takes so many lines and no more.
        self.around.instances.warn(function, what);
    }
}

impl DaemonDevice {
    /// Of a component that is deployed.
    fn configuration(&self, component: &str, key: &str) -> Result<Option<Value>, RecordsError> {
        let records = &self.around.records;
        let Ok(name) = ComponentName::try_from(component.to_owned()) else { return Ok(None) };
        match records.desired()?.contains_key(&name) {
            true => records.configuration(component, &[key.to_owned()]),
            false => Ok(None),
        }
    }
}

fn denied(error: Denied) -> DeviceError {
    DeviceError::Denied(error.to_string())
}

fn failed(error: RecordsError) -> DeviceError {
    DeviceError::Service(error.to_string())
}
