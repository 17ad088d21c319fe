//! What may be asked of a function at all.

use bytes::Bytes;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::{Encoding, FunctionSpec, Invocation, InvokeError};

/// Bytes of a synchronous invocation's payload, as in Lambda.
pub const PAYLOAD_LIMIT: usize = 6 * 1024 * 1024;

/// Bytes of an asynchronous event, as in Lambda since 2025.
pub const EVENT_LIMIT: usize = 1024 * 1024;

/// Bytes of a client context as JSON: it travels in a header. Lambda's limit is 3,583 as base64.
pub const CLIENT_CONTEXT_LIMIT: usize = 3583;

/// Puts the invocation into the form in which it goes to the function, or says what is wrong with it.
pub(crate) fn admit(
    spec: &FunctionSpec,
    invocation: Invocation,
    limit: usize,
) -> Result<Invocation, InvokeError> {
    let size = invocation.payload.len();
    if size > limit {
        return Err(InvokeError::RequestTooLarge { size, limit });
    }
    let payload = match spec.encoding {
        Encoding::Json => json(invocation.payload)?,
        Encoding::Binary => invocation.payload,
    };
    let client_context = invocation.client_context.as_deref().map(client_context).transpose()?;
    Ok(Invocation { payload, client_context, ..invocation })
}

/// No payload at all is an empty object, as in Lambda.
fn json(payload: Bytes) -> Result<Bytes, InvokeError> {
    if payload.is_empty() {
        return Ok(Bytes::from_static(b"{}"));
    }
    let refuse = |why: String| {
        InvokeError::InvalidRequestContent(format!(
            "Could not parse request body into json: {why}. A function that takes other payloads has \
             inputPayloadEncodingType: binary"
        ))
    };
    let text = std::str::from_utf8(&payload).map_err(|error| refuse(error.to_string()))?;
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| refuse(error.to_string()))?;
    Ok(payload)
}

/// On one line.
fn client_context(text: &str) -> Result<String, InvokeError> {
    let refuse = |why: String| {
        InvokeError::InvalidRequestContent(format!("Client context must be a JSON object: {why}"))
    };
    if text.len() > CLIENT_CONTEXT_LIMIT {
        let why =
            format!("it has {} bytes, at most {CLIENT_CONTEXT_LIMIT} are allowed", text.len());
        return Err(refuse(why));
    }
    let object: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| refuse(error.to_string()))?;
    Ok(Value::Object(object).to_string())
}
