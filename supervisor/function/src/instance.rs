//! What this room asks of those who can make fences.

use std::fmt;
use std::future::Future;

use tokio::sync::oneshot;

use crate::{FunctionSpec, InstanceLink, LogTail};

/// Tells the instances of one daemon's life apart; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceId(pub u64);

/// Makes and ends instances. Every method may be called for several instances at once.
pub trait Instances: fmt::Debug + Send + Sync + 'static {
    /// Opens a fence whose loopback has the Runtime API's listener, serves the Runtime API there over the link, and
    /// starts the runtime in it. It has a deadline of its own, so that it never hangs. Where it fails, [`Self::close`]
    /// follows as it does else.
    ///
    /// The server is not to be aborted, not even by [`Self::close`]: what the runtime sent before it ended is still to be
    /// read, and a response that is cut off must say so. With its process the connections end, and after
    /// [`InstanceLink::closed`] no other one comes.
    fn open(
        &self,
        spec: &FunctionSpec,
        link: InstanceLink,
    ) -> impl Future<Output = Result<Instance, OpenError>> + Send;

    /// Stops all of it where it is (cgroup freezer), or will have done so before a later [`Self::thaw`]. An error says that
    /// it is not frozen and will not be. To freeze what is frozen succeeds.
    fn freeze(&self, id: InstanceId) -> impl Future<Output = Result<(), OpenError>> + Send;

    fn thaw(&self, id: InstanceId) -> impl Future<Output = Result<(), OpenError>> + Send;

    /// Kills what is left of it and removes everything; returns when nothing is left, however long that takes. Of what is
    /// gone too, and while a freeze or thaw of it is under way.
    fn close(&self, id: InstanceId) -> impl Future<Output = ()> + Send;

    fn usage(&self, id: InstanceId) -> impl Future<Output = Option<Usage>> + Send;

    /// Memory is short: gives back what is kept for instances that nobody has asked for yet, and keeps none for a while.
    /// Whether there was anything.
    fn give_back(&self) -> bool {
        false
    }

    /// A line of ours in the function's log.
    fn log(&self, function: &str, line: &str);
}

/// An open fence with a runtime that has just been started.
#[derive(Debug)]
pub struct Instance {
    /// Told once, when the runtime's process has exited or the fence is gone.
    pub ended: oneshot::Receiver<Ended>,
    /// Gets what the function writes, as it comes.
    pub log_tail: LogTail,
}

/// How a runtime ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    Exited(i32),
    Signalled(i32),
    /// The kernel's OOM killer ended a process of it.
    OutOfMemory,
    /// The fence or the launcher is gone.
    Gone(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Bytes charged now.
    pub memory: u64,
    /// The most bytes that were ever charged.
    pub peak_memory: u64,
    /// Microseconds of CPU time since it was opened.
    pub cpu_usec: u64,
}

/// What was wrong, and what to do, for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The function's own fault: no such interpreter, no `bootstrap` …
    #[error("{0}")]
    Function(String),
    /// The machine's: the launcher is away, no room …
    #[error("{0}")]
    Machine(String),
}
