//! What the daemon answers.

use crate::model::{Operation, OperationError, Request, Response};
use crate::principal::Principal;
use std::future::Future;

/// The operations behind IPC. Publish/subscribe never reaches it, and every request that does has
/// been authorized.
pub trait Services: Send + Sync + 'static {
    /// Whether `operation` is answered by [`call`](Services::call); the others are answered by an
    /// error that says that this version does not provide them.
    fn provides(&self, operation: Operation) -> bool {
        matches!(
            operation,
            Operation::UpdateState
                | Operation::GetConfiguration
                | Operation::ListComponents
                | Operation::GetComponentDetails
        )
    }

    /// Answers one request with the response of the same operation. Other requests of the peer are
    /// answered meanwhile; when the peer hangs up or closes the stream, the future is dropped or its
    /// result ignored.
    fn call(
        &self,
        who: &Principal,
        request: Request,
    ) -> impl Future<Output = Result<Response, OperationError>> + Send;

    /// A peer has been accepted. Called on the peer's task: it must not block.
    fn session_opened(&self, who: &Principal);

    /// A peer that had been accepted is gone. It must not block either.
    fn session_closed(&self, who: &Principal);
}
