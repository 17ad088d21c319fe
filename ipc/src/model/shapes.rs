// Written by `cargo run -p hedgerow-ipc --example generate-model`; do not edit.

//! Structures as the model names them; a union has exactly one member.

use super::scalar::Blob;
use super::enums::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UserProperty {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SystemResourceLimits {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeploymentStatusDetails {
    #[serde(rename = "detailedDeploymentStatus")]
    pub detailed_deployment_status: DetailedDeploymentStatus,
    #[serde(rename = "deploymentErrorStack", skip_serializing_if = "Option::is_none")]
    pub deployment_error_stack: Option<Vec<String>>,
    #[serde(rename = "deploymentErrorTypes", skip_serializing_if = "Option::is_none")]
    pub deployment_error_types: Option<Vec<String>>,
    #[serde(rename = "deploymentFailureCause", skip_serializing_if = "Option::is_none")]
    pub deployment_failure_cause: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MessageContext {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunWithInfo {
    #[serde(rename = "posixUser", skip_serializing_if = "Option::is_none")]
    pub posix_user: Option<String>,
    #[serde(rename = "windowsUser", skip_serializing_if = "Option::is_none")]
    pub windows_user: Option<String>,
    #[serde(rename = "systemResourceLimits", skip_serializing_if = "Option::is_none")]
    pub system_resource_limits: Option<SystemResourceLimits>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LocalDeployment {
    #[serde(rename = "deploymentId")]
    pub deployment_id: String,
    pub status: DeploymentStatus,
    #[serde(rename = "createdOn", skip_serializing_if = "Option::is_none")]
    pub created_on: Option<String>,
    #[serde(rename = "deploymentStatusDetails", skip_serializing_if = "Option::is_none")]
    pub deployment_status_details: Option<DeploymentStatusDetails>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PostComponentUpdateEvent {
    #[serde(rename = "deploymentId")]
    pub deployment_id: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PreComponentUpdateEvent {
    #[serde(rename = "deploymentId")]
    pub deployment_id: String,
    #[serde(rename = "isGgcRestarting")]
    pub is_ggc_restarting: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConnectionStatusEvent {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<ConnectionStatus>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComponentDetails {
    #[serde(rename = "componentName")]
    pub component_name: String,
    pub version: String,
    pub state: LifecycleState,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Value>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CertificateUpdate {
    #[serde(rename = "privateKey", skip_serializing_if = "Option::is_none")]
    pub private_key: Option<String>,
    #[serde(rename = "publicKey", skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    #[serde(rename = "caCertificates", skip_serializing_if = "Option::is_none")]
    pub ca_certificates: Option<Vec<String>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BinaryMessage {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Blob>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<MessageContext>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JsonMessage {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<MessageContext>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MQTTCredential {
    #[serde(rename = "clientId", skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    #[serde(rename = "certificatePem", skip_serializing_if = "Option::is_none")]
    pub certificate_pem: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ValidateConfigurationUpdateEvent {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Value>,
    #[serde(rename = "deploymentId")]
    pub deployment_id: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    pub name: String,
    pub unit: MetricUnitType,
    pub value: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConfigurationUpdateEvent {
    #[serde(rename = "componentName")]
    pub component_name: String,
    #[serde(rename = "keyPath")]
    pub key_path: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MQTTMessage {
    #[serde(rename = "topicName")]
    pub topic_name: String,
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
pub enum ComponentUpdatePolicyEvents {
    #[serde(rename = "preUpdateEvent")]
    PreUpdateEvent(PreComponentUpdateEvent),
    #[serde(rename = "postUpdateEvent")]
    PostUpdateEvent(PostComponentUpdateEvent),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum SecretValue {
    #[serde(rename = "secretString")]
    SecretString(String),
    #[serde(rename = "secretBinary")]
    SecretBinary(Blob),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConfigurationValidityReport {
    pub status: ConfigurationValidityStatus,
    #[serde(rename = "deploymentId")]
    pub deployment_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum IoTCoreConnectionStatusEvent {
    #[serde(rename = "connectionStatusEvent")]
    ConnectionStatusEvent(ConnectionStatusEvent),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ClientDeviceCredential {
    #[serde(rename = "clientDeviceCertificate")]
    ClientDeviceCertificate(String),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum CertificateUpdateEvent {
    #[serde(rename = "certificateUpdate")]
    CertificateUpdate(CertificateUpdate),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CertificateOptions {
    #[serde(rename = "certificateType")]
    pub certificate_type: CertificateType,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum PublishMessage {
    #[serde(rename = "jsonMessage")]
    JsonMessage(JsonMessage),
    #[serde(rename = "binaryMessage")]
    BinaryMessage(BinaryMessage),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum CredentialDocument {
    #[serde(rename = "mqttCredential")]
    MqttCredential(MQTTCredential),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum SubscriptionResponseMessage {
    #[serde(rename = "jsonMessage")]
    JsonMessage(JsonMessage),
    #[serde(rename = "binaryMessage")]
    BinaryMessage(BinaryMessage),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ValidateConfigurationUpdateEvents {
    #[serde(rename = "validateConfigurationUpdateEvent")]
    ValidateConfigurationUpdateEvent(ValidateConfigurationUpdateEvent),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ConfigurationUpdateEvents {
    #[serde(rename = "configurationUpdateEvent")]
    ConfigurationUpdateEvent(ConfigurationUpdateEvent),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum IoTCoreMessage {
    #[serde(rename = "message")]
    Message(MQTTMessage),
}
