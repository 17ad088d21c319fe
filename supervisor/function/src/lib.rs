//! Lambda functions on the device.
//!
//! A function is a [`FunctionSpec`]: plain data, worked out from a recipe and its configuration by whoever has those.
//! Its *instances* are fences in which a runtime polls the Lambda Runtime API; this room neither opens fences nor
//! knows recipes: it asks [`Instances`] for them. An [`Invocation`] goes to one instance and ends in an [`Answer`].
//!
//! Who has to do with what:
//! - callers and the drivers of components have [`Functions`];
//! - the durable queue hands its events to [`Functions::deliver`], whose result says what becomes of them;
//! - the Runtime API's server of an instance has an [`InstanceLink`]: it asks it for [`Work`] and gives it answers;
//! - who implements [`Instances`] starts that server, and passes what the function writes to a [`LogTail`];
//! - a function that uses Greengrass v1's SDK is a [`v1::Caller`];
//! - who shows functions watches their [`Overview`].

#![forbid(unsafe_code)]

mod admit;
mod clock;
pub mod endpoint;
mod fault;
mod functions;
mod http;
mod instance;
mod invocation;
mod link;
mod log_tail;
mod metrics;
mod pool;
mod pressure;
mod queue;
mod report;
pub mod runtime_api;
mod source;
mod spec;
mod task;
#[cfg(test)]
mod tests;
pub mod v1;
mod whole;

pub use admit::{CLIENT_CONTEXT_LIMIT, EVENT_LIMIT, PAYLOAD_LIMIT};
pub use clock::{Clock, DeviceClock};
pub use functions::{Bounds, Functions};
pub use instance::{Ended, Instance, InstanceId, Instances, OpenError, Usage};
pub use invocation::{
    Answer, Completed, FunctionError, InvalidRequestId, Invocation, InvokeError, Report, RequestId,
    ResponseStream, StreamFault,
};
pub use link::{InstanceLink, Work};
pub use log_tail::{LOG_TAIL, LogTail};
pub use metrics::{Counts, Health, Histogram, Metrics, Overview, QueueMetrics, Standing};
pub use pressure::{PressureError, reclaim_under_pressure};
pub use queue::{
    Condition, DeadLetter, DeadLetters, EventKey, EventLog, EventQueue, Events, LogError, Receipt,
    Stored,
};
pub use report::Status;
pub use source::{
    Broker, Feeds, InvalidSchedule, Occurrence, Place, Schedule, SourceFault, feed, message,
};
pub use spec::{Encoding, EventSource, FunctionSpec, QueuePolicy, Runtime, Target};
