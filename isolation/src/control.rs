//! What hedgerow-launch and the hedgerow-init of a fence say to each other over the fence's control socket.
//! When the socket closes, the init ends and the kernel ends every process of the fence with it.

use serde::{Deserialize, Serialize};

use crate::plan::{Step, StepId};
use crate::protocol::ExitStatus;

/// Descriptor numbers that hedgerow-init finds open.
pub mod descriptor {
    /// The control socket.
    pub const CONTROL: i32 = 3;
    /// The seccomp filter of steps: a file of `struct sock_filter`.
    pub const FILTER: i32 = 4;
    /// How many follow stdin, stdout and stderr.
    pub const COUNT: i32 = 2;
}

/// Argument of hedgerow-init where the fence's root is the host's own: no filter judges what privileged steps call.
pub const REAL_ROOT: &std::ffi::CStr = c"--real-root";

/// Argument of hedgerow-init: privileged steps keep `CAP_NET_ADMIN`.
pub const NETWORK_ADMINISTRATION: &std::ffi::CStr = c"--network-administration";

/// hedgerow-init once more, inside every fence: it runs a command as the fence's root, see [`crate::control`]'s socket.
pub const SUDO: &str = "/run/hedgerow/sudo";

/// PATH of a step that brings none, and where its program is looked up.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Two descriptors: the write ends of the step's stdout and stderr.
    Start(Step),
    /// To one step's process, or to every process but the init.
    Signal { step: Option<StepId>, signal: i32 },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Report {
    /// The init is in place and takes commands.
    Ready,
    /// Sent by the step's own process before it executes the program, so that the kernel names its pid.
    Forked {
        step: StepId,
    },
    /// One descriptor: where the kernel asks what the filter of a program of this fence leaves to be decided, see
    /// seccomp_unotify(2). Sent by the program's own process.
    Filtered,
    /// The program runs.
    Started {
        step: StepId,
    },
    /// It does not: no process of the step is left.
    Failed {
        step: StepId,
        reason: String,
    },
    Exited {
        step: StepId,
        status: ExitStatus,
    },
    /// No child is left. Sent each time that becomes so, and in answer to a signal to all when it is so.
    Emptied,
}
