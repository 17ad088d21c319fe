//! From what `CreateLocalDeployment` says to a deployment's document. Pure.

use std::collections::{BTreeMap, BTreeSet};

use hedgerow_component::{ComponentName, VersionReq};
use hedgerow_ipc::model::{CreateLocalDeploymentRequest, FailureHandlingPolicy, RunWithInfo};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::deployment::{ConfigurationUpdate, Document, FailurePolicy, Group, RunWith};

/// Components that one request may name.
const MAX_NAMES: usize = 1024;

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidDocument {
    #[error("a deployment adds, removes or configures at least one component")]
    Nothing,
    #[error("a deployment names at most {MAX_NAMES} components")]
    TooMany,
    #[error("groupName: {0}")]
    Group(String),
    #[error("{member}: {component:?}: {reason}")]
    Component { member: &'static str, component: String, reason: String },
    #[error("{component:?} is both to be added and to be removed")]
    Both { component: String },
}

/// Greengrass's members of one component's configuration update.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Update {
    #[serde(rename = "MERGE", alias = "merge")]
    merge: Option<Map<String, Value>>,
    #[serde(rename = "RESET", alias = "reset")]
    reset: Vec<String>,
}

pub fn document(request: CreateLocalDeploymentRequest) -> Result<Document, InvalidDocument> {
    let versions = request.root_component_versions_to_add.unwrap_or_default();
    let removals = request.root_components_to_remove.unwrap_or_default();
    let updates = request.component_to_configuration.unwrap_or_default();
    let run_with = request.component_to_run_with_info.unwrap_or_default();
    match versions.len() + removals.len() + updates.len() + run_with.len() {
        0 => return Err(InvalidDocument::Nothing),
        1..=MAX_NAMES => {}
        _ => return Err(InvalidDocument::TooMany),
    }
    let add = named("rootComponentVersionsToAdd", versions, |version| {
        version.parse::<VersionReq>().map_err(|error| error.to_string())
    })?;
    let removals = removals.into_iter().map(|name| (name, ())).collect();
    let remove = named("rootComponentsToRemove", removals, |()| Ok(()))?;
    let remove: BTreeSet<ComponentName> = remove.into_keys().collect();
    if let Some(both) = remove.iter().find(|name| add.contains_key(*name)) {
        return Err(InvalidDocument::Both { component: both.to_string() });
    }
    let mut document = Document::local(add, remove);
    document.configuration = named("componentToConfiguration", updates, |update| {
        let update: Update = serde_json::from_value(update).map_err(|error| error.to_string())?;
        Ok(ConfigurationUpdate { merge: update.merge, reset: update.reset })
    })?;
    document.run_with = named("componentToRunWithInfo", run_with, self::run_with)?;
    if let Some(name) = request.group_name.filter(|name| !name.is_empty()) {
        document.group = group(&name)?;
    }
    if let Some(policy) = request.failure_handling_policy {
        document.failure_policy = match policy {
            FailureHandlingPolicy::Rollback => FailurePolicy::Rollback,
            FailureHandlingPolicy::DoNothing => FailurePolicy::DoNothing,
        };
    }
    Ok(document)
}

fn named<T, U>(
    member: &'static str,
    entries: BTreeMap<String, T>,
    read: impl Fn(T) -> Result<U, String>,
) -> Result<BTreeMap<ComponentName, U>, InvalidDocument> {
    let read_one = |(component, value): (String, T)| {
        let name = ComponentName::try_from(component.clone()).map_err(|error| error.to_string());
        let both = name.and_then(|name| Ok((name, read(value)?)));
        both.map_err(|reason| InvalidDocument::Component { member, component, reason })
    };
    entries.into_iter().map(read_one).collect()
}

fn run_with(info: RunWithInfo) -> Result<RunWith, String> {
    if info.windows_user.is_some() {
        return Err("windowsUser: this is Linux".to_owned());
    }
    let limits = info.system_resource_limits;
    let memory = limits.as_ref().and_then(|limits| limits.memory).map(u64::try_from).transpose();
    let memory = memory.map_err(|_| "memory is negative".to_owned())?;
    let cpus = limits.and_then(|limits| limits.cpus);
    Ok(RunWith { posix_user: info.posix_user, memory, cpus })
}

/// A bare name is a thing group's, as in Greengrass.
fn group(name: &str) -> Result<Group, InvalidDocument> {
    let parsed = match name.parse() {
        Ok(Group::Image) | Err(_) if !name.contains('/') => format!("thinggroup/{name}").parse(),
        parsed => parsed,
    };
    parsed.map_err(|error| InvalidDocument::Group(error.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(request: Value) -> Result<Document, InvalidDocument> {
        document(serde_json::from_value(request).expect("a request of the model"))
    }

    #[test]
    fn everything_that_can_be_said() {
        let document = read(json!({
            "groupName": "gateways",
            "rootComponentVersionsToAdd": {"a.b": "1.0.0", "c": "^2.1"},
            "rootComponentsToRemove": ["d"],
            "componentToConfiguration": {"a.b": {"MERGE": {"k": 1}, "RESET": ["/x", ""]}},
            "componentToRunWithInfo": {
                "a.b": {"posixUser": "u:g", "systemResourceLimits": {"memory": 1024, "cpus": 0.5}}
            },
            "failureHandlingPolicy": "DO_NOTHING",
        }))
        .expect("valid");
        assert_eq!(document.group, Group::ThingGroup("gateways".to_owned()));
        assert_eq!(document.failure_policy, FailurePolicy::DoNothing);
        let named: Vec<String> = document.named().keys().map(ToString::to_string).collect();
        assert_eq!(named, ["a.b", "c"]);
        let update = document.configuration.values().next().expect("one");
        assert_eq!(update.reset, ["/x", ""]);
        assert_eq!(update.merge.as_ref().and_then(|map| map.get("k")), Some(&json!(1)));
        let run_with = document.run_with.values().next().expect("one");
        assert_eq!((run_with.memory, run_with.cpus), (Some(1024), Some(0.5)));
        let local = read(json!({"rootComponentsToRemove": ["d"]})).expect("valid");
        assert_eq!(local.group, Group::Local);
        assert_eq!(local.failure_policy, FailurePolicy::Rollback);
    }

    #[test]
    fn a_refusal_says_where() {
        let table = [
            (json!({}), "at least one"),
            (
                json!({"rootComponentVersionsToAdd": {"a": "one"}}),
                "rootComponentVersionsToAdd: \"a\"",
            ),
            (json!({"rootComponentsToRemove": ["a b"]}), "rootComponentsToRemove: \"a b\""),
            (
                json!({"rootComponentVersionsToAdd": {"a": "1.0.0"}, "rootComponentsToRemove": ["a"]}),
                "both",
            ),
            (json!({"componentToConfiguration": {"a": {"MRGE": {}}}}), "MRGE"),
            (
                json!({"componentToConfiguration": {"a": {"MERGE": [1]}}}),
                "componentToConfiguration",
            ),
            (json!({"componentToRunWithInfo": {"a": {"windowsUser": "w"}}}), "windowsUser"),
            (
                json!({"componentToRunWithInfo": {"a": {"systemResourceLimits": {"memory": -1}}}}),
                "negative",
            ),
            (json!({"rootComponentsToRemove": ["a"], "groupName": "x/y"}), "groupName"),
        ];
        for (request, part) in table {
            let refusal = read(request.clone()).expect_err("refused").to_string();
            assert!(refusal.contains(part), "{request}: {refusal}");
        }
    }
}
