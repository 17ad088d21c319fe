//! `Invoke` and `InvokeWithResponseStream`.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{HeaderMap, HeaderName};
use tokio::time::Instant;

use super::event_stream::EventStream;
use super::find::Found;
use super::refusal::Refusal;
use super::reply::{self, Reply, ReplyBody, Whole, answer, nothing};
use crate::http::Pace;
use crate::{Answer, Events, FunctionError, Functions, Invocation, InvokeError, RequestId};

const TYPE: HeaderName = HeaderName::from_static("x-amz-invocation-type");
const LOG_TYPE: HeaderName = HeaderName::from_static("x-amz-log-type");
const CLIENT_CONTEXT: HeaderName = HeaderName::from_static("x-amz-client-context");
const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");

/// For what a stream still has to say when its function has ended.
const STREAM_GRACE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    RequestResponse,
    Event,
    DryRun,
}

/// A request that asks for an invocation.
pub(crate) struct Ask<'a> {
    pub headers: &'a HeaderMap,
    pub body: Bytes,
    pub request_id: RequestId,
}

/// What has come of it.
#[derive(Debug)]
pub(crate) enum Outcome {
    Answered {
        answered: Result<Bytes, FunctionError>,
        version: String,
        /// Base64.
        log_tail: Option<String>,
    },
    /// Nothing, with that status, of that version.
    Nothing(StatusCode, String),
}

pub(crate) async fn invoke(
    functions: &Functions,
    events: &Events,
    found: &Found,
    ask: Ask<'_>,
) -> Result<Outcome, Refusal> {
    let Found { spec, target } = found;
    let kind = kind(ask.headers)?;
    let invocation = invocation(ask)?;
    match kind {
        Kind::RequestResponse => {
            let completed = functions.invoke(target, invocation).await?;
            Ok(Outcome::Answered {
                answered: completed.answer.whole().await,
                version: completed.executed_version,
                log_tail: completed.log_tail.map(|tail| BASE64_STANDARD.encode(tail)),
            })
        }
        Kind::Event => {
            events.enqueue(target, invocation).await?;
            Ok(Outcome::Nothing(StatusCode::ACCEPTED, spec.version.clone()))
        }
        Kind::DryRun => Ok(Outcome::Nothing(StatusCode::NO_CONTENT, spec.version.clone())),
    }
}

impl Outcome {
    pub fn reply(self, request_id: &RequestId) -> Whole {
        match self {
            Self::Answered { answered, version, log_tail } => {
                answer(answered, &version, log_tail, request_id)
            }
            Self::Nothing(status, version) => nothing(status, &version, request_id),
        }
    }
}

pub(super) async fn stream(
    functions: &Functions,
    found: &Found,
    ask: Ask<'_>,
    pace: &Arc<Pace>,
) -> Result<Reply, Refusal> {
    let Found { spec, target } = found;
    let kind = kind(ask.headers)?;
    let request_id = ask.request_id.clone();
    let invocation = invocation(ask)?;
    match kind {
        Kind::RequestResponse => {}
        Kind::DryRun => {
            let reply = nothing(StatusCode::NO_CONTENT, &spec.version, &request_id);
            return Ok(reply.map(ReplyBody::Whole));
        }
        Kind::Event => {
            return Err(Refusal::parameter("a streamed invocation is RequestResponse or DryRun"));
        }
    }
    let completed = functions.invoke(target, invocation).await?;
    // Whatever it waited for an instance is over.
    let deadline = Instant::now() + spec.timeout + STREAM_GRACE;
    let content_type = match &completed.answer {
        Answer::Stream(stream) => stream.content_type.clone(),
        Answer::Success(_) | Answer::Failure(_) => "application/json".to_owned(),
    };
    let log_tail = completed.log_tail.map(|tail| BASE64_STANDARD.encode(tail));
    let body = EventStream::new(completed.answer, log_tail, Arc::clone(pace), deadline);
    Ok(reply::events(body, &content_type, &completed.executed_version, &request_id))
}

pub(crate) fn kind(headers: &HeaderMap) -> Result<Kind, Refusal> {
    match text(headers, &TYPE)? {
        None | Some("RequestResponse") => Ok(Kind::RequestResponse),
        Some("Event") => Ok(Kind::Event),
        Some("DryRun") => Ok(Kind::DryRun),
        Some(other) => Err(Refusal::parameter(format!(
            "X-Amz-Invocation-Type {other:?}: it is RequestResponse, Event or DryRun"
        ))),
    }
}

pub(crate) fn invocation(ask: Ask<'_>) -> Result<Invocation, Refusal> {
    let Ask { headers, body, request_id } = ask;
    let log_tail = match text(headers, &LOG_TYPE)? {
        None | Some("None") => false,
        Some("Tail") => true,
        Some(other) => {
            return Err(Refusal::parameter(format!(
                "X-Amz-Log-Type {other:?}: it is None or Tail"
            )));
        }
    };
    Ok(Invocation {
        request_id,
        payload: body,
        client_context: text(headers, &CLIENT_CONTEXT)?.map(client_context).transpose()?,
        trace_id: text(headers, &TRACE_ID)?.map(str::to_owned),
        log_tail,
    })
}

fn client_context(base64: &str) -> Result<String, Refusal> {
    let refuse = || {
        InvokeError::InvalidRequestContent(
            "Client context must be a valid Base64-encoded JSON object.".into(),
        )
    };
    let bytes = BASE64_STANDARD.decode(base64).map_err(|_| refuse())?;
    Ok(String::from_utf8(bytes).map_err(|_| refuse())?)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Refusal> {
    let text = headers.get(name).map(|value| value.to_str()).transpose();
    text.map_err(|_| Refusal::parameter(format!("the header {name} is not ASCII")))
}
