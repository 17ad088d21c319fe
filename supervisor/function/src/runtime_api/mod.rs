//! The Lambda Runtime API of one instance: `2018-06-01`, as its documentation and the runtimes' own clients have it.
//!
//! ```text
//! runtime ── HTTP ──► connection ──► route ──► Api ──► InstanceLink ──► the function's pool
//! ```
//!
//! Whoever speaks here is foreign code: what it sends is bounded in bytes and time, connections are bounded in number,
//! and nothing but what it is told to work on can be answered. Some of its clients end their process at any status that
//! is not a success (Python's), so that refusals are for those who broke the protocol.

mod api;
pub(crate) mod body;
pub(crate) mod connection;
mod context;
mod failure;
mod pace;
mod reply;
mod route;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::InstanceLink;
use api::Api;

pub use body::{INIT_ERROR_LIMIT, RESPONSE_LIMIT, STREAM_LIMIT};
pub(crate) use pace::Pace;
pub use pace::{BODY_DEADLINE, HEAD_DEADLINE};

/// Connections of one instance at once; more wait to be accepted. The runtimes' own clients use one or two.
pub const CONNECTIONS: usize = 16;

/// Where no descriptor is free, one may be soon.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves the Runtime API to whoever connects to the listener, and does not end. Dropping it closes all connections, and
/// streams that are not complete end with a [`crate::StreamFault::Cut`].
pub async fn serve(listener: TcpListener, link: InstanceLink) {
    let api = Arc::new(Api::new(link));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    // Without it the work goes slower, not wrong.
                    let _ = stream.set_nodelay(true);
                    connections.spawn(converse(stream, Arc::clone(&api)));
                }
                // Of one connection that failed as it came, or of the machine's limits.
                Err(_) => sleep(ACCEPT_PAUSE).await,
            }
        }
    }
}

/// Serves it over one connection, to its end.
pub async fn serve_connection<S>(stream: S, link: InstanceLink)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    converse(stream, Arc::new(Api::new(link))).await;
}

/// A runtime that waits for work says nothing for as long as there is none.
async fn converse<S>(stream: S, api: Arc<Api>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    connection::serve(stream, None, move |request, pace| {
        let api = Arc::clone(&api);
        async move { api.answer(request, &pace).await }
    })
    .await;
}
