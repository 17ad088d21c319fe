//! Lambda functions as a program sees and calls them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use zbus::{DeserializeDict, OwnedFd, OwnedObjectPath, SerializeDict, Type, proxy};

use crate::{Error, JobError, Moment};

/// How a function is doing; a string on the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Type)]
#[zbus(signature = "s")]
#[serde(rename_all = "UPPERCASE")]
pub enum FunctionHealth {
    /// Invocations are refused.
    Stopped,
    /// It has no instance, and starts one for the next invocation.
    Idle,
    /// Its first instance is not ready yet.
    Starting,
    Ready,
    /// Its instances do not come up.
    Failing,
}

/// Instances by what they do, `(uuuuuu)` on the bus.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct InstanceCounts {
    pub starting: u32,
    pub busy: u32,
    pub idle: u32,
    pub frozen: u32,
    /// Of a version that was replaced, finishing what they run.
    pub draining: u32,
    pub ending: u32,
}

/// The properties of a `Function` object. What is counted is counted since the daemon started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, DeserializeDict, Type)]
#[zbus(signature = "dict", rename_all = "PascalCase")]
pub struct FunctionProperties {
    pub name: String,
    pub arn: String,
    pub version: String,
    /// Alias to version.
    pub aliases: BTreeMap<String, String>,
    /// As Lambda calls it: `python3.11`.
    pub runtime: String,
    pub handler: String,
    pub pinned: bool,
    /// Milliseconds of one invocation.
    pub timeout: u64,
    /// Bytes that an instance may use.
    pub memory_size: u64,
    pub max_instances: u32,
    pub health: FunctionHealth,
    /// Why it is `FAILING`; else empty.
    pub last_error: String,
    /// When an instance is started again at the earliest; not set where it is not `FAILING`.
    pub next_retry: Moment,
    pub instances: InstanceCounts,
    /// Invocations that wait for an instance.
    pub waiting: u32,
    pub invocations: u64,
    /// Of these, those that ended in a function error, timeouts among them.
    pub errors: u64,
    pub timeouts: u64,
    /// Refused because concurrency, the line or the queue was used up.
    pub throttles: u64,
    pub cold_starts: u64,
    /// How many took at most so many microseconds and more than the bound before; bound 0: more than all bounds.
    /// Bounds that nothing fell below are left out.
    pub durations: Vec<(u64, u64)>,
    /// Microseconds of all together.
    pub duration_sum: u64,
    /// Asynchronous events that wait.
    pub queue_depth: u64,
    /// Since when the oldest of them waits; not set where none does.
    pub queue_oldest: Moment,
    pub dead_lettered: u64,
    /// As of when all of this is.
    pub counted: Moment,
}

/// The options of `Function.Invoke` and `InvokeFd`.
#[derive(Debug, Default, Clone, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "dict", rename_all = "kebab-case", deny_unknown_fields)]
pub struct InvokeOptions {
    /// `RequestResponse` (default), `Event`: queue it durably and do not wait, `DryRun`: run nothing.
    pub invocation_type: Option<String>,
    /// A version or an alias.
    pub qualifier: Option<String>,
    /// A JSON object for the function's `context.client_context`.
    pub client_context: Option<String>,
    pub trace_id: Option<String>,
    /// The last 4 KiB that it logs shall come with the answer.
    pub log_tail: Option<bool>,
}

/// What became of an invocation, `a{sv}` on the bus; a key is absent where it says nothing.
#[derive(Debug, Default, Clone, PartialEq, Eq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "dict", rename_all = "kebab-case")]
pub struct InvokeResult {
    pub request_id: Option<String>,
    /// Of the version that ran.
    pub executed_version: Option<String>,
    /// `Unhandled`: the payload is the error, as JSON.
    pub function_error: Option<String>,
    /// E.g. `Sandbox.Timedout`, or what the runtime calls it.
    pub error_type: Option<String>,
    /// Where the function said one.
    pub content_type: Option<String>,
    /// At most the last 4 KiB that it logged, where it was asked for.
    pub log_tail: Option<String>,
}

/// One line of what `Function.InvokeFd` answers, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerLine {
    /// A part of the payload that is text.
    Payload(String),
    /// A part of the payload that is not.
    PayloadBase64(String),
    /// The last line.
    Complete(Completion),
    /// The last line: it did not run, or the machine failed it. A D-Bus error; see [`Error::from_job`].
    Refused(JobError),
}

/// [`InvokeResult`] as JSON.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Completion {
    pub request_id: Option<String>,
    pub executed_version: Option<String>,
    pub function_error: Option<String>,
    pub error_type: Option<String>,
    pub content_type: Option<String>,
    pub log_tail: Option<String>,
}

/// One line of `Manager.ListFunctions`, `(ssso)` on the bus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct FunctionEntry {
    pub name: String,
    pub version: String,
    pub health: FunctionHealth,
    pub path: OwnedObjectPath,
}

#[proxy(
    interface = "io.hedgerow.Edge1.Function",
    default_service = "io.hedgerow.Edge1",
    assume_defaults = false
)]
pub trait Function {
    /// Runs it, or queues the event. Answers when the function has, so the caller needs a timeout to match.
    #[zbus(allow_interactive_auth)]
    fn invoke(
        &self,
        payload: &[u8],
        options: InvokeOptions,
    ) -> Result<(Vec<u8>, InvokeResult), Error>;

    /// The same with payloads of any size, and at once: the payload is read from the descriptor to its end, the answer
    /// comes as [`AnswerLine`]s.
    #[zbus(allow_interactive_auth)]
    fn invoke_fd(&self, payload: OwnedFd, options: InvokeOptions) -> Result<OwnedFd, Error>;

    #[zbus(property(emits_changed_signal = "const"))]
    fn name(&self) -> Result<String, Error>;
    #[zbus(property)]
    fn arn(&self) -> Result<String, Error>;
    #[zbus(property)]
    fn version(&self) -> Result<String, Error>;
    #[zbus(property)]
    fn aliases(&self) -> Result<BTreeMap<String, String>, Error>;
    #[zbus(property)]
    fn runtime(&self) -> Result<String, Error>;
    #[zbus(property)]
    fn handler(&self) -> Result<String, Error>;
    #[zbus(property)]
    fn pinned(&self) -> Result<bool, Error>;
    #[zbus(property)]
    fn timeout(&self) -> Result<u64, Error>;
    #[zbus(property)]
    fn memory_size(&self) -> Result<u64, Error>;
    #[zbus(property)]
    fn max_instances(&self) -> Result<u32, Error>;
    #[zbus(property)]
    fn health(&self) -> Result<FunctionHealth, Error>;
    #[zbus(property)]
    fn last_error(&self) -> Result<String, Error>;
    #[zbus(property)]
    fn next_retry(&self) -> Result<Moment, Error>;
    #[zbus(property)]
    fn instances(&self) -> Result<InstanceCounts, Error>;
    #[zbus(property)]
    fn waiting(&self) -> Result<u32, Error>;
    #[zbus(property)]
    fn invocations(&self) -> Result<u64, Error>;
    #[zbus(property)]
    fn errors(&self) -> Result<u64, Error>;
    #[zbus(property)]
    fn timeouts(&self) -> Result<u64, Error>;
    #[zbus(property)]
    fn throttles(&self) -> Result<u64, Error>;
    #[zbus(property)]
    fn cold_starts(&self) -> Result<u64, Error>;
    #[zbus(property)]
    fn durations(&self) -> Result<Vec<(u64, u64)>, Error>;
    #[zbus(property)]
    fn duration_sum(&self) -> Result<u64, Error>;
    #[zbus(property)]
    fn queue_depth(&self) -> Result<u64, Error>;
    #[zbus(property)]
    fn queue_oldest(&self) -> Result<Moment, Error>;
    #[zbus(property)]
    fn dead_lettered(&self) -> Result<u64, Error>;
    #[zbus(property)]
    fn counted(&self) -> Result<Moment, Error>;
}

impl FunctionHealth {
    /// As on the bus.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "STOPPED",
            Self::Idle => "IDLE",
            Self::Starting => "STARTING",
            Self::Ready => "READY",
            Self::Failing => "FAILING",
        }
    }
}

impl fmt::Display for FunctionHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl InstanceCounts {
    pub fn total(&self) -> u32 {
        let Self { starting, busy, idle, frozen, draining, ending } = self;
        starting + busy + idle + frozen + draining + ending
    }
}

impl From<Completion> for InvokeResult {
    fn from(completion: Completion) -> Self {
        let Completion {
            request_id,
            executed_version,
            function_error,
            error_type,
            content_type,
            log_tail,
        } = completion;
        Self { request_id, executed_version, function_error, error_type, content_type, log_tail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_health_reads_alike_on_the_bus_and_in_text() {
        for health in [
            FunctionHealth::Stopped,
            FunctionHealth::Idle,
            FunctionHealth::Starting,
            FunctionHealth::Ready,
            FunctionHealth::Failing,
        ] {
            assert_eq!(serde_json::to_string(&health).unwrap(), format!("\"{health}\""));
        }
    }
}
