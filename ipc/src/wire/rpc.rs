//! Event-stream RPC: what the headers of a frame make it.

use super::frame::{self, Frame};
use super::header::{Header, HeaderError, Value};
use bytes::{BufMut, Bytes, BytesMut};

/// Flag of CONNECT_ACK: the connection is accepted.
pub const ACCEPTED: i32 = 1;
/// Flag of the last message of a stream.
pub const TERMINATE: i32 = 2;
/// The only protocol version there is.
pub const VERSION: &str = "0.1.0";

pub(crate) const MESSAGE_TYPE: &str = ":message-type";
pub(crate) const MESSAGE_FLAGS: &str = ":message-flags";
pub(crate) const STREAM_ID: &str = ":stream-id";
const VERSION_HEADER: &str = ":version";
const OPERATION: &str = "operation";
const CONTENT_TYPE: &str = ":content-type";
const MODEL_TYPE: &str = "service-model-type";
const JSON: &str = "application/json";

/// The `:message-type` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Application = 0,
    ApplicationError = 1,
    Ping = 2,
    PingResponse = 3,
    Connect = 4,
    ConnectAck = 5,
    ProtocolError = 6,
    InternalError = 7,
}

impl Kind {
    fn from_wire(code: i32) -> Option<Kind> {
        const KINDS: [Kind; 8] = [
            Kind::Application,
            Kind::ApplicationError,
            Kind::Ping,
            Kind::PingResponse,
            Kind::Connect,
            Kind::ConnectAck,
            Kind::ProtocolError,
            Kind::InternalError,
        ];
        KINDS.get(usize::try_from(code).ok()?).copied()
    }

    /// Whether it belongs to a stream; the others belong to the connection, stream 0.
    fn of_stream(self) -> bool {
        matches!(self, Kind::Application | Kind::ApplicationError)
    }
}

/// A peer's frame that RPC does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error("header {0} is missing or of the wrong type")]
    MissingHeader(&'static str),
    #[error("message type {0} does not exist")]
    UnknownType(i32),
    #[error("a message of type {kind} does not belong on stream {stream}")]
    WrongStream { kind: i32, stream: i32 },
}

/// A frame read as an RPC message.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    pub kind: Kind,
    pub flags: i32,
    /// 0 for the connection itself.
    pub stream: i32,
    pub version: Option<&'a str>,
    pub operation: Option<&'a str>,
    pub model_type: Option<&'a str>,
    pub frame: Frame<'a>,
}

impl<'a> Message<'a> {
    /// Reads the headers of `frame`. Their order is free; those that RPC does not know are left.
    ///
    /// # Errors
    /// One of the three that every message has is missing, or the stream does not fit the type.
    pub fn read(frame: Frame<'a>) -> Result<Message<'a>, RpcError> {
        let (mut kind, mut flags, mut stream) = (None, None, None);
        let (mut version, mut operation, mut model_type) = (None, None, None);
        for header in frame.headers {
            let header = header?;
            match (header.name, header.value) {
                (MESSAGE_TYPE, Value::Int32(value)) => kind = Some(value),
                (MESSAGE_FLAGS, Value::Int32(value)) => flags = Some(value),
                (STREAM_ID, Value::Int32(value)) => stream = Some(value),
                (VERSION_HEADER, Value::String(value)) => version = Some(value),
                (OPERATION, Value::String(value)) => operation = Some(value),
                (MODEL_TYPE, Value::String(value)) => model_type = Some(value),
                _ => {}
            }
        }
        let code = kind.ok_or(RpcError::MissingHeader(MESSAGE_TYPE))?;
        let flags = flags.ok_or(RpcError::MissingHeader(MESSAGE_FLAGS))?;
        let stream = stream.ok_or(RpcError::MissingHeader(STREAM_ID))?;
        let kind = Kind::from_wire(code).ok_or(RpcError::UnknownType(code))?;
        if stream < 0 || kind.of_stream() != (stream != 0) {
            return Err(RpcError::WrongStream { kind: code, stream });
        }
        Ok(Message { kind, flags, stream, version, operation, model_type, frame })
    }

    /// Whether the peer ends the stream with this message.
    pub fn terminates(&self) -> bool {
        self.flags & TERMINATE != 0
    }
}

fn rpc_headers(kind: Kind, flags: i32, stream: i32) -> [Header<'static>; 3] {
    [
        Header { name: MESSAGE_TYPE, value: Value::Int32(kind as i32) },
        Header { name: MESSAGE_FLAGS, value: Value::Int32(flags) },
        Header { name: STREAM_ID, value: Value::Int32(stream) },
    ]
}

fn string<'a>(name: &'a str, value: &'a str) -> Header<'a> {
    Header { name, value: Value::String(value) }
}

/// Appends a message with a JSON payload of a modelled shape.
pub fn write_json(
    out: &mut BytesMut,
    kind: Kind,
    flags: i32,
    stream: i32,
    model_type: &str,
    payload: &[u8],
) {
    let [a, b, c] = rpc_headers(kind, flags, stream);
    let headers = [a, b, c, string(CONTENT_TYPE, JSON), string(MODEL_TYPE, model_type)];
    frame::encode(out, &headers, payload);
}

/// Appends a message without headers of its own and without a payload: CONNECT_ACK, terminate.
pub fn write_bare(out: &mut BytesMut, kind: Kind, flags: i32, stream: i32) {
    frame::encode(out, &rpc_headers(kind, flags, stream), &[]);
}

/// Appends the CONNECT message.
pub fn write_connect(out: &mut BytesMut, payload: &[u8]) {
    let [a, b, c] = rpc_headers(Kind::Connect, 0, 0);
    frame::encode(out, &[string(VERSION_HEADER, VERSION), a, b, c], payload);
}

/// Appends the first message of a stream.
pub fn write_request(
    out: &mut BytesMut,
    stream: i32,
    operation: &str,
    model_type: &str,
    payload: &[u8],
) {
    let [a, b, c] = rpc_headers(Kind::Application, 0, stream);
    let own = [string(CONTENT_TYPE, JSON), string(MODEL_TYPE, model_type)];
    let headers = [own[0], own[1], a, b, c, string(OPERATION, operation)];
    frame::encode(out, &headers, payload);
}

/// Appends a connection-level error, after which the peer hangs up.
pub fn write_connection_error(out: &mut BytesMut, kind: Kind, reason: &str) {
    let payload = serde_json::json!({ "message": reason }).to_string();
    let [a, b, c] = rpc_headers(kind, 0, 0);
    frame::encode(out, &[a, b, c, string(CONTENT_TYPE, JSON)], payload.as_bytes());
}

/// Appends the answer to a PING: its payload and the headers that are the peer's own.
pub fn write_ping_response(out: &mut BytesMut, ping: &Message<'_>) {
    let mut headers = rpc_headers(Kind::PingResponse, 0, 0).to_vec();
    headers.extend(ping.frame.headers.flatten().filter(|header| !header.name.starts_with(':')));
    frame::encode(out, &headers, ping.frame.payload);
}

/// Where the stream id's value stands in a frame whose first headers are the three of RPC.
const STREAM_ID_AT: usize = frame::PRELUDE
    + (1 + MESSAGE_TYPE.len() + 1 + 4)
    + (1 + MESSAGE_FLAGS.len() + 1 + 4)
    + (1 + STREAM_ID.len() + 1);
const STREAM_ID_END: usize = STREAM_ID_AT + 4;

/// A stream event encoded once and sent on many streams: only the stream id and the CRC differ.
#[derive(Debug)]
pub(crate) struct Template {
    /// The frame on stream 0, without its CRC.
    frame: Bytes,
    /// CRC of what follows the stream id.
    rest: crc32fast::Hasher,
}

impl Template {
    /// Encodes an event whose payload `payload` appends.
    pub fn build(
        model_type: &str,
        capacity: usize,
        payload: impl FnOnce(&mut BytesMut),
    ) -> Template {
        let mut out = BytesMut::with_capacity(capacity);
        let [a, b, c] = rpc_headers(Kind::Application, 0, 0);
        let headers = [a, b, c, string(CONTENT_TYPE, JSON), string(MODEL_TYPE, model_type)];
        let header_length = frame::begin(&mut out, &headers);
        payload(&mut out);
        let length = out.len() + frame::TRAILER;
        out[..frame::PRELUDE].copy_from_slice(&frame::prelude(length, header_length));
        let mut rest = crc32fast::Hasher::new();
        rest.update(&out[STREAM_ID_END..]);
        Template { frame: out.freeze(), rest }
    }

    /// The frame on stream 0, without its CRC.
    pub fn as_bytes(&self) -> &[u8] {
        &self.frame
    }

    /// Appends the whole frame for `stream`.
    pub fn write(&self, out: &mut BytesMut, stream: i32) {
        let (head, rest, crc) = self.parts(stream);
        out.reserve(head.len() + rest.len() + crc.len());
        out.put_slice(&head);
        out.put_slice(&rest);
        out.put_slice(&crc);
    }

    /// The frame for `stream` in three parts, the middle one shared by all streams.
    pub fn parts(&self, stream: i32) -> ([u8; STREAM_ID_END], Bytes, [u8; frame::TRAILER]) {
        let mut head = [0; STREAM_ID_END];
        head[..STREAM_ID_AT].copy_from_slice(&self.frame[..STREAM_ID_AT]);
        head[STREAM_ID_AT..].copy_from_slice(&stream.to_be_bytes());
        let mut crc = crc32fast::Hasher::new();
        crc.update(&head);
        crc.combine(&self.rest);
        (head, self.frame.slice(STREAM_ID_END..), crc.finalize().to_be_bytes())
    }
}
