//! What this room asks of those who can store events.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

/// One event. Numbers of a function rise in the order in which its events came.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EventKey {
    pub function: Arc<str>,
    pub number: u64,
}

/// An event that waited when the daemon ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub key: EventKey,
    pub note: Vec<u8>,
    /// Bytes of the event.
    pub size: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("no space is left on the device; make room and try again")]
    Full,
    #[error(transparent)]
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

/// Keeps events until they are removed. What one call is given is kept whole or not at all.
pub trait EventLog: fmt::Debug + Send + Sync + 'static {
    /// Everything that waits.
    fn load(&self) -> impl Future<Output = Result<Vec<Stored>, LogError>> + Send;

    /// Durable when it returns. Dropping the future does not take it back.
    fn append(
        &self,
        key: EventKey,
        event: Vec<u8>,
        note: Vec<u8>,
    ) -> impl Future<Output = Result<(), LogError>> + Send;

    fn read(&self, key: EventKey)
    -> impl Future<Output = Result<Option<Vec<u8>>, LogError>> + Send;

    /// Replaces what is known of an event. Durable when it returns, which may take a moment: it waits for company.
    fn note(
        &self,
        key: EventKey,
        note: Vec<u8>,
    ) -> impl Future<Output = Result<(), LogError>> + Send;

    /// Durable when it returns, which may take a moment. One that fails is made up for with a later change.
    fn remove(&self, key: EventKey) -> impl Future<Output = Result<(), LogError>> + Send;

    /// Removes the events of a function that have a smaller number.
    fn clear(
        &self,
        function: Arc<str>,
        before: u64,
    ) -> impl Future<Output = Result<(), LogError>> + Send;
}
