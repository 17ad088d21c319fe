//! The Lambda HTTP API, as far as those who invoke functions use it: `boto3.client("lambda", endpoint_url=…)`.
//!
//! ```text
//! client ── HTTP ──► connection ──► route ──► sigv4 ──► invoke | list ──► Functions, Events
//! ```
//!
//! A caller is whoever signs with a key that the administrator has listed (AWS Signature Version 4), or, where the
//! socket itself says who calls, whom its owner lets in. Connections, bodies and their pace are bounded.

mod access;
mod api;
mod canonical;
mod event_stream;
pub(crate) mod find;
pub(crate) mod invoke;
mod list;
pub(crate) mod read;
pub(crate) mod refusal;
pub(crate) mod reply;
pub(crate) mod route;
pub mod sigv4;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

pub use access::{Access, Credential};
use api::Api;
use refusal::Refusal;

use crate::http::{Limits, connection};
use crate::{Events, Functions};

/// Connections at once; more wait to be accepted.
pub const CONNECTIONS: usize = 64;

/// Peers that are told at once why they are not served; the others are only hung up on.
const REFUSALS: usize = 4;

/// A client's context has 3583 bytes, and what signs a request is short. A connection on which nobody with a right to
/// has asked anything yet is soon closed: it takes one of few places.
const LIMITS: Limits = Limits { head: 64 << 10, idle: Some(Duration::from_secs(5)) };

/// A caller's connection on which nothing was asked for so long is closed.
const IDLE: Duration = Duration::from_secs(60);

/// Bytes of all requests' bodies together that are being read: others wait.
const ROOM: usize = 24 * 1024 * 1024;

/// Where no descriptor is free, one may be soon.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A handle: cheap to clone.
#[derive(Debug, Clone)]
pub struct Endpoint {
    api: Arc<Api>,
    connections: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
}

/// Among the connections that are served at once.
#[derive(Debug)]
pub struct Place {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Endpoint {
    pub fn new(functions: Functions, events: Events, access: Access) -> Self {
        let room = Arc::new(Semaphore::new(ROOM));
        Self {
            api: Arc::new(Api { functions, events, access, room }),
            connections: Arc::new(Semaphore::new(CONNECTIONS)),
            refusals: Arc::new(Semaphore::new(REFUSALS)),
        }
    }

    /// Serves whoever connects, and does not end.
    pub async fn serve(self, listener: TcpListener) {
        loop {
            let place = self.vacancy().await;
            match listener.accept().await {
                Ok((stream, _)) => {
                    // Without it the work goes slower, not wrong.
                    let _ = stream.set_nodelay(true);
                    tokio::spawn(self.clone().serve_connection(stream, place));
                }
                // Of one connection that failed as it came, or of the machine's limits.
                Err(_) => sleep(ACCEPT_PAUSE).await,
            }
        }
    }

    /// Waits until one connection more can be served.
    pub async fn vacancy(&self) -> Place {
        // The semaphore is never closed.
        Place { _permit: Arc::clone(&self.connections).acquire_owned().await.ok() }
    }

    /// Serves one connection to its end.
    pub async fn serve_connection<S>(self, stream: S, _place: Place)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let api = &self.api;
        connection::serve(stream, LIMITS, move |request, pace| {
            let api = Arc::clone(api);
            async move { api.answer(request, &pace).await }
        })
        .await;
    }

    /// Tells a peer whom the socket should not have let in why it is not served. It gives its place up: others may have
    /// it meanwhile, however long this one takes.
    pub async fn refuse_connection<S>(self, stream: S, place: Place, why: String)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        drop(place);
        let Ok(_turn) = self.refusals.try_acquire() else { return };
        let refusal = Arc::new(Refusal::denied(why));
        connection::serve(stream, LIMITS, move |request: Request<Incoming>, pace| {
            let refusal = Arc::clone(&refusal);
            async move {
                let (head, mut body) = request.into_parts();
                read::throw_away(&head, &mut body, &pace).await;
                let mut reply = reply::refused(&refusal, "");
                reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                reply
            }
        })
        .await;
    }
}
