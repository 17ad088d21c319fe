//! From what is stored of a component to what runs: recipe variables filled in, limits looked up.

mod function;

use std::borrow::Cow;
use std::collections::BTreeMap;

use hedgerow_component::lambda::{self, InvalidLambda};
use hedgerow_component::platform::{Mismatch, Platform};
use hedgerow_component::recipe::{Condition, DependencyKind, Invalid, Lifecycle, Manifest, Step};
use hedgerow_component::variables::{Scope, Values};
use hedgerow_component::{ComponentName, Recipe, Version};
use hedgerow_function::InvalidSchedule;
use hedgerow_isolation::plan::{IdRange, Limits};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::document;
use function::function;

use super::nucleus::Nucleus;
use crate::definition::{Definition, Neighbour, RunWith, StepDefinition, user_of_function};
use crate::layout::{ROOT_PATH, inside};
use crate::lifecycle::StepKind;
use crate::packages::Place;
use crate::settings::Settings;

/// One component of a resolution, with everything that its definition is made from.
#[derive(Debug)]
pub struct Ingredients {
    pub name: ComponentName,
    pub version: Version,
    /// Or why what is stored is no recipe to this version of Hedgerow. Those that depend on the component can be
    /// defined all the same.
    pub recipe: Result<Recipe, Invalid>,
    /// Directory of its artifacts, relative to the state directory.
    pub package: String,
    pub place: Place,
    pub slot: u32,
    pub ids: IdRange,
    pub configuration: Value,
    pub run_with: document::RunWith,
}

#[derive(Debug, thiserror::Error)]
pub enum DefineError {
    #[error("{0} is not part of the deployment")]
    Missing(String),
    #[error("{component} has no manifest for this device: {}", join(mismatches))]
    Platform { component: String, mismatches: Vec<Mismatch> },
    #[error("{component} is no function that can be run: {source}")]
    Function { component: String, source: InvalidLambda },
    #[error("{component}: configuration {pointer}: {source}")]
    Schedule { component: String, pointer: String, source: InvalidSchedule },
    #[error("the layer {layer} of {component} {why}")]
    Layer { component: String, layer: String, why: &'static str },
    #[error("the stored recipe of {component} is not valid any more: {source}")]
    Recipe { component: String, source: Invalid },
}

fn join(mismatches: &[Mismatch]) -> String {
    mismatches.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl Ingredients {
    /// Its recipe's, and of a function what that implies. Of a component without a recipe none.
    pub fn dependencies(
        &self,
        all: &BTreeMap<ComponentName, Ingredients>,
    ) -> lambda::Dependencies<'_> {
        match &self.recipe {
            Ok(recipe) => lambda::dependencies(recipe, |name| all.contains_key(name)),
            Err(_) => Cow::Owned(BTreeMap::new()),
        }
    }

    fn recipe(&self) -> Result<&Recipe, DefineError> {
        self.recipe.as_ref().map_err(|invalid| DefineError::Recipe {
            component: self.name.to_string(),
            source: invalid.clone(),
        })
    }
}

/// The definition of one of `all`.
pub fn define(
    name: &ComponentName,
    all: &BTreeMap<ComponentName, Ingredients>,
    platform: &Platform,
    settings: &Settings,
) -> Result<Definition, DefineError> {
    let own = all.get(name).ok_or_else(|| DefineError::Missing(name.to_string()))?;
    let recipe = own.recipe()?;
    let nucleus = Nucleus::of(all);
    let manifest = recipe
        .manifest_for(&nucleus.platform(platform))
        .map_err(|mismatches| DefineError::Platform { component: name.to_string(), mismatches })?;
    let configurations = configurations(own, all, settings);
    let mut scope = scope(own, all, settings);
    for (name, configuration) in &configurations {
        if let Some(values) = scope.dependencies.get_mut(name.as_str()) {
            values.configuration = configuration;
        }
        if *name == &own.name {
            scope.own.configuration = configuration;
        }
    }
    let mut function = function(own, manifest, &scope, all, &nucleus, platform, settings)?;
    let steps = match function {
        // Its recipe's steps are for Greengrass's launcher of functions.
        Some(_) => BTreeMap::new(),
        None => steps(manifest, &scope, &nucleus.environment),
    };
    let needed = own.dependencies(all);
    let dependencies = |kind| {
        let of_kind = needed.iter().filter(move |(_, of)| of.kind == kind);
        // Whom a SOFT dependency names need not be there; whom a HARD one names is waited for, though there be no
        // ingredients of it.
        let here =
            of_kind.filter(|(name, _)| kind == DependencyKind::Hard || all.contains_key(*name));
        here.map(|(name, _)| name.to_string()).collect()
    };
    let version = recipe.version.to_string();
    let install = steps.get(&StepKind::Install);
    let asked = nucleus.complete(&own.run_with);
    let run_with = RunWith {
        limits: limits(settings.limits(name.as_str()), &asked),
        posix_user: asked.posix_user,
        posix_shell: nucleus
            .posix_shell
            .unwrap_or_else(|| settings.run_with_default.posix_shell.clone()),
    };
    if let (Some(function), Some(user)) = (&mut function, &run_with.posix_user)
        && user_of_function(user).is_none()
    {
        function.notices.push(format!(
            "it runs as ggc_user and not as {user}: an instance knows ggc_user, root and numbers"
        ));
    }
    let installs = (&version, &own.package, install.map(what_it_runs), &run_with.posix_user);
    let install_fingerprint = fingerprint(&installs);
    let mut definition = Definition {
        name: name.to_string(),
        version,
        slot: own.slot,
        ids: own.ids,
        steps,
        function,
        hard_dependencies: dependencies(DependencyKind::Hard),
        soft_dependencies: dependencies(DependencyKind::Soft),
        package: own.package.clone(),
        place: own.place,
        dependencies: neighbours(own, all),
        layer_quota: settings.layer_quota(name.as_str()),
        work_quota: settings.work_quota(name.as_str()),
        run_with,
        network: settings.network(name.as_str()),
        digest: String::new(),
        install_fingerprint,
    };
    if let Some(digest) = digest_of_instances(&definition)
        && let Some(function) = &mut definition.function
    {
        function.spec.digest = digest;
    }
    definition.digest = digest(&definition);
    Ok(definition)
}

/// The device's own limits, and in their place those of a deployment that has some.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn limits(own: Limits, run_with: &document::RunWith) -> Limits {
    Limits {
        memory: run_with.memory.map(|kib| kib.saturating_mul(1024)).or(own.memory),
        // In range: `RunWith::check` has been asked.
        cpu: run_with.cpus.map(|cpus| (cpus * 1000.0).ceil() as u32).or(own.cpu),
        ..own
    }
}

/// A component's configuration as whoever reads it sees it: with the variables in it replaced, where the Nucleus says
/// so. What is stored stays as it was written, so that another version's paths are those of the other version.
pub fn configuration<'a>(
    of: &'a Ingredients,
    all: &'a BTreeMap<ComponentName, Ingredients>,
    settings: &Settings,
) -> Cow<'a, Value> {
    shown(&of.configuration, of, all, settings)
}

/// The same of a part of the component's configuration.
pub fn shown<'a>(
    part: &'a Value,
    of: &Ingredients,
    all: &BTreeMap<ComponentName, Ingredients>,
    settings: &Settings,
) -> Cow<'a, Value> {
    match Nucleus::of(all).interpolates_configuration {
        true => Cow::Owned(scope(of, all, settings).interpolate_configuration(part)),
        false => Cow::Borrowed(part),
    }
}

/// [`configuration`] of a component and of those it depends on.
fn configurations<'a>(
    own: &'a Ingredients,
    all: &'a BTreeMap<ComponentName, Ingredients>,
    settings: &Settings,
) -> BTreeMap<&'a ComponentName, Cow<'a, Value>> {
    let dependencies = own.dependencies(all);
    let dependencies = dependencies.keys().filter_map(|name| all.get(name));
    let each = |of: &'a Ingredients| (&of.name, configuration(of, all, settings));
    dependencies.chain([own]).map(each).collect()
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
            .iter()
            .flat_map(|recipe| recipe.dependencies.keys())
            .filter_map(|name| Some((name.as_str(), values(all.get(name)?))))
            .collect(),
        root_path: ROOT_PATH,
        thing_name: (!thing_name.is_empty()).then_some(thing_name),
    }
}

fn neighbours(own: &Ingredients, all: &BTreeMap<ComponentName, Ingredients>) -> Vec<Neighbour> {
    let dependencies = own.dependencies(all);
    let stored = dependencies.keys().filter_map(|name| all.get(name));
    let neighbour = |of: &Ingredients| Neighbour {
        name: of.name.to_string(),
        version: of.version.to_string(),
        slot: of.slot,
        ids: of.ids,
        package: of.package.clone(),
        place: of.place,
    };
    stored.filter(|of| of.place != Place::BuiltIn).map(neighbour).collect()
}

fn values(of: &Ingredients) -> Values<'_> {
    let (name, version) = (of.name.as_str(), of.version.to_string());
    Values {
        configuration: &of.configuration,
        artifacts_path: inside::artifacts(name, &version).into(),
        artifacts_decompressed_path: inside::unarchived(name, &version).into(),
        work_path: inside::work(name).into(),
    }
}

/// `given` is the environment that the recipe adds to.
fn steps(
    manifest: &Manifest,
    scope: &Scope<'_>,
    given: &BTreeMap<String, String>,
) -> BTreeMap<StepKind, StepDefinition> {
    let lifecycle = &manifest.lifecycle;
    let define = |(kind, step): (&StepKind, &Step)| {
        let mut definition = step_definition(lifecycle, step, scope);
        for (name, value) in given {
            definition.environment.entry(name.clone()).or_insert_with(|| value.clone());
        }
        (*kind, definition)
    };
    lifecycle.steps.iter().map(define).collect()
}

/// What makes no sense once its variables are replaced is an error of the step: configuration may change at any time.
fn step_definition(lifecycle: &Lifecycle, step: &Step, scope: &Scope<'_>) -> StepDefinition {
    let mut invalid = None;
    let timeout = step.timeout.as_ref().map(|timeout| timeout.resolve(scope));
    let timeout = timeout.transpose().unwrap_or_else(|error| {
        invalid = Some(error.to_string());
        None
    });
    let skip_if = step.skip_if.as_ref().map(|skip_if| skip_if.resolve(scope));
    let skip_if = skip_if.transpose().unwrap_or_else(|error| {
        invalid = Some(error.to_string());
        None
    });
    let privileged = step.requires_privilege.resolve(scope).unwrap_or_else(|error| {
        invalid = Some(error.to_string());
        false
    });
    let environment = lifecycle.environment(step).into_iter();
    StepDefinition {
        script: scope.interpolate(&step.script).text,
        environment: environment
            .map(|(key, value)| (key, scope.interpolate(&value).text))
            .collect(),
        timeout,
        privileged,
        skip_if,
        invalid,
    }
}

type WhatItRuns<'a> = (&'a str, &'a BTreeMap<String, String>, bool, &'a Option<Condition>);

fn what_it_runs(step: &StepDefinition) -> WhatItRuns<'_> {
    (&step.script, &step.environment, step.privileged, &step.skip_if)
}

/// Of a function: over what its instances run, and not what events reach them or when they go.
fn digest_of_instances(definition: &Definition) -> Option<String> {
    let function = definition.function.as_ref()?;
    let spec = &function.spec;
    let digest = fingerprint(&(
        (&definition.version, &definition.package, definition.ids, &definition.dependencies),
        (&definition.run_with, definition.network),
        (&function.variables, &function.container, &function.client),
        (&function.code, &function.layers),
        (&spec.version, &spec.arn, &spec.runtime, &spec.handler, &spec.environment),
        (spec.memory, spec.ephemeral_storage, spec.pinned),
    ));
    Some(digest)
}

/// Over everything but what it is computed for.
fn digest(definition: &Definition) -> String {
    let steps: Vec<_> = definition
        .steps
        .iter()
        .map(|(kind, step)| (kind, what_it_runs(step), step.timeout, &step.invalid))
        .collect();
    fingerprint(&(
        (&definition.version, &definition.package, definition.place, definition.ids),
        steps,
        (&definition.hard_dependencies, &definition.soft_dependencies),
        (&definition.run_with, definition.network),
        (&definition.dependencies, definition.layer_quota, definition.work_quota),
        &definition.function,
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
