//! What is told of an event that was given up, in the form of Lambda's destinations for asynchronous invocation
//! (docs.aws.amazon.com/lambda, "Capturing records of Lambda asynchronous invocations").

use std::fmt;
use std::future::Future;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use super::age::Note;
use super::event::Event;
use super::policy::Outcome;
use crate::{FunctionError, FunctionSpec, RequestId};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// The function failed with it too often.
    RetriesExhausted,
    EventAgeExceeded,
    /// The function as it is deployed now does not take it: no such version, not JSON …
    Undeliverable,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    pub request_id: RequestId,
    pub condition: Condition,
    /// JSON.
    pub body: Bytes,
}

/// Who is told.
pub trait DeadLetters: fmt::Debug + Send + Sync + 'static {
    /// The event is removed when it returns. The function's [`QueuePolicy`](crate::QueuePolicy) has the topic, if any.
    fn publish(
        &self,
        function: &FunctionSpec,
        letter: DeadLetter,
    ) -> impl Future<Output = ()> + Send;
}

impl DeadLetter {
    /// `event`: `None` where it could not be read.
    pub(crate) fn new(
        spec: &FunctionSpec,
        note: &Note,
        event: Option<&Event>,
        condition: Condition,
        outcome: Option<&Outcome>,
    ) -> Self {
        let qualifier = event.and_then(|event| event.qualifier.as_deref()).unwrap_or("$LATEST");
        let (response_context, response_payload) = response(outcome);
        let request_payload = event.map(|event| payload(&event.invocation.payload));
        let body = json!({
            "version": "1.0",
            "timestamp": humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            "requestContext": {
                "requestId": note.request_id,
                "functionArn": format!("{}:{qualifier}", spec.arn),
                "condition": condition.to_string(),
                "approximateInvokeCount": note.tries,
            },
            "requestPayload": request_payload,
            "responseContext": response_context,
            "responsePayload": response_payload,
        });
        Self { request_id: note.request_id.clone(), condition, body: body.to_string().into() }
    }
}

fn response(outcome: Option<&Outcome>) -> (Value, Value) {
    match outcome {
        Some(Outcome::Failed { error, executed_version }) => {
            let context = json!({
                "statusCode": 200,
                "executedVersion": executed_version,
                "functionError": FunctionError::KIND,
            });
            (context, payload(&error.body))
        }
        Some(Outcome::Refused(error)) => {
            let payload = json!({ "errorType": error.name(), "errorMessage": error.to_string() });
            (Value::Null, payload)
        }
        Some(Outcome::Answered | Outcome::Unreadable | Outcome::Missing) | None => {
            (Value::Null, Value::Null)
        }
    }
}

/// Text that is not JSON as a string, other bytes as base64.
fn payload(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)),
        Err(_) => Value::from(STANDARD.encode(bytes)),
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RetriesExhausted => "RetriesExhausted",
            Self::EventAgeExceeded => "EventAgeExceeded",
            Self::Undeliverable => "Undeliverable",
        })
    }
}
