//! `iot-data` publish: to where subscriptions lead and the function's own `accessControl` allows.

use bytes::Bytes;
use hyper::StatusCode;
use serde::Deserialize;

use super::{Destination, DeviceError, Sdk};
use crate::endpoint::invoke::{Ask, invocation};
use crate::endpoint::refusal::Refusal;
use crate::{
    Broker, CLIENT_CONTEXT_LIMIT, FunctionSpec, Invocation, InvokeError, Occurrence, RequestId,
    Target, message,
};

#[derive(Debug)]
pub(super) struct Publication {
    topic: String,
    payload: Bytes,
    /// Whether it is to go nowhere rather than to some of its destinations.
    is_all_or_error: bool,
}

/// What the SDK says in the client context. It names a source too, which anybody could.
#[derive(Deserialize)]
struct Context {
    custom: Custom,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Custom {
    subject: String,
    #[serde(default)]
    queue_full_policy: String,
}

/// Where one publication goes.
#[derive(Debug, Default)]
struct Ways {
    functions: Vec<Target>,
    /// Components that hear local topics and are to hear this one.
    listeners: Vec<String>,
    /// What cannot be reached, and why.
    faults: Vec<String>,
}

impl Ways {
    /// Once, by however many names it is subscribed.
    fn add(&mut self, target: Target) {
        if self.functions.iter().all(|known| known.function != target.function) {
            self.functions.push(target);
        }
    }
}

impl Publication {
    pub fn of(ask: Ask<'_>) -> Result<Self, Refusal> {
        let Invocation { payload, client_context, .. } = invocation(ask)?;
        let refuse = |why: &str| {
            InvokeError::InvalidRequestContent(format!(
                "Client context must be {{\"custom\": {{\"subject\": \"<topic>\"}}}}: {why}"
            ))
        };
        let context = client_context.unwrap_or_default();
        if context.len() > CLIENT_CONTEXT_LIMIT {
            let why = format!("it has {} bytes of {CLIENT_CONTEXT_LIMIT}", context.len());
            return Err(refuse(&why).into());
        }
        let context = serde_json::from_str(&context);
        let Context { custom } = context.map_err(|error| refuse(&error.to_string()))?;
        let Custom { subject, queue_full_policy } = custom;
        let is_all_or_error = queue_full_policy == "AllOrError";
        Ok(Self { topic: subject, payload, is_all_or_error })
    }

    /// Returns when it is wherever it goes, durably where it waits for a function. Without `AllOrError` it is enough
    /// that it is somewhere: what it did not reach is told in the source's log.
    pub async fn publish(&self, sdk: &Sdk, source: &FunctionSpec) -> Result<(), Refusal> {
        let Ways { functions, listeners, mut faults } = self.ways(sdk, source)?;
        let mut reached = 0;
        if self.is_all_or_error && !faults.is_empty() {
            return Err(self.unreached(&faults));
        }
        match sdk.device.publish(&source.name, Broker::Local, &self.topic, self.payload.clone()) {
            Ok(()) => reached += 1,
            // Nobody expects it there.
            Err(DeviceError::Denied(_)) if listeners.is_empty() => {}
            Err(fault) if listeners.is_empty() => faults.push(format!("local topics: {fault}")),
            Err(fault) => faults.push(format!("{}: {fault}", listeners.join(", "))),
        }
        let mut receipts = Vec::new();
        for target in functions {
            match sdk.events.submit(&target, self.event()?).await {
                Ok(receipt) => receipts.push((target, receipt)),
                Err(fault) => faults.push(format!("{target}: {fault}")),
            }
        }
        for (target, receipt) in receipts {
            match receipt.stored().await {
                Ok(_) => reached += 1,
                Err(fault) => faults.push(format!("{target}: {fault}")),
            }
        }
        match (reached, &faults[..]) {
            (0, []) => self.publish_to_cloud(sdk, source),
            (_, []) => Ok(()),
            (1.., faults) if !self.is_all_or_error => {
                let what = format!(
                    "what it publishes on {:?} did not reach {}",
                    self.topic,
                    faults.join("; ")
                );
                sdk.device.tell(&source.name, &what);
                Ok(())
            }
            (_, faults) => Err(self.unreached(faults)),
        }
    }

    fn ways(&self, sdk: &Sdk, source: &FunctionSpec) -> Result<Ways, Refusal> {
        let mut ways = Ways::default();
        for destination in sdk.device.destinations(source, &self.topic)? {
            match destination {
                Destination::Cloud => ways.faults.push("cloud: there is no cloud link yet".into()),
                Destination::Function(target) => match sdk.functions.find(&target) {
                    Ok(spec) => ways.add(Target { function: spec.name.clone(), ..target }),
                    Err(fault) => ways.faults.push(format!("{target}: {fault}")),
                },
                Destination::Component(name) => match sdk.functions.get(&name) {
                    Some(_) => ways.add(Target { function: name, qualifier: None }),
                    None => ways.listeners.push(name),
                },
            }
        }
        Ok(ways)
    }

    /// What nobody on the device is subscribed to, for functions that may publish to AWS IoT Core.
    fn publish_to_cloud(&self, sdk: &Sdk, source: &FunctionSpec) -> Result<(), Refusal> {
        let payload = self.payload.clone();
        match sdk.device.publish(&source.name, Broker::IotCore, &self.topic, payload) {
            Err(DeviceError::Denied(_)) => Err(self.unsubscribed(source)),
            published => Ok(published?),
        }
    }

    fn event(&self) -> Result<Invocation, InvokeError> {
        let Occurrence { payload, client_context } = message(&self.topic, self.payload.clone());
        let request_id =
            RequestId::generate().map_err(|error| InvokeError::Service(error.to_string()))?;
        Ok(Invocation { request_id, payload, client_context, trace_id: None, log_tail: false })
    }

    /// In Greengrass's words, and what to do.
    fn unsubscribed(&self, source: &FunctionSpec) -> Refusal {
        let FunctionSpec { name, arn, version, .. } = source;
        Refusal::new(
            StatusCode::NOT_FOUND,
            "ResourceNotFoundException",
            format!(
                "No subscription exists for the source {arn}:{version} and subject {}. Add one to the configuration \
                 of aws.greengrass.LegacySubscriptionRouter (source: component:{name}), or let accessControl of {name} \
                 allow aws.greengrass#PublishToTopic",
                self.topic
            ),
        )
    }

    fn unreached(&self, faults: &[String]) -> Refusal {
        Refusal::new(
            StatusCode::BAD_GATEWAY,
            "ServiceException",
            format!("the message on {:?} did not reach {}", self.topic, faults.join("; ")),
        )
    }
}
