//! An invocation as long as the function has it.

use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::{Completed, Invocation, InvokeError};

type Reply = Result<Completed, InvokeError>;

#[derive(Debug)]
pub(crate) struct Call {
    pub invocation: Invocation,
    pub qualifier: Option<String>,
    /// Refused when it has waited for so long: without, as long as a cold start and one invocation may take.
    pub patience: Option<Duration>,
    /// Taken when the answer has gone out; that of a stream goes out when it begins.
    reply: Option<oneshot::Sender<Reply>>,
    /// Of the memory that all invocations share.
    _room: OwnedSemaphorePermit,
}

impl Call {
    pub fn new(
        invocation: Invocation,
        qualifier: Option<String>,
        patience: Option<Duration>,
        reply: oneshot::Sender<Reply>,
        room: OwnedSemaphorePermit,
    ) -> Self {
        Self { invocation, qualifier, patience, reply: Some(reply), _room: room }
    }

    /// Nobody waits for its answer any more.
    pub fn is_abandoned(&self) -> bool {
        self.reply.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    pub fn take_reply(&mut self) -> Option<oneshot::Sender<Reply>> {
        self.reply.take()
    }

    pub fn reply(&mut self, reply: Reply) {
        if let Some(sender) = self.reply.take() {
            // A caller that went away does not want it.
            let _ = sender.send(reply);
        }
    }
}
