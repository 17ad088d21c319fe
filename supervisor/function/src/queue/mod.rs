//! Asynchronous events: stored before they are acknowledged, delivered at least once, given up when it is time.
//!
//! ```text
//!  enqueue ─▶ stored ─▶ ready ─▶ delivering ─┬─ answered ─────────────────────▶ removed
//!                         ▲                  ├─ failed ──▶ deferred ─┐  retries used up, too old
//!                         │                  └─ refused: the line     ├────────────▶ dead letter ─▶ removed
//!                         └──────────────────── pauses ◀──────────────┘
//! ```
//!
//! Each function has a [`Line`](line::Line), which decides, without clock and I/O; one task has all lines. An event is a
//! row of an [`EventLog`]: the line has its number and what is known of it, the payload is read when its turn comes.

mod age;
mod dead_letter;
mod event;
mod handle;
mod job;
mod line;
mod load;
mod log;
mod policy;
mod task;
#[cfg(test)]
pub(crate) mod tests;

pub use dead_letter::{Condition, DeadLetter, DeadLetters};
pub use handle::{EventQueue, Events, Receipt};
pub use log::{EventKey, EventLog, LogError, Stored};
