//! How answers become the JSON that clients read.

use super::{ErrorKind, Operation, OperationError, Response};
use serde::Serialize;

/// Name of the service in error payloads.
const SERVICE: &str = "aws.greengrass#GreengrassCoreIPC";

impl Response {
    /// The payload: a JSON object, `{}` where the response has no members.
    ///
    /// # Errors
    /// A number in it is not one that JSON can carry (an infinite timestamp).
    pub fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }
}

impl OperationError {
    /// The error for a request whose members are missing or wrong: `InvalidArgumentsError` where
    /// `operation` may answer it, else `ServiceError`.
    pub fn invalid_arguments(operation: Operation, message: impl Into<String>) -> OperationError {
        // The model omits it for PublishToTopic, yet Greengrass answers it there.
        let modelled = operation.errors().contains(&ErrorKind::InvalidArguments)
            || operation == Operation::PublishToTopic;
        let kind = if modelled { ErrorKind::InvalidArguments } else { ErrorKind::Service };
        OperationError::new(kind, message)
    }

    /// The error for a caller without permission: `UnauthorizedError`, as Greengrass has it, also
    /// where the model does not list it. (The Python SDK shows it there, the JavaScript SDK its name.)
    pub fn unauthorized(message: impl Into<String>) -> OperationError {
        OperationError::new(ErrorKind::Unauthorized, message)
    }

    /// The error for an operation that needs what this device does not have.
    pub fn not_provided(operation: Operation, missing: &str) -> OperationError {
        let name = operation.header().trim_start_matches("aws.greengrass#");
        OperationError::service(format!(
            "{name} needs {missing}, which is not provided by this version of Hedgerow"
        ))
    }

    /// A failure on this side.
    pub fn service(message: impl Into<String>) -> OperationError {
        OperationError::new(ErrorKind::Service, message)
    }

    /// The payload. Older clients read `_message` and its neighbours, newer ones `message`.
    ///
    /// # Errors
    /// Never in practice: an error holds strings and JSON only.
    pub fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        #[derive(Serialize)]
        struct Body<'a> {
            #[serde(flatten)]
            error: &'a OperationError,
            #[serde(rename = "_message")]
            message: &'a str,
            #[serde(rename = "_service")]
            service: &'static str,
            #[serde(rename = "_errorCode")]
            code: &'static str,
        }
        serde_json::to_vec(&Body {
            error: self,
            message: self.message().unwrap_or_default(),
            service: SERVICE,
            code: self.kind().model_type().trim_start_matches("aws.greengrass#"),
        })
    }
}
