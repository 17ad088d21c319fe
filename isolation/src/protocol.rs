//! What hedgerowd and hedgerow-launch say to each other: one JSON message per SOCK_SEQPACKET datagram,
//! descriptors beside it (SCM_RIGHTS).

use std::net::Ipv4Addr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::grants::Grant;
use crate::moment::Moment;
use crate::network::Range;
use crate::plan::{FenceId, IdRange, Limits, Plan, Step, StepId, User};

/// Both sides must have the same; the launcher answers another with [`ErrorKind::Version`].
pub const VERSION: u32 = 6;

/// Largest message in bytes, below the default `net.core.wmem_default` (212,992).
pub const MAX_MESSAGE: usize = 128 * 1024;

/// Largest note in bytes.
pub const MAX_NOTE: usize = 4096;

/// Largest plan in bytes of JSON, so that plan, note and steps of a [`FenceReport`] fit one message.
pub const MAX_PLAN: usize = 48 * 1024;

/// Most steps of one fence whose exit is not yet acknowledged.
pub const MAX_STEPS: usize = 64;

/// Most directories that one [`Request::Discard`] or [`Request::Measure`] names.
pub const MAX_DIRECTORIES: usize = 64;

/// How the names begin that directories have while they are removed: never half of one under its own name.
pub const DISCARDED: &str = "discarded-";

/// Bytes of a directory that has too many entries to be counted, or too deep ones.
pub const UNCOUNTABLE: u64 = u64::MAX;

/// Most fences at once.
pub const MAX_FENCES: usize = 1024;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Chosen by the daemon, echoed in the [`Reply`].
    pub serial: u64,
    pub request: Request,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// First message of a connection. The newest connection replaces any older one.
    Hello {
        version: u32,
    },
    /// Opens a fence. At most one descriptor: a listening socket for the launcher to keep for the daemon's
    /// successor. The note is the daemon's own, see [`Request::Note`]. The reply carries a listening socket for each of
    /// [`Plan::listeners`], in order; the launcher keeps duplicates.
    Open {
        plan: Box<Plan>,
        note: String,
    },
    /// Opens a fence that tells what it denies. One descriptor more than [`Request::Open`], the last: a
    /// SOCK_SEQPACKET socket, on which each message is a [`Told`](crate::observation::Told) until the fence is gone.
    OpenObserved {
        plan: Box<Plan>,
        note: String,
    },
    /// Starts a step. The reply carries the read ends of its stdout and stderr; the launcher keeps duplicates
    /// until the step's exit is acknowledged.
    Start {
        fence: FenceId,
        step: Step,
    },
    /// Sends a signal to one step's process, or (`None`) to every process of the fence but its init.
    Signal {
        fence: FenceId,
        step: Option<StepId>,
        signal: i32,
    },
    /// Kills what is left with SIGKILL and removes everything. The reply comes when nothing is left.
    /// Closing a fence that is not open succeeds.
    Close {
        fence: FenceId,
    },
    /// Replaces the fence's note: opaque text that the launcher hands to the daemon's successor.
    Note {
        fence: FenceId,
        note: String,
    },
    /// Hands back what the launcher kept. Descriptors: the listening socket if `Open` brought one, then those of
    /// [`Plan::listeners`] unless the fence has ended, then stdout and stderr of each step in the order of
    /// [`FenceReport::steps`].
    Adopt {
        fence: FenceId,
    },
    /// The step's exit is dealt with: forget it and its pipes.
    Acknowledge {
        fence: FenceId,
        step: StepId,
    },
    Usage {
        fence: FenceId,
    },
    /// What every open fence uses now, in one answer.
    Loads,
    /// What the machine offers, and how it is with a fence.
    Describe {
        fence: Option<FenceId>,
    },
    /// Stops every process of the fence where it is, until [`Request::Thaw`]. Meanwhile no step can be started and
    /// no signal sent; `Close` works. Freezing what is frozen succeeds.
    Freeze {
        fence: FenceId,
    },
    Thaw {
        fence: FenceId,
    },
    /// Replaces the limits of an open fence, and those in its plan.
    Limit {
        fence: FenceId,
        limits: Limits,
    },
    /// Removes directories of [`crate::plan::Base::State`] with all that is in them, whoever in a fence owns it.
    /// What is not there counts as removed. Refused while an open fence uses one of them. The reply comes when they
    /// are gone. A removal that is cut short leaves [`DISCARDED`] beside the directory, to be discarded as well.
    Discard {
        sources: Vec<PathBuf>,
    },
    /// Counts the bytes on disk of directories of [`crate::plan::Base::State`] with all that is in them. What is not
    /// there counts as empty, what is out of proportion ([`UNCOUNTABLE`]) as that. One request at a time.
    Measure {
        sources: Vec<PathBuf>,
    },
    /// Opens a regular file or a directory for reading, as `user` of the fence would: no link leads out of the
    /// fence's root, and what that user may not read is refused. The reply carries the descriptor.
    OpenInFence {
        fence: FenceId,
        /// Absolute, inside the fence.
        path: PathBuf,
        user: User,
    },
    /// The daemon stops in order. A launcher that lingers for daemons ends at once, every fence with it, and the
    /// end of the connection is its answer; another launcher answers and stays.
    Farewell,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Message {
    Reply { serial: u64, result: Result<Response, Error> },
    Event(Event),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Response {
    Done,
    /// The fence is open.
    Open {
        /// The host's ids that the fence's users have: the plan's, or those that a grant gives it.
        users: IdRange,
    },
    /// The fences that are there, from before too: [`Request::Adopt`] tells about each (one message could
    /// not hold them all).
    Welcome {
        fences: Vec<FenceId>,
    },
    /// `pid` is the host's number of the step's process.
    Started {
        pid: i32,
    },
    Adopted {
        fence: FenceReport,
        listener: bool,
    },
    Usage(Usage),
    /// At most [`MAX_FENCES`], which fit one message; a fence that is just ending may be missing.
    Loads(Vec<(FenceId, Load)>),
    Described {
        machine: Machine,
        fence: Option<Box<Facts>>,
    },
    /// Of each directory in the order of the request.
    Measured {
        bytes: Vec<u64>,
    },
    /// One descriptor.
    Opened,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    StepExited {
        fence: FenceId,
        step: StepId,
        exit: Exit,
    },
    /// The fence's init has no child left: every step, and whatever the steps left in the background, has
    /// ended. Sent each time that becomes so, and again in answer to a `Signal` with no step when it is so
    /// already.
    Emptied {
        fence: FenceId,
    },
    /// Something that whoever looks after the component should know; for its log.
    Notice {
        fence: FenceId,
        text: String,
    },
    /// The fence's init is gone without a `Close`; every process in it is too. Steps that still ran are
    /// reported first, each with its own `StepExited`. The fence must still be closed.
    FenceEnded {
        fence: FenceId,
        cause: String,
        at: Moment,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    pub status: ExitStatus,
    /// Processes of the fence that the kernel's OOM killer ended between this step's start and its exit.
    pub oom_kills: u64,
    pub at: Moment,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExitStatus {
    Code(i32),
    Signal(i32),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceReport {
    pub plan: Box<Plan>,
    /// As in [`Response::Open`].
    pub users: IdRange,
    pub note: String,
    pub steps: Vec<StepReport>,
    pub frozen: bool,
    /// Set once the fence's init is gone.
    pub ended: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepReport {
    pub id: StepId,
    pub pid: i32,
    pub started: Moment,
    pub exit: Option<Exit>,
}

/// What this machine offers to fences.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Machine {
    /// Whether cgroup controllers are in the unified hierarchy (v2).
    pub unified_cgroups: bool,
    /// Addresses of fences, where there is NAT.
    pub range: Option<Range>,
    /// What is missing, and what follows from it; for people.
    pub lacks: Vec<String>,
}

/// How it is with one fence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    pub plan: Plan,
    /// What is granted to it now; a change counts when it is opened anew.
    pub grant: Grant,
    pub address: Option<Ipv4Addr>,
    /// What else is to be known of it; for people.
    pub notes: Vec<String>,
    /// Set once its init is gone.
    pub ended: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    pub load: Load,
    /// The most bytes that ever were charged; what is charged now where the kernel does not keep it (cgroup v2 before
    /// Linux 5.19).
    pub peak_memory: u64,
    /// OOM kills since the fence was opened.
    pub oom_kills: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Load {
    /// Bytes charged to the fence's memory cgroup now.
    pub memory: u64,
    /// Microseconds of CPU used since the fence was opened.
    pub cpu_usec: u64,
    /// Processes and threads, the fence's init among them.
    pub pids: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    pub kind: ErrorKind,
    /// What was wrong, where, and what to do, for people.
    pub message: String,
}

impl Error {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    Version,
    /// The plan asks for something that root-owned configuration does not grant.
    NotGranted,
    /// The message, plan or step is malformed, or beyond a limit.
    Invalid,
    AlreadyOpen,
    NoSuchFence,
    NoSuchStep,
    /// This machine cannot join a fence to the host's network: [`Network::Nat`](crate::plan::Network).
    NoNat,
    /// The step's program could not be executed.
    Exec,
    /// The kernel or the machine refused.
    System,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_fences_use_fits_one_message() {
        let fence = FenceId::try_from("f".repeat(32)).unwrap();
        let most = Load { memory: 1 << 43, cpu_usec: 1 << 50, pids: 1 << 22 };
        let result = Ok(Response::Loads(vec![(fence, most); MAX_FENCES]));
        let reply = Message::Reply { serial: u64::MAX, result };
        assert!(serde_json::to_vec(&reply).unwrap().len() <= MAX_MESSAGE);
    }
}
