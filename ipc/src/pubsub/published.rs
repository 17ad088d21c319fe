//! A published message, encoded once for all its subscribers.

use super::message::{Content, JsonText, Message};
use crate::budget::Reservation;
use crate::model::Operation;
use crate::principal::Principal;
use crate::wire::frame::TRAILER;
use crate::wire::rpc::Template;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::{Bytes, BytesMut};
use std::ops::Range;
use std::sync::Arc;

/// The event would be larger than a frame may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLarge {
    pub length: usize,
    pub limit: usize,
}

/// A message on its way. The frame is complete but for the subscriber's stream id and the CRC.
#[derive(Debug)]
pub(crate) struct Published {
    pub topic: Arc<str>,
    pub source: Principal,
    pub template: Template,
    json: bool,
    /// Where in the frame the message itself stands: JSON, or base64 without its quotes.
    message: Range<usize>,
    _held: Reservation,
}

impl Published {
    /// Encodes the event. `reserve` accounts for its size, and may refuse it.
    pub fn encode<E: From<TooLarge>>(
        topic: Arc<str>,
        source: Principal,
        content: Content<'_>,
        limit: usize,
        reserve: impl FnOnce(usize) -> Result<Reservation, E>,
    ) -> Result<Published, E> {
        let (json, member) = match content {
            Content::Json(_) => (true, &b"{\"jsonMessage\":{\"message\":"[..]),
            Content::Base64(_) | Content::Binary(_) => {
                (false, &b"{\"binaryMessage\":{\"message\":\""[..])
            }
        };
        let size = match content {
            Content::Json(text) | Content::Base64(text) => text.len(),
            Content::Binary(bytes) => bytes.len().div_ceil(3) * 4,
        };
        let event = Operation::SubscribeToTopic.event_type().unwrap_or_default();
        let capacity = member.len() + size + topic.len() + 256;
        let held = reserve(capacity)?;
        let mut message = 0..0;
        let template = Template::build(event, capacity, |frame: &mut BytesMut| {
            frame.extend_from_slice(member);
            message.start = frame.len();
            match content {
                Content::Json(text) | Content::Base64(text) => {
                    frame.extend_from_slice(text.as_bytes());
                }
                Content::Binary(bytes) => {
                    frame.resize(message.start + size, 0);
                    let target = &mut frame[message.start..];
                    // The room is what the length asks for.
                    let _ = STANDARD.encode_slice(bytes, target);
                }
            }
            message.end = frame.len();
            frame.extend_from_slice(if json { b"" } else { b"\"" });
            frame.extend_from_slice(b",\"context\":{\"topic\":\"");
            escape(&topic, frame);
            frame.extend_from_slice(b"\"}}}");
        });
        let length = template.as_bytes().len() + TRAILER;
        if length > limit {
            return Err(TooLarge { length, limit }.into());
        }
        Ok(Published { topic, source, template, json, message, _held: held })
    }

    /// Bytes that it takes on the wire.
    pub fn size(&self) -> usize {
        self.template.as_bytes().len() + TRAILER
    }

    /// The message alone.
    pub fn message(&self) -> Message {
        let bytes = &self.template.as_bytes()[self.message.clone()];
        if self.json {
            Message::Json(JsonText(String::from_utf8_lossy(bytes).into()))
        } else {
            // It was checked or made when it was published.
            Message::Binary(STANDARD.decode(bytes).map(Bytes::from).unwrap_or_default())
        }
    }
}

/// Writes `text` as the inside of a JSON string.
fn escape(text: &str, out: &mut BytesMut) {
    let plain = text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
    if plain {
        out.extend_from_slice(text.as_bytes());
    } else if let Ok(quoted) = serde_json::to_vec(text) {
        out.extend_from_slice(&quoted[1..quoted.len() - 1]);
    }
}
