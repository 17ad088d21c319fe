//! What a runtime says of a failure: a type in a header, JSON in the body.

use bytes::Bytes;
use hyper::header::HeaderMap;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::FunctionError;
use crate::http::body::TooLarge;

/// Request header, or trailer of a stream.
pub(super) const ERROR_TYPE: &str = "lambda-runtime-function-error-type";

/// Of a failure that has no name.
const UNKNOWN: &str = "Runtime.Unknown";

/// Characters of an error type. It goes into logs and onto the bus.
const LONGEST_TYPE: usize = 256;

/// Bytes that are shown of a body that is not what it should be.
const SHOWN: usize = 1024;

#[derive(Debug, Deserialize)]
struct ErrorBody<'a> {
    #[serde(borrow, rename = "errorType")]
    error_type: Option<&'a RawValue>,
}

/// The failure that a runtime tells of. What its body calls it counts more than the header, which is `unhandled` in some.
pub(super) fn told(headers: &HeaderMap, body: Bytes) -> FunctionError {
    let in_header = headers.get(ERROR_TYPE).map(|name| String::from_utf8_lossy(name.as_bytes()));
    let in_header = in_header.as_deref().and_then(clean);
    let Ok(ErrorBody { error_type }) = serde_json::from_slice(&body) else {
        let error_type = in_header.unwrap_or_else(|| UNKNOWN.to_owned());
        let said = String::from_utf8_lossy(&body[..body.len().min(SHOWN)]);
        let message = match said.is_empty() {
            true => "the runtime told of a failure and said nothing about it".to_owned(),
            false => format!("the runtime told of a failure not as JSON: {said}"),
        };
        return failed(error_type, &message);
    };
    let in_body = error_type.and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
    let error_type = in_body.as_deref().and_then(clean).or(in_header);
    FunctionError { error_type: error_type.unwrap_or_else(|| UNKNOWN.to_owned()), body }
}

/// In the words of Lambda.
pub(super) fn too_large(TooLarge { limit }: TooLarge) -> FunctionError {
    let message =
        format!("Response payload size exceeded maximum allowed payload size ({limit} bytes).");
    failed("Function.ResponseSizeTooLarge".to_owned(), &message)
}

fn failed(error_type: String, message: &str) -> FunctionError {
    let body = json!({ "errorType": error_type, "errorMessage": message });
    FunctionError { error_type, body: body.to_string().into() }
}

/// On one line and not too long; `None` where nothing is left.
fn clean(name: &str) -> Option<String> {
    let name: String = name
        .trim()
        .chars()
        .filter(|character| !character.is_control())
        .take(LONGEST_TYPE)
        .collect();
    (!name.is_empty()).then_some(name)
}
