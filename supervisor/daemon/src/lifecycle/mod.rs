//! The life of one component as a pure, total function: [`Machine::step`]`(event, conditions) -> actions`.
//!
//! No clock and no I/O inside. The driver carries the actions out and reports what came of them as events.
//!
//! ```text
//!                     ┌──────────────── restart, retry after back-off ───────────────┐
//!                     ▼                                                              │
//!  NEW  ── Opening(Install) ── Installing ──▶ INSTALLED ── Opening(Start) ──▶ STARTING ──▶ RUNNING
//!   ▲            │                 │        (waits for its     │     (Startup,│  │           │
//!   │            │                 │         dependencies)      │    Launching)│  │           │
//!   │            ▼ fault           ▼ fault                      ▼ fault        ▼  │ goal      │ goal, exit 0
//!   │        ┌──────────── teardown: Recovering ─▶ ShuttingDown ─▶ Terminating ─▶ Closing ◀────┘
//!   │        │ (published as ERRORED after a fault, as STOPPING otherwise; only a fault recovers)
//!   │        ├─▶ ERRORED ── back-off over, reset ──▶ NEW / INSTALLED
//!   └────────┤   too many faults while a deployment waits ─▶ BROKEN ── longest back-off over, reset ─▶ NEW
//!            ├─▶ FINISHED ── restart ─▶ INSTALLED
//!            └─▶ Opening(Uninstall) ── Uninstalling ── teardown ─▶ Removed
//! ```

mod event;
mod machine;
mod moves;
mod restart;
mod state;
mod steps;
mod table;
#[cfg(test)]
mod tests;

pub use event::{Action, Blame, Event, Goal, StepNews, Timer};
pub use machine::{Conditions, Machine};
pub use restart::{Failures, RestartPolicy};
pub use state::{Cause, Purpose, Source, State};
pub use steps::{StepKind, Steps};

use std::time::Duration;

/// Time between SIGTERM and SIGKILL (Greengrass: `gracefulShutdownTimeout`).
pub const GRACE: Duration = Duration::from_secs(5);
