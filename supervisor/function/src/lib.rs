//! Lambda functions on the device.
//!
//! A function is a [`FunctionSpec`]: plain data, worked out from a recipe and its configuration by whoever has those.
//! Its *instances* are fences in which a runtime polls the Lambda Runtime API; this room neither opens fences nor
//! knows recipes: it asks [`Instances`] for them. An [`Invocation`] goes to one instance and ends in an [`Answer`].

#![forbid(unsafe_code)]

mod instance;
mod invocation;
mod spec;

pub use instance::{Ended, Instance, InstanceId, Instances, OpenError, Usage};
pub use invocation::{
    Answer, Completed, ErrorKind, FunctionError, InvalidRequestId, Invocation, InvokeError, Report,
    RequestId, ResponseStream, StreamFault,
};
pub use spec::{Encoding, EventSource, FunctionSpec, QueuePolicy, Runtime, Target};
