//! Lambda functions in fences.
//!
//! ```text
//!  pool ── open ──► DaemonInstances ──► launcher: a fence, with a listener at its 127.0.0.1:9001
//!                         │                  ▲
//!                         │ Runtime API ─────┘ (hedgerow_function::runtime_api, on that listener)
//!                         │ the runtime's process: its command, environment, output
//!                         └── what all instances of a function share: [`Component`]
//! ```
//! An instance is a fence without a layer: all of them share the code, the layers and the runtime's client, read-only and
//! in memory once; each has a `/tmp` of its own. None outlives the daemon: see [`close_left`].

mod command;
mod component;
mod endpoint;
mod environment;
mod event_log;
mod events;
mod instances;
mod making;
mod open;
mod output;
mod prepared;
mod sources;
mod subscriptions;
#[cfg(test)]
mod tests;
mod v1;

pub use endpoint::serve as serve_endpoint;
pub use event_log::Observer;
pub use events::{rights, start as start_events};
pub use instances::{DaemonInstances, ProvideError, Provided};
pub use making::MakingError;
pub use open::{close as close_left, is_instance};
pub use v1::sdk;
