//! HTTP as it is served to whoever is not trusted: what a peer says is bounded in bytes and time.

pub(crate) mod body;
pub(crate) mod connection;
mod pace;

use std::time::Duration;

pub(crate) use pace::Pace;
pub use pace::{BODY_DEADLINE, HEAD_DEADLINE};

/// What differs between those who are served.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes of a request's line and headers.
    pub head: usize,
    /// How long a connection may ask nothing.
    pub idle: Option<Duration>,
}
