//! Responses of the endpoint.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use super::event_stream::EventStream;
use super::refusal::Refusal;
use crate::{FunctionError, RequestId};

pub(super) type Reply = Response<ReplyBody>;

pub(crate) type Whole = Response<Full<Bytes>>;

#[derive(Debug)]
pub(super) enum ReplyBody {
    Whole(Full<Bytes>),
    Events(EventStream),
}

const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const EXECUTED_VERSION: HeaderName = HeaderName::from_static("x-amz-executed-version");
const FUNCTION_ERROR: HeaderName = HeaderName::from_static("x-amz-function-error");
const LOG_RESULT: HeaderName = HeaderName::from_static("x-amz-log-result");

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("application/vnd.amazon.eventstream");

/// What the function answered, failures included.
pub(crate) fn answer(
    answered: Result<Bytes, FunctionError>,
    version: &str,
    log_tail: Option<String>,
    request_id: &RequestId,
) -> Whole {
    let has_failed = answered.is_err();
    let body = answered.unwrap_or_else(|error| error.body);
    let mut reply = whole(StatusCode::OK, body);
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    if has_failed {
        headers.insert(FUNCTION_ERROR, HeaderValue::from_static(FunctionError::KIND));
    }
    set(headers, LOG_RESULT, log_tail.as_deref());
    set(headers, EXECUTED_VERSION, Some(version));
    set(headers, REQUEST_ID, Some(request_id.as_str()));
    reply
}

pub(super) fn events(
    body: EventStream,
    content_type: &str,
    version: &str,
    request_id: &RequestId,
) -> Reply {
    let mut reply = Response::new(ReplyBody::Events(body));
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, EVENT_STREAM);
    set(headers, HeaderName::from_static("x-amzn-remapped-content-type"), Some(content_type));
    set(headers, EXECUTED_VERSION, Some(version));
    set(headers, REQUEST_ID, Some(request_id.as_str()));
    reply
}

pub(crate) fn nothing(status: StatusCode, version: &str, request_id: &RequestId) -> Whole {
    let mut reply = whole(status, Bytes::new());
    set(reply.headers_mut(), EXECUTED_VERSION, Some(version));
    set(reply.headers_mut(), REQUEST_ID, Some(request_id.as_str()));
    reply
}

pub(crate) fn document(body: &Value, request_id: &RequestId) -> Whole {
    let mut reply = whole(StatusCode::OK, body.to_string().into());
    reply.headers_mut().insert(CONTENT_TYPE, JSON);
    set(reply.headers_mut(), REQUEST_ID, Some(request_id.as_str()));
    reply
}

pub(crate) fn refused(refusal: &Refusal, request_id: &str) -> Whole {
    let who = if refusal.status.is_server_error() { "Service" } else { "User" };
    // Services differ in how they write the key, and clients read either.
    let body = json!({ "Type": who, "Message": refusal.message, "message": refusal.message });
    let mut reply = whole(refusal.status, body.to_string().into());
    reply.headers_mut().insert(CONTENT_TYPE, JSON);
    reply.headers_mut().insert(ERROR_TYPE, HeaderValue::from_static(refusal.name));
    set(reply.headers_mut(), REQUEST_ID, Some(request_id));
    reply
}

fn whole(status: StatusCode, body: Bytes) -> Whole {
    let mut reply = Response::new(Full::new(body));
    *reply.status_mut() = status;
    reply
}

/// A text that no header can hold is left out.
fn set(headers: &mut HeaderMap, name: HeaderName, text: Option<&str>) {
    if let Some(value) = text.and_then(|text| HeaderValue::from_str(text).ok()) {
        headers.insert(name, value);
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body).poll_frame(context),
            Self::Events(events) => {
                events.poll_next(context).map(|next| next.map(|bytes| Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Events(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Events(_) => SizeHint::default(),
        }
    }
}
