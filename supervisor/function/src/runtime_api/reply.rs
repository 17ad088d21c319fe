//! Responses to the runtime.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::json;

use super::context::in_ascii;
use crate::Work;

pub(super) type Reply = Response<Full<Bytes>>;

/// Tells the tries of one request apart. Runtimes that know it send it back with the answer.
pub(super) const INVOCATION_ID: HeaderName =
    HeaderName::from_static("lambda-runtime-invocation-id");

const REQUEST_ID: HeaderName = HeaderName::from_static("lambda-runtime-aws-request-id");
const DEADLINE: HeaderName = HeaderName::from_static("lambda-runtime-deadline-ms");
const ARN: HeaderName = HeaderName::from_static("lambda-runtime-invoked-function-arn");
const TRACE_ID: HeaderName = HeaderName::from_static("lambda-runtime-trace-id");
const CLIENT_CONTEXT: HeaderName = HeaderName::from_static("lambda-runtime-client-context");

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The answer to `next`.
pub(super) fn event(work: &Work, invocation_id: u64) -> Reply {
    let mut reply = Response::new(Full::new(work.payload.clone()));
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(DEADLINE, work.deadline.into());
    headers.insert(INVOCATION_ID, invocation_id.into());
    let texts = [
        (REQUEST_ID, Some(work.request_id.as_str())),
        (ARN, Some(&*work.arn)),
        (TRACE_ID, work.trace_id.as_deref()),
        (CLIENT_CONTEXT, work.client_context.as_deref()),
    ];
    for (name, text) in texts {
        // A caller's text that no header can hold is left out: the runtimes do without.
        if let Some(value) = text.and_then(|text| HeaderValue::from_str(&in_ascii(text)).ok()) {
            headers.insert(name, value);
        }
    }
    reply
}

pub(super) fn accepted() -> Reply {
    with_json(StatusCode::ACCEPTED, Bytes::from_static(b"{\"status\":\"OK\"}\n"))
}

/// There is no snapshot to be restored from, so that is done at once.
pub(super) fn restored() -> Reply {
    Response::new(Full::default())
}

pub(super) fn refused(status: StatusCode, error_type: &str, message: &str) -> Reply {
    let body = json!({ "errorMessage": message, "errorType": error_type });
    with_json(status, body.to_string().into())
}

fn with_json(status: StatusCode, body: Bytes) -> Reply {
    let mut reply = Response::new(Full::new(body));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, JSON);
    reply
}
