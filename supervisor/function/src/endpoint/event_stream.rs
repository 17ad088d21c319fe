//! Streamed answers as `application/vnd.amazon.eventstream`: `PayloadChunk`, …, `InvokeComplete`.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::http::Pace;
use crate::{Answer, FunctionError, StreamFault};

/// Bytes of a chunk's payload at most.
const PIECE: usize = 64 * 1024;

/// A header's value that is a text (AWS event stream encoding).
const STRING: u8 = 7;

/// Prelude, its checksum, and the message's.
const FRAMING: usize = 16;

#[derive(Debug)]
pub(super) struct EventStream {
    rest: Rest,
    log_tail: Option<String>,
    pace: Arc<Pace>,
    deadline: Instant,
    has_begun: bool,
}

#[derive(Debug)]
enum Rest {
    Whole(Bytes),
    Parts(mpsc::Receiver<Result<Bytes, StreamFault>>, Bytes),
    Failed(FunctionError),
    Complete,
    Nothing,
}

impl EventStream {
    /// Its reader has until the deadline to take it all.
    pub fn new(
        answer: Answer,
        log_tail: Option<String>,
        pace: Arc<Pace>,
        deadline: Instant,
    ) -> Self {
        let rest = match answer {
            Answer::Success(payload) => Rest::Whole(payload),
            Answer::Failure(error) => Rest::Failed(error),
            Answer::Stream(stream) => Rest::Parts(stream.body, Bytes::new()),
        };
        Self { rest, log_tail, pace, deadline, has_begun: false }
    }

    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if !std::mem::replace(&mut self.has_begun, true) {
            self.pace.until(self.deadline);
        }
        loop {
            match &mut self.rest {
                Rest::Whole(payload) if payload.is_empty() => self.rest = Rest::Complete,
                Rest::Whole(payload) => return Poll::Ready(Some(chunk(payload))),
                Rest::Parts(_, part) if !part.is_empty() => return Poll::Ready(Some(chunk(part))),
                Rest::Parts(parts, part) => match ready!(parts.poll_recv(context)) {
                    Some(Ok(next)) => *part = next,
                    Some(Err(fault)) => self.rest = Rest::Failed(fault.into()),
                    None => self.rest = Rest::Complete,
                },
                Rest::Failed(error) => {
                    let event = complete(Some(error), self.log_tail.take());
                    self.rest = Rest::Nothing;
                    return Poll::Ready(Some(event));
                }
                Rest::Complete => {
                    self.rest = Rest::Nothing;
                    return Poll::Ready(Some(complete(None, self.log_tail.take())));
                }
                Rest::Nothing => {
                    self.pace.served();
                    return Poll::Ready(None);
                }
            }
        }
    }
}

fn chunk(payload: &mut Bytes) -> Bytes {
    let piece = payload.split_to(payload.len().min(PIECE));
    message("PayloadChunk", "application/octet-stream", &piece)
}

fn complete(error: Option<&FunctionError>, log_tail: Option<String>) -> Bytes {
    let details = error.map(|error| String::from_utf8_lossy(&error.body).into_owned());
    let payload = json!({
        "ErrorCode": error.map(|error| &error.error_type),
        "ErrorDetails": details,
        "LogResult": log_tail,
    });
    message("InvokeComplete", "application/json", payload.to_string().as_bytes())
}

/// Total length, length of the headers, checksum of both; headers; payload; checksum of all.
fn message(event_type: &str, content_type: &str, payload: &[u8]) -> Bytes {
    let mut headers = BytesMut::new();
    for (name, value) in
        [(":message-type", "event"), (":event-type", event_type), (":content-type", content_type)]
    {
        // They are ours, and short.
        headers.put_u8(name.len() as u8);
        headers.put_slice(name.as_bytes());
        headers.put_u8(STRING);
        headers.put_u16(value.len() as u16);
        headers.put_slice(value.as_bytes());
    }
    let total = FRAMING + headers.len() + payload.len();
    let mut message = BytesMut::with_capacity(total);
    message.put_u32(total as u32);
    message.put_u32(headers.len() as u32);
    message.put_u32(crc32fast::hash(&message));
    message.put_slice(&headers);
    message.put_slice(payload);
    message.put_u32(crc32fast::hash(&message));
    message.freeze()
}
