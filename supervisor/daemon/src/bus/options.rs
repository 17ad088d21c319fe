//! The options of `Deploy` and `Plan`, from texts to what they mean.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use hedgerow_api::{DeployOptions, Error, MAX_DEPLOY_NAMES};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{DeployRequest, directory};

/// A change of one component's configuration: first the resets, then the merge.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConfigurationUpdate {
    #[serde(rename = "MERGE", alias = "merge")]
    pub merge: Option<Map<String, Value>>,
    /// JSON pointers; the empty one is everything.
    #[serde(rename = "RESET", alias = "reset")]
    pub reset: Vec<String>,
}

/// As whom and within which limits a component runs.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct RunWith {
    /// `user` or `user:group`, inside the fence.
    pub posix_user: Option<String>,
    pub system_resource_limits: Option<ResourceLimits>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct ResourceLimits {
    /// Kilobytes.
    pub memory: Option<u64>,
    /// CPUs: 0.5 is half of one.
    pub cpus: Option<f64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FailurePolicy {
    #[default]
    Rollback,
    DoNothing,
}

/// Whether components are asked before they are changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpdatePolicy {
    /// Seconds.
    pub timeout: Option<u32>,
    pub action: UpdateAction,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum UpdateAction {
    #[default]
    #[serde(rename = "NOTIFY_COMPONENTS")]
    Notify,
    #[serde(rename = "SKIP_NOTIFY_COMPONENTS")]
    SkipNotify,
}

/// The arguments of `Deploy` and `Plan` as a request.
///
/// # Errors
/// [`Error::InvalidArgument`], which names the option.
pub async fn request(
    add: BTreeMap<String, String>,
    remove: Vec<String>,
    options: DeployOptions,
) -> Result<DeployRequest, Error> {
    let configuration = json("configuration", options.configuration)?;
    let run_with = json("run-with", options.run_with)?;
    let mut request = DeployRequest {
        recipe_dir: None,
        artifact_dir: None,
        public_only: options.recipe_path.is_some() || options.artifact_path.is_some(),
        add,
        remove,
        group: options.group,
        configuration: configuration.unwrap_or_default(),
        run_with: run_with.unwrap_or_default(),
        failure_policy: failure_policy(options.failure_handling_policy)?,
        update_policy: json("component-update-policy", options.component_update_policy)?,
        document: json("document", options.document)?,
    };
    check(&request)?;
    request.recipe_dir =
        open(["recipe-dir", "recipe-path"], options.recipe_dir, options.recipe_path).await?;
    request.artifact_dir =
        open(["artifact-dir", "artifact-path"], options.artifact_dir, options.artifact_path)
            .await?;
    Ok(request)
}

/// A component's own update; an empty text merges nothing.
///
/// # Errors
/// [`Error::InvalidArgument`] where it changes nothing, or `merge` is not a JSON object.
pub fn update(merge: &str, reset: Vec<String>) -> Result<ConfigurationUpdate, Error> {
    let given = (!merge.is_empty()).then(|| merge.to_owned());
    let merge = json("merge", given)?;
    match merge.is_none() && reset.is_empty() {
        true => {
            Err(Error::InvalidArgument("there is nothing to merge and nothing to reset".into()))
        }
        false => Ok(ConfigurationUpdate { merge, reset }),
    }
}

fn json<T: DeserializeOwned>(option: &str, text: Option<String>) -> Result<Option<T>, Error> {
    let parse = |text: String| serde_json::from_str(&text);
    text.map(parse)
        .transpose()
        .map_err(|error| Error::InvalidArgument(format!("option {option}: {error}")))
}

fn failure_policy(text: Option<String>) -> Result<FailurePolicy, Error> {
    match text.as_deref() {
        None | Some("ROLLBACK") => Ok(FailurePolicy::Rollback),
        Some("DO_NOTHING") => Ok(FailurePolicy::DoNothing),
        Some(other) => Err(Error::InvalidArgument(format!(
            "option failure-handling-policy: {other:?} is neither ROLLBACK nor DO_NOTHING"
        ))),
    }
}

fn check(request: &DeployRequest) -> Result<(), Error> {
    let refuse = |why: String| Err(Error::InvalidArgument(why));
    let named = request.add.len()
        + request.remove.len()
        + request.configuration.len()
        + request.run_with.len();
    if request.document.is_some() {
        let alone = named == 0
            && request.group.is_none()
            && request.update_policy.is_none()
            && request.failure_policy == FailurePolicy::default();
        return match alone {
            true => Ok(()),
            false => refuse("a document says all: give nothing beside it but directories".into()),
        };
    }
    match named {
        0 => {
            return refuse(
                "a deployment adds, removes or configures at least one component".into(),
            );
        }
        1..=MAX_DEPLOY_NAMES => {}
        _ => return refuse(format!("a deployment names at most {MAX_DEPLOY_NAMES} components")),
    }
    match request.remove.iter().find(|name| request.add.contains_key(*name)) {
        Some(name) => refuse(format!("component {name:?} is both to be added and removed")),
        None => Ok(()),
    }
}

/// An option as a descriptor or as a path, of which at most one is given.
async fn open(
    [open, path]: [&'static str; 2],
    fd: Option<zbus::OwnedFd>,
    name: Option<String>,
) -> Result<Option<OwnedFd>, Error> {
    match (fd, name) {
        (None, None) => Ok(None),
        (Some(fd), None) => directory::passed(open, fd.into()).map(Some),
        (None, Some(name)) => directory::named(path, name).await.map(Some),
        (Some(_), Some(_)) => {
            Err(Error::InvalidArgument(format!("options {open} and {path} exclude each other")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn asked(options: DeployOptions) -> Result<DeployRequest, Error> {
        request(BTreeMap::new(), vec![], options).await
    }

    #[tokio::test]
    async fn the_texts_of_greengrass_become_a_request() {
        let request = asked(DeployOptions {
            group: Some("gateways".into()),
            configuration: Some(r#"{"a": {"MERGE": {"k": [1]}, "RESET": ["/b"]}}"#.into()),
            run_with: Some(
                r#"{"a": {"posixUser": "u:g", "systemResourceLimits": {"memory": 9, "cpus": 0.5}}}"#
                    .into(),
            ),
            failure_handling_policy: Some("DO_NOTHING".into()),
            component_update_policy: Some(r#"{"action": "SKIP_NOTIFY_COMPONENTS"}"#.into()),
            ..DeployOptions::default()
        })
        .await
        .unwrap();
        let update = &request.configuration["a"];
        assert_eq!(serde_json::to_string(&update.merge).unwrap(), r#"{"k":[1]}"#);
        assert_eq!(update.reset, ["/b"]);
        let limits = ResourceLimits { memory: Some(9), cpus: Some(0.5) };
        assert_eq!(request.run_with["a"].system_resource_limits, Some(limits));
        assert_eq!(request.run_with["a"].posix_user.as_deref(), Some("u:g"));
        assert_eq!(request.failure_policy, FailurePolicy::DoNothing);
        assert_eq!(request.update_policy.unwrap().action, UpdateAction::SkipNotify);
    }

    #[tokio::test]
    async fn a_refusal_names_the_option() {
        let some = |text: &str| Some(text.to_owned());
        let none = DeployOptions::default;
        for (options, expected) in [
            (none(), "at least one component"),
            (DeployOptions { configuration: some("{"), ..none() }, "option configuration"),
            (DeployOptions { configuration: some(r#"{"a": {"MRGE": {}}}"#), ..none() }, "MRGE"),
            (
                DeployOptions { run_with: some(r#"{"a": {"windowsUser": "x"}}"#), ..none() },
                "windows",
            ),
            (
                DeployOptions { failure_handling_policy: some("UNDO"), ..none() },
                "\"UNDO\" is neither ROLLBACK nor DO_NOTHING",
            ),
            (
                DeployOptions { document: some("{}"), group: some("g"), ..none() },
                "give nothing beside it",
            ),
        ] {
            let refusal = asked(options).await.unwrap_err();
            assert!(matches!(refusal, Error::InvalidArgument(_)), "{refusal:?}");
            assert!(refusal.message().contains(expected), "{refusal}");
        }
    }
}
