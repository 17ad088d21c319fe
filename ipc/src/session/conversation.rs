//! What a peer's frames mean: the handshake, then streams.

use super::Shared;
use super::receiver::{FrameHandler, ReceiveError};
use crate::limits::Limits;
use crate::model::{Event, Operation, OperationError, Response};
use crate::outbox::Outbox;
use crate::principal::Principal;
use crate::pubsub::broker::Dirty;
use crate::pubsub::{Filter, SubscriberId};
use crate::services::{Answer, Services};
use crate::wire::frame::Frame;
use crate::wire::rpc::{self, ACCEPTED, Kind, Message, RpcError, TERMINATE, VERSION};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinError, JoinSet};

/// Largest frame before the peer has shown its token.
const HANDSHAKE_BYTES: usize = 8 * 1024;

/// Room in a frame for all but the payload, generously.
const ENVELOPE: usize = 1024;

pub(super) struct Conversation<S: Services> {
    pub shared: Arc<Shared<S>>,
    pub outbox: Arc<Outbox>,
    pub streams: HashMap<i32, Stream>,
    /// Calls that [`Services`] has not answered yet.
    pub calls: JoinSet<Answered>,
    /// The next event of each subscription that [`Services`] serves.
    pub events: JoinSet<NextEvent>,
    /// Where this batch of frames has put messages.
    pub dirty: Dirty,
    uid: Option<u32>,
    /// The greatest stream id used; the peer counts upwards.
    last_stream: i32,
    open: Option<Open<S>>,
}

/// An unfinished stream.
pub(super) enum Stream {
    Call,
    /// Served by the broker.
    Topic(Filter, SubscriberId),
    /// Served by [`Services`]; ends the wait for its next event.
    Events(AbortHandle),
}

/// The end of a call: its stream and outcome.
pub(super) type Answered = (i32, Result<Answer, OperationError>);

/// A subscription that [`Services`] serves.
pub(super) struct Events {
    stream: i32,
    operation: Operation,
    channel: mpsc::Receiver<Event>,
}

/// `None`: there will be none any more.
pub(super) type NextEvent = (Events, Option<Event>);

/// The session that the daemon has been told of.
struct Open<S: Services> {
    services: Arc<S>,
    who: Principal,
}

impl<S: Services> Open<S> {
    fn new(services: Arc<S>, who: Principal) -> Open<S> {
        services.session_opened(&who);
        Open { services, who }
    }
}

impl<S: Services> Drop for Open<S> {
    fn drop(&mut self) {
        self.services.session_closed(&self.who);
    }
}

/// Why the conversation is over. The peer has been told.
#[derive(Debug, thiserror::Error)]
pub(super) enum Finish {
    #[error("refused: {0}")]
    Refused(&'static str),
    #[error(transparent)]
    Receive(#[from] ReceiveError),
    #[error(transparent)]
    Rpc(#[from] RpcError),
    #[error("the first message must be CONNECT")]
    NotConnect,
    #[error("a message of type {0:?} is not for a client to send")]
    Unexpected(Kind),
    #[error("stream {stream} does not follow stream {last}")]
    StreamOrder { stream: i32, last: i32 },
    #[error("stream {0} begins without an operation")]
    NoOperation(i32),
    #[error("an operation failed inside: {0}")]
    Panicked(JoinError),
}

impl<S: Services> FrameHandler for Conversation<S> {
    type Error = Finish;

    fn limit(&self) -> usize {
        let limit = self.limits().frame_bytes;
        if self.is_open() { limit } else { limit.min(HANDSHAKE_BYTES) }
    }

    fn handle(&mut self, frame: Frame<'_>) -> Result<(), Finish> {
        let message = Message::read(frame)?;
        if !self.is_open() {
            return self.connect(&message);
        }
        match message.kind {
            Kind::Application => self.stream_message(&message),
            // No operation has errors of the client's; it may still end the stream with one.
            Kind::ApplicationError => {
                if message.terminates() {
                    self.close_stream(message.stream);
                }
                Ok(())
            }
            Kind::Ping => {
                self.outbox.reply(|out| rpc::write_ping_response(out, &message));
                Ok(())
            }
            Kind::PingResponse => Ok(()),
            Kind::ProtocolError | Kind::InternalError => {
                let reason = String::from_utf8_lossy(message.frame.payload);
                let who = &self.shared.identity.principal;
                tracing::warn!(%who, %reason, "the IPC peer reports an error");
                Ok(())
            }
            Kind::Connect | Kind::ConnectAck => Err(Finish::Unexpected(message.kind)),
        }
    }
}

impl<S: Services> Conversation<S> {
    pub fn new(shared: Arc<Shared<S>>, outbox: Arc<Outbox>, uid: Option<u32>) -> Conversation<S> {
        Conversation {
            shared,
            outbox,
            streams: HashMap::new(),
            calls: JoinSet::new(),
            events: JoinSet::new(),
            dirty: Dirty::default(),
            uid,
            last_stream: 0,
            open: None,
        }
    }

    pub fn limits(&self) -> &Limits {
        self.shared.hub.limits()
    }

    /// Whether the handshake is through.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Writes what a batch of frames has brought: first to the subscribers, then to the peer.
    pub fn flush(&mut self) {
        self.dirty.flush();
        self.outbox.flush();
    }

    /// Tells the peer why it is over, where it can be told.
    pub fn tell(&self, finish: &Finish) {
        self.outbox.reply(|out| match finish {
            Finish::Refused(_) => rpc::write_bare(out, Kind::ConnectAck, 0, 0),
            Finish::Panicked(_) => {
                rpc::write_connection_error(out, Kind::InternalError, "internal failure");
            }
            broken => rpc::write_connection_error(out, Kind::ProtocolError, &broken.to_string()),
        });
        self.outbox.flush();
    }

    fn connect(&mut self, message: &Message<'_>) -> Result<(), Finish> {
        if message.kind != Kind::Connect {
            return Err(Finish::NotConnect);
        }
        if message.version != Some(VERSION) {
            return Err(Finish::Refused("the protocol version is not 0.1.0"));
        }
        let identity = &self.shared.identity;
        if !self.uid.is_some_and(|uid| identity.uids.contains(&uid)) {
            return Err(Finish::Refused("the peer's uid is not of this component"));
        }
        #[derive(Deserialize)]
        struct Payload<'a> {
            #[serde(borrow, rename = "authToken")]
            token: Cow<'a, str>,
        }
        let payload: Payload<'_> = serde_json::from_slice(message.frame.payload)
            .map_err(|_| Finish::Refused("the CONNECT payload has no authToken"))?;
        if !identity.token.matches(&payload.token) {
            return Err(Finish::Refused("the token is not of this component"));
        }
        let (services, who) = (Arc::clone(&self.shared.services), identity.principal.clone());
        self.open = Some(Open::new(services, who));
        self.outbox.reply(|out| rpc::write_bare(out, Kind::ConnectAck, ACCEPTED, 0));
        Ok(())
    }

    fn stream_message(&mut self, message: &Message<'_>) -> Result<(), Finish> {
        let (stream, last) = (message.stream, self.last_stream);
        match message.operation {
            Some(operation) if stream > last => {
                self.last_stream = stream;
                self.request(stream, operation, message.frame.payload);
                Ok(())
            }
            Some(_) => Err(Finish::StreamOrder { stream, last }),
            None if stream > last => Err(Finish::NoOperation(stream)),
            None => {
                // No operation takes a stream of messages, so anything but the end is left.
                if message.terminates() {
                    self.close_stream(stream);
                }
                Ok(())
            }
        }
    }

    fn close_stream(&mut self, stream: i32) {
        match self.streams.remove(&stream) {
            None | Some(Stream::Call) => {}
            Some(Stream::Topic(filter, id)) => {
                self.shared.hub.broker().unsubscribe(&filter, id);
                self.outbox.close_queue(stream);
            }
            Some(Stream::Events(next)) => next.abort(),
        }
    }

    /// Sends the outcome of a call, unless the peer has closed its stream.
    pub fn answer(&mut self, done: Result<Answered, JoinError>) -> Result<(), Finish> {
        let (stream, outcome) = done.map_err(Finish::Panicked)?;
        if self.streams.remove(&stream).is_none() {
            return Ok(());
        }
        match outcome {
            Ok(Answer::Once(response)) => self.reply(stream, Ok(response)),
            Ok(Answer::Subscribed(response, channel)) => {
                let operation = response.operation();
                self.begin(stream, response);
                self.await_event(Events { stream, operation, channel });
            }
            Err(error) => self.reply(stream, Err(error)),
        }
        self.outbox.flush();
        Ok(())
    }

    /// Appends the response that begins a subscription.
    pub fn begin(&self, stream: i32, response: Response) {
        let model_type = response.operation().response_type();
        // Nothing in these responses that JSON cannot carry.
        let json = response.to_json().unwrap_or_else(|_| b"{}".to_vec());
        self.outbox
            .reply(|out| rpc::write_json(out, Kind::Application, 0, stream, model_type, &json));
    }

    /// Sends an event, unless the peer has closed the stream, and waits for the next one.
    pub fn event(&mut self, next: Result<NextEvent, JoinError>) -> Result<(), Finish> {
        let (events, event) = match next {
            Ok(next) => next,
            Err(error) if error.is_cancelled() => return Ok(()),
            Err(error) => return Err(Finish::Panicked(error)),
        };
        let stream = events.stream;
        if !self.streams.contains_key(&stream) {
            return Ok(());
        }
        let model_type = events.operation.event_type().unwrap_or_default();
        match event.and_then(|event| self.event_payload(stream, &event)) {
            Some(payload) => {
                self.outbox.event(|out| {
                    rpc::write_json(out, Kind::Application, 0, stream, model_type, &payload);
                });
                self.await_event(events);
            }
            None => {
                self.streams.remove(&stream);
                self.outbox.event(|out| rpc::write_bare(out, Kind::Application, TERMINATE, stream));
            }
        }
        self.outbox.flush();
        Ok(())
    }

    /// `None` where it cannot be sent, which ends the subscription: it would not be whole any more.
    fn event_payload(&self, stream: i32, event: &Event) -> Option<Vec<u8>> {
        let limit = self.limits().frame_bytes.saturating_sub(ENVELOPE);
        let payload = serde_json::to_vec(event).ok().filter(|payload| payload.len() <= limit);
        if payload.is_none() {
            let who = &self.shared.identity.principal;
            tracing::warn!(%who, stream, "an event is too large for a frame; its stream is ended");
        }
        payload
    }

    fn await_event(&mut self, mut events: Events) {
        let stream = events.stream;
        let next = self.events.spawn(async move {
            let event = events.channel.recv().await;
            (events, event)
        });
        self.streams.insert(stream, Stream::Events(next));
    }

    /// Forgets the streams that were ended from this side.
    pub fn forget_ended(&mut self) {
        for stream in self.outbox.take_ended() {
            self.streams.remove(&stream);
        }
    }

    /// Appends the reply that ends a stream.
    pub fn reply(&self, stream: i32, outcome: Result<Response, OperationError>) {
        let outcome = outcome.and_then(|response| {
            let payload = response.to_json().map_err(|e| OperationError::service(e.to_string()))?;
            if payload.len() > self.limits().frame_bytes.saturating_sub(ENVELOPE) {
                return Err(OperationError::service("the response is too large for a frame"));
            }
            Ok((response.operation().response_type(), payload))
        });
        self.outbox.reply(|out| match outcome {
            Ok((model_type, payload)) => {
                rpc::write_json(out, Kind::Application, TERMINATE, stream, model_type, &payload);
            }
            Err(error) => {
                let (kind, model_type) = (Kind::ApplicationError, error.kind().model_type());
                let payload = error.to_json().unwrap_or_else(|_| b"{}".to_vec());
                rpc::write_json(out, kind, TERMINATE, stream, model_type, &payload);
            }
        });
    }
}

impl<S: Services> Drop for Conversation<S> {
    fn drop(&mut self) {
        let mut broker = self.shared.hub.broker();
        for stream in self.streams.values() {
            match stream {
                Stream::Topic(filter, id) => broker.unsubscribe(filter, *id),
                Stream::Call | Stream::Events(_) => {}
            }
        }
    }
}
