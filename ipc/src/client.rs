//! A small client: one connection, raw JSON, no reconnecting. It is made for tests, benchmarks and
//! tools; programs of components use the AWS SDKs.

use crate::model::Operation;
use crate::wire::frame::{self, Decoded, FrameError};
use crate::wire::rpc::{self, ACCEPTED, Kind, RpcError, TERMINATE};
use bytes::{Buf as _, BytesMut};
use serde_json::Value;
use std::collections::VecDeque;
use std::io;
use std::path::Path;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

/// Largest frame that the client accepts, in bytes.
const LIMIT: usize = 24 * 1024 * 1024;

/// Events that may arrive while a reply is waited for.
const BACKLOG: usize = 4096;

/// Why a call, or the connection, failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    #[error("the server refused the connection")]
    Refused,
    #[error("the server closed the connection")]
    Closed,
    #[error("{model_type}: {}", .payload.get("message").and_then(Value::as_str).unwrap_or("?"))]
    Operation { model_type: String, payload: Value },
    #[error("the server reports: {0}")]
    Server(String),
    #[error("the server broke the protocol: {0}")]
    Frame(#[from] FrameError),
    #[error("the server broke the protocol: {0}")]
    Rpc(#[from] RpcError),
    #[error("the server's JSON is none: {0}")]
    Json(#[from] serde_json::Error),
    #[error("more than {BACKLOG} events arrived while a reply was waited for")]
    Backlog,
}

/// A message from the server.
#[derive(Debug, Clone, PartialEq)]
pub struct Incoming {
    pub stream: i32,
    /// An error of the operation instead of a response or event.
    pub error: bool,
    /// The server ends the stream with it.
    pub last: bool,
    /// Shape of the payload; empty for a bare end of the stream.
    pub model_type: String,
    /// Null where there is no payload.
    pub payload: Value,
}

/// A connection to the IPC socket of a component.
#[derive(Debug)]
pub struct Client {
    socket: UnixStream,
    received: BytesMut,
    unsent: BytesMut,
    last_stream: i32,
    backlog: VecDeque<Incoming>,
}

impl Client {
    /// Connects and shows `token`.
    ///
    /// # Errors
    /// There is no such socket, or the server refuses.
    pub async fn connect(path: impl AsRef<Path>, token: &str) -> Result<Client, ClientError> {
        let socket = UnixStream::connect(path).await?;
        let mut client = Client {
            socket,
            received: BytesMut::new(),
            unsent: BytesMut::new(),
            last_stream: 0,
            backlog: VecDeque::new(),
        };
        let payload = serde_json::json!({ "authToken": token }).to_string();
        rpc::write_connect(&mut client.unsent, payload.as_bytes());
        client.flush().await?;
        loop {
            client.fill().await?;
            if let Some((length, accepted)) = handshake(&client.received)? {
                client.received.advance(length);
                return if accepted { Ok(client) } else { Err(ClientError::Refused) };
            }
        }
    }

    /// Sends a request and waits for its response; events that arrive meanwhile are kept for
    /// [`receive`](Client::receive).
    ///
    /// # Errors
    /// The operation answers an error, or the connection fails.
    pub async fn call(
        &mut self,
        operation: Operation,
        request: &Value,
    ) -> Result<Value, ClientError> {
        let stream = self.queue(operation, request);
        self.flush().await?;
        self.reply(stream).await
    }

    /// Subscribes to a topic filter; returns the stream on which its events arrive.
    ///
    /// # Errors
    /// As [`call`](Client::call).
    pub async fn subscribe(&mut self, filter: &str) -> Result<i32, ClientError> {
        let request = serde_json::json!({ "topic": filter });
        let stream = self.queue(Operation::SubscribeToTopic, &request);
        self.flush().await?;
        self.reply(stream).await?;
        Ok(stream)
    }

    /// Ends a stream of this side's; events on their way may still arrive.
    ///
    /// # Errors
    /// The connection fails.
    pub async fn terminate(&mut self, stream: i32) -> Result<(), ClientError> {
        rpc::write_bare(&mut self.unsent, Kind::Application, TERMINATE, stream);
        self.flush().await
    }

    /// Encodes a request without sending it; several go out together at the next
    /// [`flush`](Client::flush). Returns its stream.
    pub fn queue(&mut self, operation: Operation, request: &Value) -> i32 {
        self.queue_raw(operation.header(), operation.request_type(), request.to_string().as_bytes())
    }

    /// As [`queue`](Client::queue), with whatever operation and payload.
    pub fn queue_raw(&mut self, operation: &str, model_type: &str, payload: &[u8]) -> i32 {
        self.last_stream += 1;
        let stream = self.last_stream;
        rpc::write_request(&mut self.unsent, stream, operation, model_type, payload);
        stream
    }

    /// Sends what is queued.
    ///
    /// # Errors
    /// The connection fails.
    pub async fn flush(&mut self) -> Result<(), ClientError> {
        self.socket.write_all_buf(&mut self.unsent).await?;
        Ok(())
    }

    /// Waits for the response on `stream`.
    ///
    /// # Errors
    /// The operation answers an error, or the connection fails.
    pub async fn reply(&mut self, stream: i32) -> Result<Value, ClientError> {
        loop {
            let incoming = self.next_incoming().await?;
            if incoming.stream != stream {
                if self.backlog.len() >= BACKLOG {
                    return Err(ClientError::Backlog);
                }
                self.backlog.push_back(incoming);
                continue;
            }
            if incoming.error {
                let Incoming { model_type, payload, .. } = incoming;
                return Err(ClientError::Operation { model_type, payload });
            }
            return Ok(incoming.payload);
        }
    }

    /// The next message of any stream.
    ///
    /// # Errors
    /// The connection fails, or the server ends it.
    pub async fn receive(&mut self) -> Result<Incoming, ClientError> {
        match self.backlog.pop_front() {
            Some(incoming) => Ok(incoming),
            None => self.next_incoming().await,
        }
    }

    async fn next_incoming(&mut self) -> Result<Incoming, ClientError> {
        loop {
            if let Some((length, incoming)) = incoming(&self.received)? {
                self.received.advance(length);
                return Ok(incoming);
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<(), ClientError> {
        self.received.reserve(4096);
        match self.socket.read_buf(&mut self.received).await? {
            0 => Err(ClientError::Closed),
            _ => Ok(()),
        }
    }
}

/// The length of the handshake's answer and whether it accepts; `None` while it is incomplete.
fn handshake(received: &[u8]) -> Result<Option<(usize, bool)>, ClientError> {
    let Decoded::Frame(frame, length) = frame::decode(received, LIMIT)? else {
        return Ok(None);
    };
    let message = rpc::Message::read(frame)?;
    let accepted = message.kind == Kind::ConnectAck && message.flags & ACCEPTED != 0;
    Ok(Some((length, accepted)))
}

fn incoming(received: &[u8]) -> Result<Option<(usize, Incoming)>, ClientError> {
    let Decoded::Frame(frame, length) = frame::decode(received, LIMIT)? else {
        return Ok(None);
    };
    let message = rpc::Message::read(frame)?;
    if message.stream == 0 {
        return Err(ClientError::Server(String::from_utf8_lossy(frame.payload).into_owned()));
    }
    let payload = match frame.payload {
        [] => Value::Null,
        json => serde_json::from_slice(json)?,
    };
    let incoming = Incoming {
        stream: message.stream,
        error: message.kind == Kind::ApplicationError,
        last: message.terminates(),
        model_type: message.model_type.unwrap_or_default().to_owned(),
        payload,
    };
    Ok(Some((length, incoming)))
}
