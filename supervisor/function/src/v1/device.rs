//! What this room asks of those who know the device's configuration and its topics.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::{Broker, FunctionSpec, Target};

pub trait Device: fmt::Debug + Send + Sync + 'static {
    /// Whether a function may invoke another, both by name.
    fn may_invoke(&self, caller: &str, callee: &str) -> Result<(), DeviceError>;

    /// Where the subscriptions of `aws.greengrass.LegacySubscriptionRouter` lead what `source` publishes on that topic,
    /// each place once.
    fn destinations(
        &self,
        source: &FunctionSpec,
        topic: &str,
    ) -> Result<Vec<Destination>, DeviceError>;

    /// Publishes for a function what its own `accessControl` allows it to publish.
    fn publish(
        &self,
        source: &str,
        broker: Broker,
        topic: &str,
        payload: Bytes,
    ) -> Result<(), DeviceError>;

    /// How long a function may wait for another's answer (`getResultTimeoutInSecond` of `aws.greengrass.LambdaManager`).
    fn result_timeout(&self) -> Duration;

    /// Something that the operator is to know of a function.
    fn tell(&self, function: &str, what: &str);
}

/// The target of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// AWS IoT Core.
    Cloud,
    /// By its ARN.
    Function(Target),
    /// By name: a function, or a component that subscribes to local topics.
    Component(String),
}

/// Why the device does not do what a function asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// The function has no right to it. Names the rule that is missing.
    #[error("{0}")]
    Denied(String),
    /// What it asks for makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// Ours: a service is missing, the disk cannot be read …
    #[error("{0}")]
    Service(String),
}
