//! From what is stored of a component to what runs: recipe variables filled in, limits looked up.

use std::collections::BTreeMap;

use hedgerow_component::platform::{Mismatch, Platform};
use hedgerow_component::recipe::{
    DependencyKind, InvalidPrivilege, InvalidTimeout, Manifest, StepName,
};
use hedgerow_component::variables::{Scope, Values};
use hedgerow_component::{ComponentName, Recipe};
use hedgerow_isolation::plan::{IdRange, Limits};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::document::RunWith;
use crate::definition::{Definition, StepDefinition};
use crate::layout::{ROOT_PATH, inside};
use crate::lifecycle::StepKind;
use crate::packages::Place;
use crate::settings::Settings;

/// One component of a resolution, with everything that its definition is made from.
#[derive(Debug)]
pub struct Ingredients {
    pub recipe: Recipe,
    /// Directory of its artifacts, relative to the state directory.
    pub package: String,
    pub place: Place,
    pub slot: u32,
    pub ids: IdRange,
    pub configuration: Value,
    pub run_with: RunWith,
}

#[derive(Debug, thiserror::Error)]
pub enum DefineError {
    #[error("{0} is not part of the deployment")]
    Missing(String),
    #[error("{component} has no manifest for this device: {}", join(mismatches))]
    Platform { component: String, mismatches: Vec<Mismatch> },
    #[error("{component}: {step}: {what} is not provided by this version")]
    NotProvided { component: String, step: StepName, what: &'static str },
    #[error("{component}: {step}: {source}")]
    Privilege { component: String, step: StepName, source: InvalidPrivilege },
    #[error("{component}: {step}: {source}")]
    Timeout { component: String, step: StepName, source: InvalidTimeout },
}

fn join(mismatches: &[Mismatch]) -> String {
    mismatches.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// The definition of one of `all`.
pub fn define(
    name: &ComponentName,
    all: &BTreeMap<ComponentName, Ingredients>,
    platform: &Platform,
    settings: &Settings,
) -> Result<Definition, DefineError> {
    let own = all.get(name).ok_or_else(|| DefineError::Missing(name.to_string()))?;
    let recipe = &own.recipe;
    let manifest = recipe
        .manifest_for(platform)
        .map_err(|mismatches| DefineError::Platform { component: name.to_string(), mismatches })?;
    let scope = scope(own, all, settings);
    let steps = steps(name, manifest, &scope)?;
    let hard_dependencies = recipe
        .dependencies
        .iter()
        .filter(|(_, dependency)| dependency.kind == DependencyKind::Hard)
        // The others are built in, and always ready.
        .filter(|(name, _)| all.contains_key(*name))
        .map(|(name, _)| name.to_string())
        .collect();
    let version = recipe.version.to_string();
    let install = steps.get(&StepKind::Install);
    let install_fingerprint = fingerprint(&(&version, &own.package, install.map(what_it_runs)));
    let mut definition = Definition {
        name: name.to_string(),
        version,
        slot: own.slot,
        ids: own.ids,
        steps,
        hard_dependencies,
        package: own.package.clone(),
        place: own.place,
        limits: limits(settings.limits(name.as_str()), &own.run_with),
        network: settings.network(name.as_str()),
        digest: String::new(),
        install_fingerprint,
    };
    definition.digest = digest(&definition);
    Ok(definition)
}

/// The device's own limits, and in their place those of a deployment that has some.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn limits(own: Limits, run_with: &RunWith) -> Limits {
    Limits {
        memory: run_with.memory.map(|kib| kib.saturating_mul(1024)).or(own.memory),
        // In range: `RunWith::check` has been asked.
        cpu: run_with.cpus.map(|cpus| (cpus * 1000.0).ceil() as u32).or(own.cpu),
        ..own
    }
}

/// What the variables of one of `all` can refer to.
pub fn scope<'a>(
    own: &'a Ingredients,
    all: &'a BTreeMap<ComponentName, Ingredients>,
    settings: &'a Settings,
) -> Scope<'a> {
    let thing_name = settings.device.thing_name.as_str();
    Scope {
        own: values(own),
        dependencies: own
            .recipe
            .dependencies
            .keys()
            .filter_map(|name| Some((name.as_str(), values(all.get(name)?))))
            .collect(),
        root_path: ROOT_PATH,
        thing_name: (!thing_name.is_empty()).then_some(thing_name),
    }
}

fn values(of: &Ingredients) -> Values<'_> {
    let (name, version) = (of.recipe.name.as_str(), of.recipe.version.to_string());
    Values {
        configuration: &of.configuration,
        artifacts_path: inside::artifacts(name, &version).into(),
        artifacts_decompressed_path: inside::unarchived(name, &version).into(),
        work_path: inside::work(name).into(),
    }
}

fn steps(
    name: &ComponentName,
    manifest: &Manifest,
    scope: &Scope<'_>,
) -> Result<BTreeMap<StepKind, StepDefinition>, DefineError> {
    let mut steps = BTreeMap::new();
    if manifest.lifecycle.step(StepName::Bootstrap).is_some() {
        let (component, step) = (name.to_string(), StepName::Bootstrap);
        return Err(DefineError::NotProvided { component, step, what: "the step" });
    }
    for kind in StepKind::ALL {
        let step_name = step_name(kind);
        let Some(step) = manifest.lifecycle.step(step_name) else { continue };
        let privileged = step.requires_privilege.resolve(scope).map_err(|source| {
            DefineError::Privilege { component: name.to_string(), step: step_name, source }
        })?;
        let missing = [(privileged, "RequiresPrivilege"), (step.skip_if.is_some(), "Skipif")];
        if let Some((_, what)) = missing.into_iter().find(|(used, _)| *used) {
            let component = name.to_string();
            return Err(DefineError::NotProvided { component, step: step_name, what });
        }
        let timeout = step.timeout.as_ref().map(|timeout| timeout.resolve(scope)).transpose();
        let timeout = timeout.map_err(|source| DefineError::Timeout {
            component: name.to_string(),
            step: step_name,
            source,
        })?;
        let environment = manifest
            .lifecycle
            .environment(step)
            .into_iter()
            .map(|(key, value)| (key, scope.interpolate(&value).text))
            .collect();
        let script = scope.interpolate(&step.script).text;
        steps.insert(kind, StepDefinition { script, environment, timeout });
    }
    Ok(steps)
}

fn step_name(kind: StepKind) -> StepName {
    match kind {
        StepKind::Install => StepName::Install,
        StepKind::Startup => StepName::Startup,
        StepKind::Run => StepName::Run,
        StepKind::Shutdown => StepName::Shutdown,
    }
}

fn what_it_runs(step: &StepDefinition) -> (&str, &BTreeMap<String, String>) {
    (&step.script, &step.environment)
}

/// Over everything that a running instance was started with.
fn digest(definition: &Definition) -> String {
    let steps: Vec<_> = definition
        .steps
        .iter()
        .map(|(kind, step)| (kind, what_it_runs(step), step.timeout))
        .collect();
    fingerprint(&(
        (&definition.version, &definition.package, definition.place, definition.ids),
        steps,
        &definition.hard_dependencies,
        (definition.limits, definition.network),
    ))
}

fn fingerprint(of: &impl Serialize) -> String {
    // Plain data with text keys: it always has a JSON text.
    let text = serde_json::to_vec(of).unwrap_or_default();
    hex(&Sha256::digest(text))
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
