// Written by `cargo run -p hedgerow-ipc --example generate-model`; do not edit.

//! The enumerations: strings on the wire.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DetailedDeploymentStatus {
    #[serde(rename = "SUCCESSFUL")]
    Successful,
    #[serde(rename = "FAILED_NO_STATE_CHANGE")]
    FailedNoStateChange,
    #[serde(rename = "FAILED_ROLLBACK_NOT_REQUESTED")]
    FailedRollbackNotRequested,
    #[serde(rename = "FAILED_ROLLBACK_COMPLETE")]
    FailedRollbackComplete,
    #[serde(rename = "REJECTED")]
    Rejected,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeploymentStatus {
    #[serde(rename = "QUEUED")]
    Queued,
    #[serde(rename = "IN_PROGRESS")]
    InProgress,
    #[serde(rename = "SUCCEEDED")]
    Succeeded,
    #[serde(rename = "FAILED")]
    Failed,
    #[serde(rename = "CANCELED")]
    Canceled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConnectionStatus {
    #[serde(rename = "CONNECTED")]
    Connected,
    #[serde(rename = "DISCONNECTED")]
    Disconnected,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LifecycleState {
    #[serde(rename = "RUNNING")]
    Running,
    #[serde(rename = "ERRORED")]
    Errored,
    #[serde(rename = "NEW")]
    New,
    #[serde(rename = "FINISHED")]
    Finished,
    #[serde(rename = "INSTALLED")]
    Installed,
    #[serde(rename = "BROKEN")]
    Broken,
    #[serde(rename = "STARTING")]
    Starting,
    #[serde(rename = "STOPPING")]
    Stopping,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MetricUnitType {
    #[serde(rename = "BYTES")]
    Bytes,
    #[serde(rename = "BYTES_PER_SECOND")]
    BytesPerSecond,
    #[serde(rename = "COUNT")]
    Count,
    #[serde(rename = "COUNT_PER_SECOND")]
    CountPerSecond,
    #[serde(rename = "MEGABYTES")]
    Megabytes,
    #[serde(rename = "SECONDS")]
    Seconds,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PayloadFormat {
    #[serde(rename = "0")]
    Bytes,
    #[serde(rename = "1")]
    Utf8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConfigurationValidityStatus {
    #[serde(rename = "ACCEPTED")]
    Accepted,
    #[serde(rename = "REJECTED")]
    Rejected,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CertificateType {
    #[serde(rename = "SERVER")]
    Server,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureHandlingPolicy {
    #[serde(rename = "ROLLBACK")]
    Rollback,
    #[serde(rename = "DO_NOTHING")]
    DoNothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RequestStatus {
    #[serde(rename = "SUCCEEDED")]
    Succeeded,
    #[serde(rename = "FAILED")]
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReportedLifecycleState {
    #[serde(rename = "RUNNING")]
    Running,
    #[serde(rename = "ERRORED")]
    Errored,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReceiveMode {
    #[serde(rename = "RECEIVE_ALL_MESSAGES")]
    ReceiveAllMessages,
    #[serde(rename = "RECEIVE_MESSAGES_FROM_OTHERS")]
    ReceiveMessagesFromOthers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Qos {
    #[serde(rename = "0")]
    AtMostOnce,
    #[serde(rename = "1")]
    AtLeastOnce,
}
