//! What is published: JSON or bytes.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::value::RawValue;
use std::sync::Arc;

/// Deepest nesting of arrays and objects in a JSON message. It is what `serde_json` and, with room
/// to spare, Python's and JavaScript's parsers read without exhausting their stacks.
const MAX_DEPTH: usize = 127;

/// A message without its topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    Json(JsonText),
    Binary(Bytes),
}

impl Message {
    /// A message of a JSON value.
    pub fn json(value: &serde_json::Value) -> Message {
        Message::Json(JsonText(value.to_string().into()))
    }

    /// A message of bytes.
    pub fn binary(bytes: impl Into<Bytes>) -> Message {
        Message::Binary(bytes.into())
    }
}

/// The text of one JSON value, kept as its publisher wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonText(pub(super) Arc<str>);

/// The text is not one JSON value, or a too deeply nested one.
#[derive(Debug, thiserror::Error)]
pub enum MalformedJson {
    #[error("not JSON: {0}")]
    Syntax(#[from] serde_json::Error),
    #[error("nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
}

impl JsonText {
    /// Checks `text`.
    ///
    /// # Errors
    /// It is not one JSON value, or nested more than 127 levels deep.
    pub fn parse(text: &str) -> Result<JsonText, MalformedJson> {
        let raw: &RawValue = serde_json::from_str(text)?;
        check_depth(raw.get())?;
        Ok(JsonText(raw.get().into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value.
    ///
    /// # Errors
    /// A number in it is out of range for `f64`.
    pub fn to_value(&self) -> serde_json::Result<serde_json::Value> {
        serde_json::from_str(&self.0)
    }
}

/// A message as the parts of the frame that carries it, borrowed from where it came from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Content<'a> {
    /// The text of a JSON value.
    Json(&'a str),
    /// Valid standard base64.
    Base64(&'a str),
    Binary(&'a [u8]),
}

impl<'a> Content<'a> {
    /// The content of a JSON message as it was received.
    pub fn raw(raw: &'a RawValue) -> Result<Content<'a>, MalformedJson> {
        check_depth(raw.get())?;
        Ok(Content::Json(raw.get()))
    }

    /// The content of a binary message as it was received.
    pub fn base64(text: &'a str) -> Result<Content<'a>, base64::DecodeError> {
        // Decoding is the check; the bytes are made again only where somebody wants them.
        STANDARD.decode(text).map(|_| Content::Base64(text))
    }
}

impl<'a> From<&'a Message> for Content<'a> {
    fn from(message: &'a Message) -> Content<'a> {
        match message {
            Message::Json(text) => Content::Json(text.as_str()),
            Message::Binary(bytes) => Content::Binary(bytes),
        }
    }
}

/// Checks the nesting of valid JSON.
fn check_depth(json: &str) -> Result<(), MalformedJson> {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(MalformedJson::TooDeep);
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}
