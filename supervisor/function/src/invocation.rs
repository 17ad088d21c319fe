//! One invocation: what is asked, and what comes of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::report::Status;

/// A UUID (RFC 9562, version 4), in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RequestId(Arc<str>);

/// Characters of a UUID.
const LENGTH: usize = 36;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a UUID")]
pub struct InvalidRequestId(String);

/// What is asked of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    pub request_id: RequestId,
    pub payload: Bytes,
    /// JSON, not base64 (Lambda's `ClientContext`); where a topic's message is the event, `{"custom":{"subject":…}}`.
    pub client_context: Option<String>,
    pub trace_id: Option<String>,
    /// Whether the caller wants the last 4 KiB that the function logged (`LogType: Tail`).
    pub log_tail: bool,
}

#[derive(Debug)]
pub struct Completed {
    pub answer: Answer,
    /// Of the version that ran.
    pub executed_version: String,
    /// At most 4096 bytes, where it was asked for.
    pub log_tail: Option<Bytes>,
}

#[derive(Debug)]
pub enum Answer {
    Success(Bytes),
    Failure(FunctionError),
    /// The first bytes came before the function was done.
    Stream(ResponseStream),
}

/// A response that is still being made. Dropping it lets the function go on unheard.
#[derive(Debug)]
pub struct ResponseStream {
    pub content_type: String,
    /// `None` ends a whole response; an error is the last item.
    pub body: mpsc::Receiver<Result<Bytes, StreamFault>>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamFault {
    /// The function said so in its trailers.
    #[error("the function failed in the middle of its response: {}", .0.error_type)]
    Function(FunctionError),
    #[error("the response ended early: {0}")]
    Cut(String),
}

/// A function's failure: what the runtime told of, or why it could not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionError {
    /// E.g. `Runtime.ExitError`, `Sandbox.Timedout`, or what the runtime called it.
    pub error_type: String,
    /// JSON: the runtime's own, or ours with `errorType` and `errorMessage`.
    pub body: Bytes,
}

/// What one invocation cost: the `REPORT` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub request_id: RequestId,
    pub duration: Duration,
    /// Of a cold start: from the opening of the fence to the runtime's first `next`.
    pub init: Option<Duration>,
    /// Bytes.
    pub memory_size: u64,
    /// Bytes: the most that the instance has used so far.
    pub max_memory_used: u64,
    /// Of what did not go well.
    pub status: Option<Status>,
}

/// Why a function was not run, named as Lambda's API names it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvokeError {
    #[error("function not found: {0}")]
    ResourceNotFound(String),
    /// The payload is not JSON, the client context not an object …
    #[error("{0}")]
    InvalidRequestContent(String),
    #[error("the payload has {size} bytes, at most {limit} are allowed")]
    RequestTooLarge { size: usize, limit: usize },
    /// Concurrency, or the queue, is used up; try again later.
    #[error("{0}")]
    TooManyRequests(String),
    /// The function is stopped, or on its way out.
    #[error("{0}")]
    ResourceConflict(String),
    /// Ours: the launcher is away, the disk full …
    #[error("{0}")]
    Service(String),
}

impl FunctionError {
    /// `X-Amz-Function-Error` of every failure, told of or not, as in Lambda.
    pub const KIND: &'static str = "Unhandled";
}

impl RequestId {
    /// A new one, of the operating system's randomness.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let mut text = String::with_capacity(LENGTH);
        for (place, byte) in bytes.into_iter().enumerate() {
            if matches!(place, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            let digits = [byte >> 4, byte & 0x0f].into_iter();
            text.extend(digits.filter_map(|digit| char::from_digit(digit.into(), 16)));
        }
        Ok(Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RequestId {
    type Error = InvalidRequestId;

    fn try_from(text: String) -> Result<Self, InvalidRequestId> {
        let is_right = |(place, byte): (usize, u8)| match place {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
        };
        match text.len() == LENGTH && text.bytes().enumerate().all(is_right) {
            true => Ok(Self(text.into())),
            false => Err(InvalidRequestId(text)),
        }
    }
}

impl From<RequestId> for String {
    fn from(id: RequestId) -> Self {
        id.as_str().to_owned()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl InvokeError {
    /// The exception's name in Lambda's API.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ResourceNotFound(_) => "ResourceNotFoundException",
            Self::InvalidRequestContent(_) => "InvalidRequestContentException",
            Self::RequestTooLarge { .. } => "RequestTooLargeException",
            Self::TooManyRequests(_) => "TooManyRequestsException",
            Self::ResourceConflict(_) => "ResourceConflictException",
            Self::Service(_) => "ServiceException",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_request_id_is_a_random_uuid() {
        let ids = [(); 2].map(|()| RequestId::generate().unwrap());
        assert_ne!(ids[0], ids[1]);
        for id in ids {
            assert_eq!(RequestId::try_from(id.to_string()), Ok(id.clone()));
            assert_eq!(id.as_str().as_bytes()[14], b'4', "its version: {id}");
            assert!(b"89ab".contains(&id.as_str().as_bytes()[19]), "its variant: {id}");
        }
    }
}
