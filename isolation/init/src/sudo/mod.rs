//! `sudo` inside a fence: the same program under another name asks process 1 to run a command as another user of the
//! fence. Anybody in the fence may: its root is only root there.
//!
//! A set-user-id program could not do it: no process of a fence can gain privileges.
//!
//! ```text
//!  step: sudo CMD ── Ask, stdin stdout stderr cwd ──► hedgerow-init ── fork ──► CMD, as root
//!        │  ◄───────────── Exited(status) ──────────        │  ◄── SIGCHLD ──────┘
//!        └── Signal(n) ────────────────────────────►        └── kill ─────────►
//! ```

pub mod arguments;
pub mod client;
pub mod server;

use std::collections::BTreeMap;

use hedgerow_isolation::protocol::ExitStatus;
use serde::{Deserialize, Serialize};

/// Where process 1 listens.
pub const SOCKET: &str = "/run/hedgerow/sudo.socket";

/// Beside the first: stdin, stdout, stderr, the working directory.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    Run {
        order: arguments::Order,
        environment: BTreeMap<String, String>,
    },
    /// To the command.
    Signal(i32),
}

#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    /// Nothing runs.
    Refused(String),
    /// The command is in the background.
    Left,
    Exited(ExitStatus),
}
