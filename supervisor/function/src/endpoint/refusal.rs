//! What callers get that do not get what they ask for, in the form of Lambda's API.

use hyper::StatusCode;

use super::sigv4::Fault;
use crate::InvokeError;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub status: StatusCode,
    /// `x-amzn-ErrorType`, by which a client knows the exception.
    pub name: &'static str,
    pub message: String,
}

impl Refusal {
    pub fn new(status: StatusCode, name: &'static str, message: impl Into<String>) -> Self {
        Self { status, name, message: message.into() }
    }

    pub fn parameter(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidParameterValueException", message)
    }

    pub fn not_allowed(function: &str) -> Self {
        Self::denied(format!(
            "this access key is not for function {function}: add it to `functions` of the key in the endpoint's credentials"
        ))
    }

    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "AccessDeniedException", message)
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        let name = match &fault {
            Fault::Missing => "MissingAuthenticationTokenException",
            Fault::Incomplete(_) => "IncompleteSignatureException",
            Fault::UnknownKey => "UnrecognizedClientException",
            Fault::Unsigned(_) | Fault::Skew { .. } | Fault::Mismatch => {
                "InvalidSignatureException"
            }
        };
        Self::new(StatusCode::FORBIDDEN, name, fault.to_string())
    }
}

impl From<InvokeError> for Refusal {
    fn from(error: InvokeError) -> Self {
        let status = match &error {
            InvokeError::ResourceNotFound(_) => StatusCode::NOT_FOUND,
            InvokeError::InvalidRequestContent(_) => StatusCode::BAD_REQUEST,
            InvokeError::RequestTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            InvokeError::TooManyRequests(_) => StatusCode::TOO_MANY_REQUESTS,
            InvokeError::ResourceConflict(_) => StatusCode::CONFLICT,
            InvokeError::Service(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.name(), error.to_string())
    }
}
