//! What the bus asks of the daemon.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use hedgerow_api::{ComponentState, ConfigurationLeaf, Error, Moment};
use hedgerow_function::{Completed, FunctionSpec, Invocation, InvokeError, RequestId, Target};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;

use super::Caller;

/// What `Manager.Deploy` was given: a document, and directories that are directories, to be read beneath and without
/// following links out.
pub use crate::deployment::{Change, Request as DeployRequest};
/// A deployment, a function and a job, as their objects show them.
pub use hedgerow_api::{
    DeploymentProperties as DeploymentView, FunctionProperties as FunctionView,
    JobProperties as JobView,
};

/// The daemon, as the bus sees it.
///
/// Every call answers soon: what takes long becomes a job. A job is in the snapshot before its id is
/// returned, and stays there for [`hedgerow_api::JOB_KEPT`] after it has finished. Callers are already
/// authorized to call at all; what they may publish or read is the control's to decide.
pub trait Control: Send + Sync + 'static {
    type Subscription: Subscription;

    /// All that the object tree shows, and its changes. Intermediate values may be skipped.
    fn changes(&self) -> watch::Receiver<Snapshot>;

    /// What components use now, by name; those without a fence may be left out. Asked while the tree is
    /// locked: it must not itself wait for the bus.
    fn loads(&self) -> impl Future<Output = BTreeMap<String, Load>> + Send;

    fn deploy(
        &self,
        caller: Caller,
        request: DeployRequest,
    ) -> impl Future<Output = Result<JobId, Error>> + Send;

    /// What [`Control::deploy`] of the same request would do; nothing changes.
    fn plan(
        &self,
        caller: Caller,
        request: DeployRequest,
    ) -> impl Future<Output = Result<Value, Error>> + Send;

    /// Why a component sees and may do what it does; of the machine alone where `component` is empty.
    fn explain(
        &self,
        caller: Caller,
        component: &str,
    ) -> impl Future<Output = Result<Value, Error>> + Send;

    fn cancel(
        &self,
        caller: Caller,
        deployment: &str,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    fn start(
        &self,
        caller: Caller,
        component: &str,
    ) -> impl Future<Output = Result<JobId, Error>> + Send;

    fn stop(
        &self,
        caller: Caller,
        component: &str,
    ) -> impl Future<Output = Result<JobId, Error>> + Send;

    fn restart(
        &self,
        caller: Caller,
        component: &str,
    ) -> impl Future<Output = Result<JobId, Error>> + Send;

    /// For so many seconds, each time anew: see [`crate::observations`].
    fn observe(
        &self,
        caller: Caller,
        component: &str,
        seconds: u32,
    ) -> impl Future<Output = Result<JobId, Error>> + Send;

    /// What the last observation found.
    fn observation(
        &self,
        caller: Caller,
        component: &str,
    ) -> impl Future<Output = Result<Value, Error>> + Send;

    /// `pause`: freeze it, else thaw it. Done when it answers; to do it twice is no error.
    fn pause(
        &self,
        caller: Caller,
        component: &str,
        pause: bool,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Forgets its failures, and tries it again at once.
    fn reset(
        &self,
        caller: Caller,
        component: &str,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// The value at a JSON pointer, and where its leaves came from.
    fn configuration(
        &self,
        caller: Caller,
        component: &str,
        pointer: &str,
    ) -> impl Future<Output = Result<(Value, Vec<ConfigurationLeaf>), Error>> + Send;

    fn recipe(
        &self,
        caller: Caller,
        component: &str,
    ) -> impl Future<Output = Result<Value, Error>> + Send;

    /// The read end of a stream of the log: its last `lines` lines (0: all that is kept), then what comes.
    fn open_log(
        &self,
        caller: Caller,
        component: &str,
        follow: bool,
        lines: u32,
    ) -> impl Future<Output = Result<OwnedFd, Error>> + Send;

    /// `payload` is at most [`hedgerow_api::MAX_PAYLOAD`] bytes and, with `json`, a JSON text.
    fn publish(
        &self,
        caller: Caller,
        topic: &str,
        payload: Vec<u8>,
        json: bool,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    fn subscribe(
        &self,
        caller: Caller,
        filter: &str,
    ) -> impl Future<Output = Result<Self::Subscription, Error>> + Send;

    fn find_function(&self, target: &Target) -> Result<Arc<FunctionSpec>, InvokeError>;

    /// Answers when the function has: the only call that may take long.
    fn invoke(
        &self,
        caller: Caller,
        target: &Target,
        invocation: Invocation,
    ) -> impl Future<Output = Result<Completed, InvokeError>> + Send;

    /// The event is durable when this returns.
    fn enqueue(
        &self,
        caller: Caller,
        target: &Target,
        invocation: Invocation,
    ) -> impl Future<Output = Result<RequestId, InvokeError>> + Send;
}

/// Messages of one filter, through a bounded queue; dropping it unsubscribes.
pub trait Subscription: Send + 'static {
    /// The next message; `None` when the broker has ended the subscription.
    fn next(&mut self) -> impl Future<Output = Option<Delivery>> + Send;
}

/// One message for a subscriber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub topic: String,
    pub payload: Vec<u8>,
    /// Published as JSON.
    pub json: bool,
    /// Who published: a component's name, or `user:<uid>`.
    pub source: String,
    /// How many messages before this one this subscriber lost because it was slow.
    pub lost: u64,
}

/// The number of a job, in order of creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct JobId(pub u64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// All that the object tree shows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// By name.
    pub components: BTreeMap<String, ComponentView>,
    /// By name.
    pub functions: BTreeMap<String, FunctionView>,
    pub jobs: BTreeMap<JobId, JobView>,
    /// By id.
    pub deployments: BTreeMap<String, DeploymentView>,
}

/// What a component uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Bytes charged to its fences.
    pub memory: u64,
    /// Microseconds that its fences have used since they were opened.
    pub cpu_time: u64,
    /// Processes and threads.
    pub tasks: u32,
}

/// A component, as its object shows it; its name is its key in the snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentView {
    pub version: String,
    pub state: ComponentState,
    pub state_changed: Moment,
    /// 0 where none runs.
    pub pid: u32,
    pub restarts: u32,
    /// Empty where nothing went wrong.
    pub last_error: String,
    /// Greengrass' codes for it.
    pub status_codes: Vec<String>,
    /// Not set where it is not waiting to be tried again.
    pub next_retry: Moment,
    pub paused: bool,
}
