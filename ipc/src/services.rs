//! What the daemon answers.

use crate::model::{Event, Operation, OperationError, Request, Response};
use crate::principal::Principal;
use std::future::Future;
use tokio::sync::mpsc;

/// The outcome of a request that is not refused.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // short-lived, one at a time
pub enum Answer {
    /// All there is to say.
    Once(Response),
    /// The beginning of a subscription. The peer gets the events after the response, one at a time as it reads them;
    /// when the other end of the channel is dropped, its stream ends, and when its stream ends, the channel closes.
    Subscribed(Response, mpsc::Receiver<Event>),
}

impl From<Response> for Answer {
    fn from(response: Response) -> Answer {
        Answer::Once(response)
    }
}

/// The operations behind IPC. Publish/subscribe never reaches it, and every request that does has been authorized,
/// save that whose configuration a component may read is asked of the [`Hub`](crate::Hub) here: what the component
/// itself is may entitle it.
pub trait Services: Send + Sync + 'static {
    /// What `operation` needs and this device does not have; where it needs something, the request is refused with
    /// that before it is looked at.
    fn missing(&self, operation: Operation) -> Option<&'static str>;

    /// Answers one request. Other requests of the peer are answered meanwhile; when the peer hangs up, the future is
    /// dropped; when it closes the stream, its result is ignored.
    fn call(
        &self,
        who: &Principal,
        request: Request,
    ) -> impl Future<Output = Result<Answer, OperationError>> + Send;

    /// A peer has been accepted. Called on the peer's task: it must not block.
    fn session_opened(&self, who: &Principal);

    /// A peer that had been accepted is gone. It must not block either.
    fn session_closed(&self, who: &Principal);
}
