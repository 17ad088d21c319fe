//! The Lambda Runtime API of one instance: `2018-06-01`, as its documentation and the runtimes' own clients have it.
//!
//! ```text
//! runtime ── HTTP ──► connection ──► route ──► Api ──► InstanceLink ──► the function's pool
//! its code, with Greengrass v1's SDK ──► v1::Caller
//! ```
//!
//! Whoever speaks here is foreign code: what it sends is bounded in bytes and time, connections are bounded in number,
//! and nothing but what it is told to work on can be answered. Some of its clients end their process at any status that
//! is not a success (Python's), so that refusals are for those who broke the protocol.

mod api;
mod context;
mod failure;
mod forward;
mod reply;
mod route;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::http::{Limits, connection};
use crate::{InstanceLink, v1};
use api::Api;

pub use crate::http::{BODY_DEADLINE, HEAD_DEADLINE};
pub use forward::STREAM_LIMIT;

/// Connections of one instance at once; more wait to be accepted. The runtimes' own clients use one or two; the others
/// are calls of its code.
pub const CONNECTIONS: usize = v1::CALLS + 8;

/// Bytes of a response or of a failure's description, as in Lambda.
pub const RESPONSE_LIMIT: usize = 6 * 1024 * 1024 + 100;

/// Bytes of a description why a runtime could not start. It goes into the function's log.
pub const INIT_ERROR_LIMIT: usize = 256 * 1024;

/// Connections of one instance that may have headers of [`LONG_HEAD`]: those that came first, which the runtime keeps.
pub const LONG_HEADS: usize = 4;

/// Bytes of a request's line and headers: runtimes tell of a failure's causes in a header of up to 1 MiB.
pub const LONG_HEAD: usize = (1 << 20) + HEAD;

/// The same on further connections.
pub const HEAD: usize = 64 << 10;

/// Where no descriptor is free, one may be soon.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves the Runtime API to whoever connects to the listener, and does not end. Dropping it closes all connections, and
/// streams that are not complete end with a [`crate::StreamFault::Cut`]. `caller`: answers the SDK of Greengrass v1.
pub async fn serve(listener: TcpListener, link: InstanceLink, caller: Option<v1::Caller>) {
    let api = Arc::new(Api::new(link, caller));
    let mut connections = JoinSet::new();
    let long_heads = Arc::new(Semaphore::new(LONG_HEADS));
    loop {
        tokio::select! {
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    // Without it the work goes slower, not wrong.
                    let _ = stream.set_nodelay(true);
                    let long_head = Arc::clone(&long_heads).try_acquire_owned().ok();
                    connections.spawn(converse(stream, long_head, Arc::clone(&api)));
                }
                // Of one connection that failed as it came, or of the machine's limits.
                Err(_) => sleep(ACCEPT_PAUSE).await,
            }
        }
    }
}

/// Serves it over one connection, to its end.
pub async fn serve_connection<S>(stream: S, link: InstanceLink, caller: Option<v1::Caller>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let long_head = Arc::new(Semaphore::new(1)).try_acquire_owned().ok();
    converse(stream, long_head, Arc::new(Api::new(link, caller))).await;
}

async fn converse<S>(stream: S, long_head: Option<OwnedSemaphorePermit>, api: Arc<Api>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let head = if long_head.is_some() { LONG_HEAD } else { HEAD };
    // One that waits for work says nothing for as long as there is none.
    connection::serve(stream, Limits { head, idle: None }, move |request, pace| {
        let api = Arc::clone(&api);
        async move { api.answer(request, &pace).await }
    })
    .await;
}
