//! What makes events for functions: schedules, topics, files.
//!
//! Each source runs on its own and says what happened; what a function's sources say goes, in this order, to its queue.

mod feed;
mod file;
mod schedule;
mod scheduled;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::path::PathBuf;

use bytes::Bytes;
use tokio::sync::mpsc;

pub use feed::feed;
pub use schedule::{InvalidSchedule, Schedule};

use crate::FunctionSpec;

/// Something happened that is an event of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occurrence {
    pub payload: Bytes,
    /// JSON.
    pub client_context: Option<String>,
}

/// Where messages come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broker {
    Local,
    IotCore,
}

/// A path that is watched: trusted as far as `base`, and below that in the hands of components.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub base: PathBuf,
    /// Relative; empty where `base` itself is watched.
    pub below: PathBuf,
}

/// Why a source makes no events.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceFault {
    /// It will not make any before it is defined anew.
    #[error("{0}")]
    Unusable(String),
    /// It is tried again.
    #[error("{0}; this is tried again")]
    Failing(String),
}

/// What this room asks of those who have brokers and know where a function's files are.
pub trait Feeds: fmt::Debug + Send + Sync + 'static {
    /// Sends what is published on topics of that filter. Returns when it cannot go on.
    fn messages(
        &self,
        function: &FunctionSpec,
        broker: Broker,
        filter: &str,
        heard: mpsc::Sender<Occurrence>,
    ) -> impl Future<Output = SourceFault> + Send;

    /// Where on the host the path of the function's fence is.
    fn place(&self, function: &FunctionSpec, path: &std::path::Path) -> Result<Place, SourceFault>;

    /// Something that the operator is to know of a function.
    fn tell(&self, function: &str, what: &str);
}

/// A message as an event: its payload as it is, its topic where Greengrass's functions look for it.
pub fn message(topic: &str, payload: Bytes) -> Occurrence {
    let context = serde_json::json!({ "custom": { "subject": topic } });
    Occurrence { payload, client_context: Some(context.to_string()) }
}
