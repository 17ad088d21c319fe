//! Deployment documents as JSON: what the cloud sends a device, and what people write for `CreateDeployment`.
//!
//! The two differ: the control plane says `componentVersion`, `timeoutInSeconds`, puts policies in
//! `deploymentPolicies` and a component's `merge` into a string of JSON. Both are read.

use std::collections::BTreeMap;
use std::time::Duration;

use hedgerow_component::{ComponentName, VersionReq};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    Change, ConfigurationUpdate, DeploymentId, Document, FailurePolicy, Group, InvalidGroup,
    InvalidId, RunWith, UpdateAction, UpdatePolicy,
};

/// Largest document that is read, in bytes.
const MAX_BYTES: usize = 10 * 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum InvalidDocument {
    #[error("the document has {0} bytes; at most {MAX_BYTES} are read")]
    TooLarge(usize),
    #[error("the document is not a deployment's JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Id(#[from] InvalidId),
    #[error(transparent)]
    Group(#[from] InvalidGroup),
    #[error("component {0:?}: {1}")]
    Component(String, String),
    #[error("{component}: configurationUpdate.merge is not a map or the JSON text of one")]
    Merge { component: String },
    #[error("the ARN {0:?} names no thing and no thing group")]
    Arn(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    deployment_id: Option<String>,
    #[serde(default)]
    deployment_name: String,
    configuration_arn: Option<String>,
    target_arn: Option<String>,
    creation_timestamp: Option<i64>,
    #[serde(default)]
    components: BTreeMap<String, RawComponent>,
    #[serde(flatten)]
    policies: RawPolicies,
    #[serde(default)]
    deployment_policies: RawPolicies,
    #[serde(default)]
    required_capabilities: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawComponent {
    #[serde(alias = "componentVersion")]
    version: String,
    #[serde(default)]
    configuration_update: RawUpdate,
    #[serde(default)]
    run_with: RawRunWith,
}

#[derive(Default, Deserialize)]
struct RawUpdate {
    merge: Option<Value>,
    #[serde(default)]
    reset: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawRunWith {
    posix_user: Option<String>,
    #[serde(default)]
    system_resource_limits: RawLimits,
}

#[derive(Default, Deserialize)]
struct RawLimits {
    memory: Option<u64>,
    cpus: Option<f64>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPolicies {
    failure_handling_policy: Option<FailurePolicy>,
    component_update_policy: Option<RawUpdatePolicy>,
    configuration_validation_policy: Option<RawTimeout>,
}

#[derive(Deserialize)]
struct RawUpdatePolicy {
    #[serde(flatten)]
    timeout: RawTimeout,
    action: Option<UpdateAction>,
}

#[derive(Deserialize)]
struct RawTimeout {
    /// Seconds.
    #[serde(alias = "timeoutInSeconds")]
    timeout: Option<u32>,
}

impl Document {
    /// Reads a complete document. Without an id one is made; without an ARN the group is the local one.
    pub fn parse(text: &str) -> Result<Self, InvalidDocument> {
        if text.len() > MAX_BYTES {
            return Err(InvalidDocument::TooLarge(text.len()));
        }
        let raw: Raw = serde_json::from_str(text)?;
        let group = match raw.configuration_arn.or(raw.target_arn) {
            Some(arn) => group_of(&arn)?,
            None => Group::Local,
        };
        let (mut components, mut configuration, mut run_with) =
            (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for (name, component) in raw.components {
            let invalid = |error: String| InvalidDocument::Component(name.clone(), error);
            let key = ComponentName::try_from(name.clone())
                .map_err(|error| invalid(error.to_string()))?;
            let range: VersionReq =
                component.version.parse().map_err(|error| invalid(format!("{error}")))?;
            let update = ConfigurationUpdate {
                merge: merge(&name, component.configuration_update.merge)?,
                reset: component.configuration_update.reset,
            };
            if update != ConfigurationUpdate::default() {
                configuration.insert(key.clone(), update);
            }
            let as_whom = component.run_with.read();
            if as_whom != RunWith::default() {
                run_with.insert(key.clone(), as_whom);
            }
            components.insert(key, range);
        }
        let mut document = Self::of(group, Change::Complete { components });
        if let Some(id) = raw.deployment_id {
            document.id = DeploymentId::try_from(id)?;
        }
        document.name = raw.deployment_name;
        document.created = raw.creation_timestamp.unwrap_or(document.created);
        document.configuration = configuration;
        document.run_with = run_with;
        document.required_capabilities = raw.required_capabilities;
        raw.deployment_policies.apply(&mut document);
        raw.policies.apply(&mut document);
        Ok(document)
    }
}

impl RawPolicies {
    fn apply(self, document: &mut Document) {
        if let Some(policy) = self.failure_handling_policy {
            document.failure_policy = policy;
        }
        if let Some(policy) = self.component_update_policy {
            let default = UpdatePolicy::default();
            document.update_policy = UpdatePolicy {
                action: policy.action.unwrap_or(default.action),
                timeout: policy.timeout.read().unwrap_or(default.timeout),
            };
        }
        if let Some(timeout) = self.configuration_validation_policy {
            // A policy that is there defaults to 60 s; one that is not there is 20 s.
            document.validation_timeout = timeout.read().unwrap_or(Duration::from_secs(60));
        }
    }
}

impl RawTimeout {
    fn read(&self) -> Option<Duration> {
        self.timeout.map(|seconds| Duration::from_secs(seconds.into()))
    }
}

impl RawRunWith {
    fn read(self) -> RunWith {
        let limits = self.system_resource_limits;
        RunWith { posix_user: self.posix_user, memory: limits.memory, cpus: limits.cpus }
    }
}

fn merge(
    component: &str,
    value: Option<Value>,
) -> Result<Option<Map<String, Value>>, InvalidDocument> {
    let value = match value {
        Some(Value::String(text)) => serde_json::from_str(&text).ok(),
        other => other,
    };
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map)),
        Some(_) => Err(InvalidDocument::Merge { component: component.to_owned() }),
    }
}

/// `…:configuration:thinggroup/<name>:<revision>` of a device's document, or `…:thinggroup/<name>` of a target.
fn group_of(arn: &str) -> Result<Group, InvalidDocument> {
    let invalid = || InvalidDocument::Arn(arn.chars().take(512).collect());
    if let Some((_, rest)) = arn.split_once(":configuration:") {
        let (group, _revision) = rest.rsplit_once(':').ok_or_else(invalid)?;
        return Ok(group.parse()?);
    }
    let start = [":thinggroup/", ":thing/"].iter().find_map(|kind| arn.find(kind));
    let group = start.and_then(|start| arn.get(start + 1..)).ok_or_else(invalid)?;
    Ok(group.parse()?)
}
