//! One component's listening socket and the sessions on it.
//!
//! ```text
//! accepted ── CONNECT, right token, right uid ──► open ── EOF, error, stop ──► closed
//!     │ anything else                               │ a frame that breaks the protocol
//!     ▼                                             ▼
//!  refusal, or PROTOCOL_ERROR ──────────────► lingering ── EOF or deadline ──► closed
//! ```

mod connection;
mod conversation;
mod dispatch;
mod receiver;

use self::connection::Connection;
use crate::budget::Budget;
use crate::hub::Hub;
use crate::principal::Principal;
use crate::services::Services;
use crate::token::Token;
use std::future::Future;
use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

/// Pause after a failed `accept`: the process is out of descriptors or memory, and asking again at
/// once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Who is behind a listening socket, and how a peer proves it.
#[derive(Debug)]
pub struct Identity {
    pub principal: Principal,
    pub token: Token,
    /// Uids that a peer may have (`SO_PEERCRED`): the component's own range on the host.
    pub uids: Range<u32>,
}

/// What every connection of a listener shares.
#[derive(Debug)]
struct Shared<S> {
    identity: Arc<Identity>,
    hub: Hub,
    services: Arc<S>,
    /// Memory of frames that are being received, and of messages that are queued.
    received: Arc<Budget>,
    queued: Arc<Budget>,
}

/// Serves one component's own listening socket until `stop` resolves, or the returned future is
/// dropped; its sessions are closed then.
pub async fn serve<S: Services>(
    listener: UnixListener,
    identity: Identity,
    hub: Hub,
    services: Arc<S>,
    stop: impl Future<Output = ()>,
) {
    let (most, memory) = (hub.limits().connections, hub.limits().peer_bytes);
    let (received, queued) = (Budget::new(memory), Budget::new(memory));
    let identity = Arc::new(identity);
    let _admitted = hub.admit(&identity);
    let shared = Arc::new(Shared { identity, hub, services, received, queued });
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() < most => {
                    connections.spawn(converse(stream, Arc::clone(&shared)));
                }
                Ok(_) => {
                    let who = &shared.identity.principal;
                    tracing::debug!(%who, most, "connection closed: there are enough already");
                    // Peers that come as fast as they are turned away must not keep others waiting.
                    tokio::task::yield_now().await;
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept an IPC connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    connections.shutdown().await;
}

async fn converse<S: Services>(stream: UnixStream, shared: Arc<Shared<S>>) {
    let who = shared.identity.principal.clone();
    let end = Connection::new(stream, shared).run().await;
    tracing::debug!(%who, %end, "IPC connection closed");
}
