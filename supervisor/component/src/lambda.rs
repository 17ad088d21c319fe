//! Lambda functions: components of the type `aws.greengrass.lambda`.
//!
//! Such a recipe has no steps of its own. What the function is stands in the variables of its lifecycle
//! (`AWS_GREENGRASS_LAMBDA_…`), how it runs in its configuration. Lists are written as lists, or as Greengrass writes
//! them: maps whose keys are numbers. What Greengrass has no key for stands in the same configuration under `hedgerow`.

mod container;
mod dependencies;
mod fault;
mod keys;
mod read;
mod reader;
mod runtime;
#[cfg(test)]
mod tests;
mod topic;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

pub use container::LEAST_MEMORY;
pub use dependencies::{Dependencies, dependencies};
pub use fault::{At, Fault, InvalidLambda, Need, Notice};
pub(crate) use read::schedules;
pub use runtime::{Language, Runtime, UnknownRuntime};

/// What a function is, with every variable filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lambda {
    /// `arn:aws:lambda:…:function:<name>`, without a qualifier, where the recipe names one.
    pub arn: Option<String>,
    /// The number at the ARN's end, else the component's version.
    pub version: String,
    pub runtime: Runtime,
    pub handler: String,
    /// The archive that has the code: the name of the directory that it is unpacked into.
    pub archive: String,
    /// The lifecycle's variables.
    pub setenv: BTreeMap<String, String>,
    /// The function's own variables.
    pub environment: BTreeMap<String, String>,
    pub container: Container,
    /// Whether the payload of an event is JSON.
    pub json: bool,
    pub pinned: bool,
    /// Of one invocation.
    pub timeout: Duration,
    /// From the start to the first event; `None`: for ever, as a pinned function may need.
    pub init_timeout: Option<Duration>,
    pub max_idle: Duration,
    pub max_instances: u32,
    pub queue_length: u32,
    pub max_event_age: Duration,
    pub retries: u32,
    /// Before the first try after a failure; twice as long before the second, and so on.
    pub retry_delay: Duration,
    pub dead_letter_topic: Option<String>,
    /// Bytes of `/tmp`.
    pub ephemeral_storage: u64,
    /// To a version.
    pub aliases: BTreeMap<String, String>,
    /// Components, the later over the earlier.
    pub layers: Vec<String>,
    pub sources: Vec<Source>,
    /// What has another effect than it says, or none.
    #[serde(skip)]
    pub notices: Vec<Notice>,
    #[serde(skip)]
    pub needs: Vec<Need>,
}

/// `containerMode` and `containerParams`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Container {
    /// `GreengrassContainer`; the other mode is `NoContainer`.
    pub isolated: bool,
    /// Bytes, [`LEAST_MEMORY`] at least; `None`: as much as any component.
    pub memory: Option<u64>,
    /// `/sys`, read-only.
    pub sysfs: bool,
    pub volumes: Vec<Volume>,
    pub devices: Vec<Device>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Volume {
    pub source: String,
    pub destination: String,
    pub writable: bool,
    /// The function's user gets the rights of the files' group.
    pub add_group_owner: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Device {
    /// Below `/dev`.
    pub path: String,
    pub writable: bool,
    pub add_group_owner: bool,
}

/// What makes events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Source {
    /// A filter of local topics.
    Topic(String),
    /// A filter of AWS IoT Core's topics.
    IotCore(String),
    /// `rate(…)` or `cron(…)`.
    Schedule {
        expression: String,
        input: Option<Value>,
        /// Where the expression stands in the configuration (RFC 6901).
        pointer: String,
    },
    /// A file or directory inside the fence.
    File(String),
}
