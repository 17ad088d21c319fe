// Written by `cargo run -p hedgerow-ipc --example generate-model`; do not edit.

//! Structures as the model names them; a union has exactly one member.

use super::scalar::{Blob, Timestamp};
use super::{enums::*, shapes::*};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CreateLocalDeploymentResponse {
    #[serde(rename = "deploymentId", skip_serializing_if = "Option::is_none")]
    pub deployment_id: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CreateLocalDeploymentRequest {
    #[serde(rename = "groupName", skip_serializing_if = "Option::is_none")]
    pub group_name: Option<String>,
    #[serde(rename = "rootComponentVersionsToAdd", skip_serializing_if = "Option::is_none")]
    pub root_component_versions_to_add: Option<BTreeMap<String, String>>,
    #[serde(rename = "rootComponentsToRemove", skip_serializing_if = "Option::is_none")]
    pub root_components_to_remove: Option<Vec<String>>,
    #[serde(rename = "componentToConfiguration", skip_serializing_if = "Option::is_none")]
    pub component_to_configuration: Option<BTreeMap<String, Value>>,
    #[serde(rename = "componentToRunWithInfo", skip_serializing_if = "Option::is_none")]
    pub component_to_run_with_info: Option<BTreeMap<String, RunWithInfo>>,
    #[serde(rename = "recipeDirectoryPath", skip_serializing_if = "Option::is_none")]
    pub recipe_directory_path: Option<String>,
    #[serde(rename = "artifactsDirectoryPath", skip_serializing_if = "Option::is_none")]
    pub artifacts_directory_path: Option<String>,
    #[serde(rename = "failureHandlingPolicy", skip_serializing_if = "Option::is_none")]
    pub failure_handling_policy: Option<FailureHandlingPolicy>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PauseComponentResponse {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PauseComponentRequest {
    #[serde(rename = "componentName")]
    pub component_name: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StopComponentResponse {
    #[serde(rename = "stopStatus")]
    pub stop_status: RequestStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StopComponentRequest {
    #[serde(rename = "componentName")]
    pub component_name: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ListLocalDeploymentsResponse {
    #[serde(rename = "localDeployments", skip_serializing_if = "Option::is_none")]
    pub local_deployments: Option<Vec<LocalDeployment>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ListLocalDeploymentsRequest {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubscribeToComponentUpdatesResponse {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubscribeToComponentUpdatesRequest {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ListNamedShadowsForThingResponse {
    pub results: Vec<String>,
    pub timestamp: Timestamp,
    #[serde(rename = "nextToken", skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ListNamedShadowsForThingRequest {
    #[serde(rename = "thingName")]
    pub thing_name: String,
    #[serde(rename = "nextToken", skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    #[serde(rename = "pageSize", skip_serializing_if = "Option::is_none")]
    pub page_size: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CancelLocalDeploymentResponse {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CancelLocalDeploymentRequest {
    #[serde(rename = "deploymentId", skip_serializing_if = "Option::is_none")]
    pub deployment_id: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpdateStateResponse {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpdateStateRequest {
    pub state: ReportedLifecycleState,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetSecretValueResponse {
    #[serde(rename = "secretId")]
    pub secret_id: String,
    #[serde(rename = "versionId")]
    pub version_id: String,
    #[serde(rename = "versionStage")]
    pub version_stage: Vec<String>,
    #[serde(rename = "secretValue")]
    pub secret_value: SecretValue,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetSecretValueRequest {
    #[serde(rename = "secretId")]
    pub secret_id: String,
    #[serde(rename = "versionId", skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    #[serde(rename = "versionStage", skip_serializing_if = "Option::is_none")]
    pub version_stage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetLocalDeploymentStatusResponse {
    pub deployment: LocalDeployment,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetLocalDeploymentStatusRequest {
    #[serde(rename = "deploymentId")]
    pub deployment_id: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RestartComponentResponse {
    #[serde(rename = "restartStatus")]
    pub restart_status: RequestStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RestartComponentRequest {
    #[serde(rename = "componentName")]
    pub component_name: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ValidateAuthorizationTokenResponse {
    #[serde(rename = "isValid")]
    pub is_valid: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ValidateAuthorizationTokenRequest {
    pub token: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpdateConfigurationResponse {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpdateConfigurationRequest {
    #[serde(rename = "keyPath", skip_serializing_if = "Option::is_none")]
    pub key_path: Option<Vec<String>>,
    pub timestamp: Timestamp,
    #[serde(rename = "valueToMerge")]
    pub value_to_merge: Value,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpdateThingShadowResponse {
    pub payload: Blob,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpdateThingShadowRequest {
    #[serde(rename = "thingName")]
    pub thing_name: String,
    #[serde(rename = "shadowName", skip_serializing_if = "Option::is_none")]
    pub shadow_name: Option<String>,
    pub payload: Blob,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SendConfigurationValidityReportResponse {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SendConfigurationValidityReportRequest {
    #[serde(rename = "configurationValidityReport")]
    pub configuration_validity_report: ConfigurationValidityReport,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetThingShadowResponse {
    pub payload: Blob,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetThingShadowRequest {
    #[serde(rename = "thingName")]
    pub thing_name: String,
    #[serde(rename = "shadowName", skip_serializing_if = "Option::is_none")]
    pub shadow_name: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubscribeToIoTCoreConnectionStatusResponse {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubscribeToIoTCoreConnectionStatusRequest {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CreateDebugPasswordResponse {
    pub password: String,
    pub username: String,
    #[serde(rename = "passwordExpiration")]
    pub password_expiration: Timestamp,
    #[serde(rename = "certificateSHA256Hash", skip_serializing_if = "Option::is_none")]
    pub certificate_sha256_hash: Option<String>,
    #[serde(rename = "certificateSHA1Hash", skip_serializing_if = "Option::is_none")]
    pub certificate_sha1_hash: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CreateDebugPasswordRequest {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ListComponentsResponse {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub components: Option<Vec<ComponentDetails>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ListComponentsRequest {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuthorizeClientDeviceActionResponse {
    #[serde(rename = "isAuthorized")]
    pub is_authorized: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuthorizeClientDeviceActionRequest {
    #[serde(rename = "clientDeviceAuthToken")]
    pub client_device_auth_token: String,
    pub operation: String,
    pub resource: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VerifyClientDeviceIdentityResponse {
    #[serde(rename = "isValidClientDevice")]
    pub is_valid_client_device: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VerifyClientDeviceIdentityRequest {
    pub credential: ClientDeviceCredential,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubscribeToCertificateUpdatesResponse {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubscribeToCertificateUpdatesRequest {
    #[serde(rename = "certificateOptions")]
    pub certificate_options: CertificateOptions,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PublishToTopicResponse {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PublishToTopicRequest {
    pub topic: String,
    #[serde(rename = "publishMessage")]
    pub publish_message: PublishMessage,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetClientDeviceAuthTokenResponse {
    #[serde(rename = "clientDeviceAuthToken")]
    pub client_device_auth_token: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetClientDeviceAuthTokenRequest {
    pub credential: CredentialDocument,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetComponentDetailsResponse {
    #[serde(rename = "componentDetails")]
    pub component_details: ComponentDetails,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetComponentDetailsRequest {
    #[serde(rename = "componentName")]
    pub component_name: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubscribeToTopicResponse {
    #[serde(rename = "topicName", skip_serializing_if = "Option::is_none")]
    pub topic_name: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubscribeToTopicRequest {
    pub topic: String,
    #[serde(rename = "receiveMode", skip_serializing_if = "Option::is_none")]
    pub receive_mode: Option<ReceiveMode>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetConfigurationResponse {
    #[serde(rename = "componentName", skip_serializing_if = "Option::is_none")]
    pub component_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetConfigurationRequest {
    #[serde(rename = "componentName", skip_serializing_if = "Option::is_none")]
    pub component_name: Option<String>,
    #[serde(rename = "keyPath")]
    pub key_path: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubscribeToValidateConfigurationUpdatesResponse {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubscribeToValidateConfigurationUpdatesRequest {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeferComponentUpdateResponse {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeferComponentUpdateRequest {
    #[serde(rename = "deploymentId")]
    pub deployment_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(rename = "recheckAfterMs", skip_serializing_if = "Option::is_none")]
    pub recheck_after_ms: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PutComponentMetricResponse {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PutComponentMetricRequest {
    pub metrics: Vec<Metric>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeleteThingShadowResponse {
    pub payload: Blob,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeleteThingShadowRequest {
    #[serde(rename = "thingName")]
    pub thing_name: String,
    #[serde(rename = "shadowName", skip_serializing_if = "Option::is_none")]
    pub shadow_name: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubscribeToConfigurationUpdateResponse {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubscribeToConfigurationUpdateRequest {
    #[serde(rename = "componentName", skip_serializing_if = "Option::is_none")]
    pub component_name: Option<String>,
    #[serde(rename = "keyPath")]
    pub key_path: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PublishToIoTCoreResponse {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PublishToIoTCoreRequest {
    #[serde(rename = "topicName")]
    pub topic_name: String,
    pub qos: Qos,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Blob>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retain: Option<bool>,
    #[serde(rename = "userProperties", skip_serializing_if = "Option::is_none")]
    pub user_properties: Option<Vec<UserProperty>>,
    #[serde(rename = "messageExpiryIntervalSeconds", skip_serializing_if = "Option::is_none")]
    pub message_expiry_interval_seconds: Option<i64>,
    #[serde(rename = "correlationData", skip_serializing_if = "Option::is_none")]
    pub correlation_data: Option<Blob>,
    #[serde(rename = "responseTopic", skip_serializing_if = "Option::is_none")]
    pub response_topic: Option<String>,
    #[serde(rename = "payloadFormat", skip_serializing_if = "Option::is_none")]
    pub payload_format: Option<PayloadFormat>,
    #[serde(rename = "contentType", skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResumeComponentResponse {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResumeComponentRequest {
    #[serde(rename = "componentName")]
    pub component_name: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubscribeToIoTCoreResponse {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubscribeToIoTCoreRequest {
    #[serde(rename = "topicName")]
    pub topic_name: String,
    pub qos: Qos,
}
