//! The options of `Deploy` and `Plan`, from texts to what they mean.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::os::fd::OwnedFd;
use std::time::Duration;

use hedgerow_api::{DeployOptions, Error, MAX_DEPLOY_NAMES};
use hedgerow_component::{ComponentName, VersionReq};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::directory;
use crate::deployment::{
    ConfigurationUpdate, Document, FailurePolicy, Group, Request, RunWith, UpdateAction,
    UpdatePolicy,
};

/// A change of one component's configuration: first the resets, then the merge.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Update {
    #[serde(rename = "MERGE", alias = "merge")]
    merge: Option<Map<String, Value>>,
    #[serde(rename = "RESET", alias = "reset")]
    reset: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct AsWhom {
    posix_user: Option<String>,
    system_resource_limits: Limits,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Limits {
    memory: Option<u64>,
    cpus: Option<f64>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Asking {
    /// Seconds.
    timeout: Option<u32>,
    action: Option<UpdateAction>,
}

/// The arguments of `Deploy` and `Plan` as a request.
///
/// # Errors
/// [`Error::InvalidArgument`], which names the option or the component.
pub async fn request(
    add: BTreeMap<String, String>,
    remove: Vec<String>,
    mut options: DeployOptions,
) -> Result<Request, Error> {
    let document = match options.document.take() {
        Some(text) => complete(&text, add.is_empty() && remove.is_empty(), &options)?,
        None => delta(add, remove, &mut options)?,
    };
    let (recipes, artifacts) = (["recipe-dir", "recipe-path"], ["artifact-dir", "artifact-path"]);
    Ok(Request {
        document,
        public_only: options.recipe_path.is_some() || options.artifact_path.is_some(),
        recipe_dir: open(recipes, options.recipe_dir, options.recipe_path).await?,
        artifact_dir: open(artifacts, options.artifact_dir, options.artifact_path).await?,
    })
}

/// A component's own update; an empty text merges nothing.
///
/// # Errors
/// [`Error::InvalidArgument`] where it changes nothing, or `merge` is not a JSON object.
pub fn update(component: &str, merge: &str, reset: Vec<String>) -> Result<Request, Error> {
    let given = (!merge.is_empty()).then(|| merge.to_owned());
    let merge = json("merge", given)?;
    if merge.is_none() && reset.is_empty() {
        return Err(invalid("nothing is to be merged, and nothing to be reset"));
    }
    let mut document = Document::local(BTreeMap::new(), BTreeSet::new());
    document.configuration =
        [(name(component.to_owned())?, ConfigurationUpdate { merge, reset })].into();
    Ok(Request { document, recipe_dir: None, artifact_dir: None, public_only: false })
}

fn complete(text: &str, is_alone: bool, options: &DeployOptions) -> Result<Document, Error> {
    let others = [
        options.group.is_some(),
        options.configuration.is_some(),
        options.run_with.is_some(),
        options.failure_handling_policy.is_some(),
        options.component_update_policy.is_some(),
    ];
    match is_alone && !others.contains(&true) {
        true => Document::parse(text).map_err(|error| invalid(format!("option document: {error}"))),
        false => Err(invalid("a document says all: give nothing beside it but directories")),
    }
}

fn delta(
    add: BTreeMap<String, String>,
    remove: Vec<String>,
    options: &mut DeployOptions,
) -> Result<Document, Error> {
    let configuration: BTreeMap<String, Update> =
        json("configuration", options.configuration.take())?.unwrap_or_default();
    let run_with: BTreeMap<String, AsWhom> =
        json("run-with", options.run_with.take())?.unwrap_or_default();
    match add.len() + remove.len() + configuration.len() + run_with.len() {
        0 => {
            return Err(invalid("a deployment adds, removes or configures at least one component"));
        }
        1..=MAX_DEPLOY_NAMES => {}
        _ => {
            return Err(invalid(format!(
                "a deployment names at most {MAX_DEPLOY_NAMES} components"
            )));
        }
    }
    if let Some(both) = remove.iter().find(|name| add.contains_key(*name)) {
        return Err(invalid(format!("component {both:?} is both to be added and removed")));
    }
    let added = add.into_iter().map(|(component, version)| {
        let range: Result<VersionReq, _> = version.parse();
        let range = range.map_err(|error| invalid(format!("{component}: {error}")))?;
        Ok((name(component)?, range))
    });
    let mut document = Document::local(
        added.collect::<Result<_, Error>>()?,
        remove.into_iter().map(name).collect::<Result<_, _>>()?,
    );
    document.group = group(options.group.take())?;
    for (component, Update { merge, reset }) in configuration {
        document.configuration.insert(name(component)?, ConfigurationUpdate { merge, reset });
    }
    for (component, AsWhom { posix_user, system_resource_limits }) in run_with {
        let Limits { memory, cpus } = system_resource_limits;
        document.run_with.insert(name(component)?, RunWith { posix_user, memory, cpus });
    }
    document.failure_policy = failure_policy(options.failure_handling_policy.take())?;
    let asking = options.component_update_policy.take();
    if let Some(Asking { timeout, action }) = json("component-update-policy", asking)? {
        let default = UpdatePolicy::default();
        document.update_policy = UpdatePolicy {
            action: action.unwrap_or(default.action),
            timeout: timeout.map_or(default.timeout, |seconds| Duration::from_secs(seconds.into())),
        };
    }
    Ok(document)
}

/// A bare name is a thing group's, as in `greengrass-cli`.
fn group(text: Option<String>) -> Result<Group, Error> {
    let group = match text {
        None => return Ok(Group::Local),
        Some(text) if text.contains('/') || text == "LOCAL_DEPLOYMENTS" => text.parse(),
        Some(bare) => format!("thinggroup/{bare}").parse(),
    };
    group.map_err(|error| invalid(format!("option group: {error}")))
}

fn failure_policy(text: Option<String>) -> Result<FailurePolicy, Error> {
    match text.as_deref() {
        None | Some("ROLLBACK") => Ok(FailurePolicy::Rollback),
        Some("DO_NOTHING") => Ok(FailurePolicy::DoNothing),
        Some(other) => Err(invalid(format!(
            "option failure-handling-policy: {other:?} is neither ROLLBACK nor DO_NOTHING"
        ))),
    }
}

fn name(text: String) -> Result<ComponentName, Error> {
    ComponentName::try_from(text.clone()).map_err(|error| invalid(format!("{text:?}: {error}")))
}

fn json<T: DeserializeOwned>(option: &str, text: Option<String>) -> Result<Option<T>, Error> {
    let parse = |text: String| serde_json::from_str(&text);
    text.map(parse).transpose().map_err(|error| invalid(format!("option {option}: {error}")))
}

fn invalid(why: impl Display) -> Error {
    Error::InvalidArgument(why.to_string())
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
    use crate::deployment::Change;

    async fn asked(options: DeployOptions) -> Result<Request, Error> {
        request(BTreeMap::new(), vec![], options).await
    }

    #[tokio::test]
    async fn the_texts_of_greengrass_become_a_document() {
        let document = asked(DeployOptions {
            group: Some("gateways".into()),
            configuration: Some(r#"{"a": {"MERGE": {"k": [1]}, "RESET": ["/b"]}}"#.into()),
            run_with: Some(
                r#"{"a": {"posixUser": "u:g", "systemResourceLimits": {"memory": 9, "cpus": 0.5}}}"#
                    .into(),
            ),
            failure_handling_policy: Some("DO_NOTHING".into()),
            component_update_policy: Some(r#"{"action": "NOTIFY_COMPONENTS"}"#.into()),
            ..DeployOptions::default()
        })
        .await
        .unwrap()
        .document;
        let a = name("a".into()).unwrap();
        let update = &document.configuration[&a];
        assert_eq!(serde_json::to_string(&update.merge).unwrap(), r#"{"k":[1]}"#);
        assert_eq!(update.reset, ["/b"]);
        let run_with = RunWith { posix_user: Some("u:g".into()), memory: Some(9), cpus: Some(0.5) };
        assert_eq!(document.run_with[&a], run_with);
        assert_eq!(document.failure_policy, FailurePolicy::DoNothing);
        assert_eq!(document.update_policy, UpdatePolicy::default());
        assert_eq!(document.group, Group::ThingGroup("gateways".into()));
    }

    #[tokio::test]
    async fn a_complete_document_says_all() {
        let text = r#"{"components": {"a": {"version": "1.0.0"}}}"#;
        let options = DeployOptions { document: Some(text.into()), ..DeployOptions::default() };
        let document = asked(options).await.unwrap().document;
        assert!(
            matches!(document.change, Change::Complete { components } if components.len() == 1)
        );
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
            (DeployOptions { run_with: some(r#"{"a b": {}}"#), ..none() }, "a b"),
            (
                DeployOptions { run_with: some(r#"{"a": {}}"#), group: some("x/y"), ..none() },
                "option group",
            ),
            (
                DeployOptions {
                    run_with: some(r#"{"a": {}}"#),
                    failure_handling_policy: some("UNDO"),
                    ..none()
                },
                "\"UNDO\" is neither ROLLBACK nor DO_NOTHING",
            ),
            (DeployOptions { document: some("[]"), ..none() }, "option document"),
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
