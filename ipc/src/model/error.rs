// Written by `cargo run -p hedgerow-ipc --example generate-model`; do not edit.

//! The errors that an operation may answer.

use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InvalidArgumentsError {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InvalidArtifactsDirectoryPathError {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InvalidRecipeDirectoryPathError {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceError {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<Value>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResourceNotFoundError {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(rename = "resourceType", skip_serializing_if = "Option::is_none")]
    pub resource_type: Option<String>,
    #[serde(rename = "resourceName", skip_serializing_if = "Option::is_none")]
    pub resource_name: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnauthorizedError {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComponentNotFoundError {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InvalidTokenError {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailedUpdateConditionCheckError {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConflictError {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InvalidClientDeviceAuthTokenError {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InvalidCredentialError {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Which of the modelled errors it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    InvalidArguments,
    InvalidArtifactsDirectoryPath,
    InvalidRecipeDirectoryPath,
    Service,
    ResourceNotFound,
    Unauthorized,
    ComponentNotFound,
    InvalidToken,
    FailedUpdateConditionCheck,
    Conflict,
    InvalidClientDeviceAuthToken,
    InvalidCredential,
}

impl ErrorKind {
    /// Every kind, in the model's order.
    pub const ALL: &[ErrorKind] = &[
        ErrorKind::InvalidArguments,
        ErrorKind::InvalidArtifactsDirectoryPath,
        ErrorKind::InvalidRecipeDirectoryPath,
        ErrorKind::Service,
        ErrorKind::ResourceNotFound,
        ErrorKind::Unauthorized,
        ErrorKind::ComponentNotFound,
        ErrorKind::InvalidToken,
        ErrorKind::FailedUpdateConditionCheck,
        ErrorKind::Conflict,
        ErrorKind::InvalidClientDeviceAuthToken,
        ErrorKind::InvalidCredential,
    ];

    /// Value of the `service-model-type` header.
    pub const fn model_type(self) -> &'static str {
        match self {
            ErrorKind::InvalidArguments => "aws.greengrass#InvalidArgumentsError",
            ErrorKind::InvalidArtifactsDirectoryPath => "aws.greengrass#InvalidArtifactsDirectoryPathError",
            ErrorKind::InvalidRecipeDirectoryPath => "aws.greengrass#InvalidRecipeDirectoryPathError",
            ErrorKind::Service => "aws.greengrass#ServiceError",
            ErrorKind::ResourceNotFound => "aws.greengrass#ResourceNotFoundError",
            ErrorKind::Unauthorized => "aws.greengrass#UnauthorizedError",
            ErrorKind::ComponentNotFound => "aws.greengrass#ComponentNotFoundError",
            ErrorKind::InvalidToken => "aws.greengrass#InvalidTokenError",
            ErrorKind::FailedUpdateConditionCheck => "aws.greengrass#FailedUpdateConditionCheckError",
            ErrorKind::Conflict => "aws.greengrass#ConflictError",
            ErrorKind::InvalidClientDeviceAuthToken => "aws.greengrass#InvalidClientDeviceAuthTokenError",
            ErrorKind::InvalidCredential => "aws.greengrass#InvalidCredentialError",
        }
    }
}

/// A modelled error with its members.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum OperationError {
    InvalidArguments(InvalidArgumentsError),
    InvalidArtifactsDirectoryPath(InvalidArtifactsDirectoryPathError),
    InvalidRecipeDirectoryPath(InvalidRecipeDirectoryPathError),
    Service(ServiceError),
    ResourceNotFound(ResourceNotFoundError),
    Unauthorized(UnauthorizedError),
    ComponentNotFound(ComponentNotFoundError),
    InvalidToken(InvalidTokenError),
    FailedUpdateConditionCheck(FailedUpdateConditionCheckError),
    Conflict(ConflictError),
    InvalidClientDeviceAuthToken(InvalidClientDeviceAuthTokenError),
    InvalidCredential(InvalidCredentialError),
}

impl OperationError {
    /// An error with a message and none of the other members.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> OperationError {
        let message = Some(message.into());
        match kind {
            ErrorKind::InvalidArguments => OperationError::InvalidArguments(InvalidArgumentsError { message }),
            ErrorKind::InvalidArtifactsDirectoryPath => OperationError::InvalidArtifactsDirectoryPath(InvalidArtifactsDirectoryPathError { message }),
            ErrorKind::InvalidRecipeDirectoryPath => OperationError::InvalidRecipeDirectoryPath(InvalidRecipeDirectoryPathError { message }),
            ErrorKind::Service => OperationError::Service(ServiceError { message, context: None }),
            ErrorKind::ResourceNotFound => OperationError::ResourceNotFound(ResourceNotFoundError { message, resource_type: None, resource_name: None }),
            ErrorKind::Unauthorized => OperationError::Unauthorized(UnauthorizedError { message }),
            ErrorKind::ComponentNotFound => OperationError::ComponentNotFound(ComponentNotFoundError { message }),
            ErrorKind::InvalidToken => OperationError::InvalidToken(InvalidTokenError { message }),
            ErrorKind::FailedUpdateConditionCheck => OperationError::FailedUpdateConditionCheck(FailedUpdateConditionCheckError { message }),
            ErrorKind::Conflict => OperationError::Conflict(ConflictError { message }),
            ErrorKind::InvalidClientDeviceAuthToken => OperationError::InvalidClientDeviceAuthToken(InvalidClientDeviceAuthTokenError { message }),
            ErrorKind::InvalidCredential => OperationError::InvalidCredential(InvalidCredentialError { message }),
        }
    }

    /// Which error it is.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            OperationError::InvalidArguments(_) => ErrorKind::InvalidArguments,
            OperationError::InvalidArtifactsDirectoryPath(_) => ErrorKind::InvalidArtifactsDirectoryPath,
            OperationError::InvalidRecipeDirectoryPath(_) => ErrorKind::InvalidRecipeDirectoryPath,
            OperationError::Service(_) => ErrorKind::Service,
            OperationError::ResourceNotFound(_) => ErrorKind::ResourceNotFound,
            OperationError::Unauthorized(_) => ErrorKind::Unauthorized,
            OperationError::ComponentNotFound(_) => ErrorKind::ComponentNotFound,
            OperationError::InvalidToken(_) => ErrorKind::InvalidToken,
            OperationError::FailedUpdateConditionCheck(_) => ErrorKind::FailedUpdateConditionCheck,
            OperationError::Conflict(_) => ErrorKind::Conflict,
            OperationError::InvalidClientDeviceAuthToken(_) => ErrorKind::InvalidClientDeviceAuthToken,
            OperationError::InvalidCredential(_) => ErrorKind::InvalidCredential,
        }
    }

    /// The text meant for people.
    pub fn message(&self) -> Option<&str> {
        match self {
            OperationError::InvalidArguments(error) => error.message.as_deref(),
            OperationError::InvalidArtifactsDirectoryPath(error) => error.message.as_deref(),
            OperationError::InvalidRecipeDirectoryPath(error) => error.message.as_deref(),
            OperationError::Service(error) => error.message.as_deref(),
            OperationError::ResourceNotFound(error) => error.message.as_deref(),
            OperationError::Unauthorized(error) => error.message.as_deref(),
            OperationError::ComponentNotFound(error) => error.message.as_deref(),
            OperationError::InvalidToken(error) => error.message.as_deref(),
            OperationError::FailedUpdateConditionCheck(error) => error.message.as_deref(),
            OperationError::Conflict(error) => error.message.as_deref(),
            OperationError::InvalidClientDeviceAuthToken(error) => error.message.as_deref(),
            OperationError::InvalidCredential(error) => error.message.as_deref(),
        }
    }
}
