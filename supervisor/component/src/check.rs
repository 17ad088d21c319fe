//! Everything that can be said of a recipe without deploying it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::builtins::{Builtin, Service};
use crate::finding::{Finding, Severity};
use crate::lambda::{self, At, Fault, InvalidLambda, Lambda, Need, Notice};
use crate::platform::{Mismatch, Platform};
use crate::recipe::{ComponentType, Manifest, Parsed, Place, Places, Recipe};
use crate::variables::{Scope, Values};

#[cfg(test)]
mod tests;

/// What a check of one file found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub file: String,
    /// Absent where the file is not a recipe.
    pub recipe: Option<Summary>,
    pub platform: Platform,
    /// In the order of the file, those about the whole file first.
    pub findings: Vec<Finding>,
}

/// What a file says, if it is a recipe.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    pub name: String,
    pub version: String,
    /// What it runs, where it is a Lambda function that can be deployed.
    pub function: Option<Function>,
    /// In the order of the file.
    pub manifests: Vec<ManifestReport>,
}

/// A Lambda function with its recipe's own configuration.
#[derive(Clone, Debug, Serialize)]
pub struct Function {
    /// As Lambda names it.
    pub runtime: String,
    /// The component that brings the runtime's client; one of another version of the language may do as well.
    pub runtime_component: Option<String>,
    pub handler: String,
    pub pinned: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct ManifestReport {
    pub name: Option<String>,
    pub line: u32,
    pub choice: Choice,
    /// Of the lifecycle that it would have.
    pub steps: Vec<&'static str>,
    /// Files and container images, as written.
    pub artifacts: Vec<String>,
}

/// Whether the device uses a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    Chosen,
    /// It would do, but an earlier one does.
    Behind,
    Mismatch(Mismatch),
}

impl Report {
    /// Whether the component can be deployed on this platform, as far as its recipe tells.
    pub fn is_sound(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity == Severity::Warning)
    }
}

/// Checks a file as a device with this platform would read it. `schedule`: why an expression is no schedule.
pub fn check(
    file: &str,
    bytes: &[u8],
    platform: &Platform,
    schedule: impl Fn(&str) -> Result<(), String>,
) -> Report {
    let report = |recipe, mut findings: Vec<Finding>| {
        findings.sort_by_key(|finding| (finding.line, finding.column));
        Report { file: file.to_owned(), recipe, platform: platform.clone(), findings }
    };
    let Parsed { recipe, warnings: mut findings } = match Recipe::parse(file, bytes) {
        Ok(parsed) => parsed,
        Err(invalid) => return report(None, invalid.findings),
    };
    let manifests = manifests(&recipe, platform);
    let chosen = manifests.iter().position(|manifest| manifest.choice == Choice::Chosen);
    for (index, manifest) in recipe.manifests.iter().enumerate() {
        findings.extend(faults(manifest, chosen == Some(index)));
    }
    findings.extend(runnable(&recipe));
    findings.extend(chosen.is_none().then(|| {
        let message = format!("no manifest is for this device ({platform})");
        Finding::of_file(file, message, "add one, or check with --platform for another device")
    }));
    findings.extend(recipe.dependencies.keys().filter_map(|name| built_in(&recipe, name.as_str())));
    findings.extend(images(&recipe));
    let function = chosen.and_then(|index| {
        let manifest = recipe.manifests.get(index)?;
        let parts = Parts { file, places: Places::read(file, bytes), manifest: index };
        findings.extend(not_a_function(&recipe, manifest, &parts));
        let lambda = lambda(&recipe, manifest, schedule)?;
        findings.extend(of_function(&recipe, &parts, &lambda));
        lambda.ok().map(Function::of)
    });
    let (name, version) = (recipe.name.to_string(), recipe.version.to_string());
    report(Some(Summary { name, version, function, manifests }), findings)
}

/// As it would be with nothing but its recipe's configuration.
fn lambda(
    recipe: &Recipe,
    manifest: &Manifest,
    schedule: impl Fn(&str) -> Result<(), String>,
) -> Option<Result<Lambda, InvalidLambda>> {
    if recipe.kind != ComponentType::Lambda {
        return None;
    }
    let configuration = Value::Object(recipe.default_configuration.clone());
    let values = Values {
        configuration: &configuration,
        artifacts_path: "/artifacts".into(),
        artifacts_decompressed_path: "/artifacts-unarchived".into(),
        work_path: "/work".into(),
    };
    let scope =
        Scope { own: values, dependencies: BTreeMap::new(), root_path: "/", thing_name: None };
    let setenv = manifest.lifecycle.setenv.iter();
    let setenv = setenv.map(|(key, value)| (key.clone(), scope.interpolate(value).text)).collect();
    let read = Lambda::read(recipe, manifest, setenv, &configuration);
    let schedules = lambda::schedules(&configuration).into_iter();
    let wrong = schedules.filter_map(|(at, expression)| {
        let message = schedule(&expression).err()?;
        Some(Fault { at, message, advice: String::new() })
    });
    let wrong: Vec<Fault> = wrong.collect();
    if wrong.is_empty() {
        return Some(read);
    }
    let faults = read.map_or_else(|invalid| invalid.faults, |_| vec![]);
    Some(Err(InvalidLambda { faults: [faults, wrong].concat() }))
}

impl Function {
    fn of(lambda: Lambda) -> Self {
        Self {
            runtime_component: lambda.runtime.component().map(|name| name.to_string()),
            runtime: lambda.runtime.to_string(),
            handler: lambda.handler,
            pinned: lambda.pinned,
        }
    }
}

fn of_function(
    recipe: &Recipe,
    parts: &Parts<'_>,
    lambda: &Result<Lambda, InvalidLambda>,
) -> Vec<Finding> {
    let error =
        |Fault { at, message, advice }: &Fault| parts.finding(Severity::Error, at, message, advice);
    let notice =
        |Notice { at, message }: &Notice| parts.finding(Severity::Warning, at, message, "");
    let need = |Need { at, message, grant }: &Need| {
        let component = recipe.name.as_str();
        let advice =
            format!("write into hedgerow.toml: [[grant]] component = {component:?}, {grant}");
        parts.finding(Severity::Warning, at, message, &advice)
    };
    match lambda {
        Ok(lambda) => {
            let needs = lambda.needs.iter().map(need);
            lambda.notices.iter().map(notice).chain(needs).collect()
        }
        Err(invalid) => invalid.faults.iter().map(error).collect(),
    }
}

/// A function's recipe without its type is a component that has nothing to run.
fn not_a_function(recipe: &Recipe, manifest: &Manifest, parts: &Parts<'_>) -> Option<Finding> {
    if recipe.kind != ComponentType::Generic {
        return None;
    }
    let mut variables = manifest.lifecycle.setenv.keys();
    let name = variables.find(|name| name.starts_with("AWS_GREENGRASS_LAMBDA_"))?;
    let message = format!("{name} makes no function of a component of the type {}", recipe.kind);
    let advice = "add ComponentType: aws.greengrass.lambda";
    Some(parts.finding(Severity::Warning, &At::Variable(name.clone()), &message, advice))
}

/// What a function is made of, in a recipe's file.
struct Parts<'f> {
    file: &'f str,
    places: Option<Places>,
    /// The number of the manifest that is used.
    manifest: usize,
}

impl Parts<'_> {
    fn finding(&self, severity: Severity, at: &At, message: &str, advice: &str) -> Finding {
        let manifest = format!("/Manifests/{}", self.manifest);
        let ways = match at {
            At::Configuration(pointer) => {
                vec![format!("/ComponentConfiguration/DefaultConfiguration{pointer}")]
            }
            // The manifest's own lifecycle is used in the place of the recipe's.
            At::Variable(name) => {
                [manifest.as_str(), ""].map(|of| format!("{of}/Lifecycle/Setenv/{name}")).into()
            }
            At::Artifacts => vec![format!("{manifest}/Artifacts")],
        };
        let found = ways.iter().filter_map(|way| Some((way, self.places.as_ref()?.find(way))));
        // Of which the least is missing.
        let place = found.min_by_key(|(way, place)| way.split('/').count() - place.depth);
        let of_file = Finding { severity, ..Finding::of_file(self.file, message, advice) };
        match place {
            Some((_, Place { at, pointer, .. })) => {
                Finding { line: at.line, column: at.column, pointer, ..of_file }
            }
            None => of_file,
        }
    }
}

fn manifests(recipe: &Recipe, platform: &Platform) -> Vec<ManifestReport> {
    let mut is_chosen = false;
    let mut choice = |manifest: &Manifest| match manifest.platform.check(platform) {
        Err(mismatch) => Choice::Mismatch(mismatch),
        Ok(()) if is_chosen => Choice::Behind,
        Ok(()) => {
            is_chosen = true;
            Choice::Chosen
        }
    };
    let report = |manifest: &Manifest| {
        let files = manifest.artifacts.iter().map(|artifact| artifact.uri.clone());
        ManifestReport {
            name: manifest.name.clone(),
            line: manifest.line,
            choice: choice(manifest),
            steps: manifest.lifecycle.steps.keys().map(|step| step.as_str()).collect(),
            artifacts: files.chain(manifest.images.iter().map(ToString::to_string)).collect(),
        }
    };
    recipe.manifests.iter().map(report).collect()
}

/// What is wrong in a manifest is an error only where it is the one that is used.
fn faults(manifest: &Manifest, chosen: bool) -> impl Iterator<Item = Finding> {
    let severity = if chosen { Severity::Error } else { Severity::Warning };
    manifest.refusals.iter().map(move |fault| Finding { severity, ..fault.clone() })
}

fn runnable(recipe: &Recipe) -> Option<Finding> {
    match recipe.kind {
        ComponentType::Generic | ComponentType::Lambda => None,
        kind @ (ComponentType::Plugin | ComponentType::Nucleus) => {
            let message = format!("components of the type {kind} cannot be deployed");
            let advice =
                "only those of the types aws.greengrass.generic and aws.greengrass.lambda can";
            Some(Finding::of_file(&recipe.file, message, advice))
        }
    }
}

fn warning(recipe: &Recipe, message: String, advice: &str) -> Finding {
    Finding { severity: Severity::Warning, ..Finding::of_file(&recipe.file, message, advice) }
}

fn built_in(recipe: &Recipe, name: &str) -> Option<Finding> {
    let builtin = Builtin::named(name)?;
    let range = &recipe.dependencies.get(name)?.requirement;
    if builtin.version_in(&[range]).is_none() {
        let message = format!("{name} is built in, but in no version that is {range}");
        return Some(warning(recipe, message, "deploy it with a recipe of its own"));
    }
    match builtin.service {
        Service::Provided => None,
        Service::NotYet(what) => {
            let message = format!("the dependency on {name} is satisfied, but {what}");
            Some(warning(recipe, message, "what the component asks of it will fail"))
        }
    }
}

fn images(recipe: &Recipe) -> Option<Finding> {
    let manager = "aws.greengrass.DockerApplicationManager";
    let has_images = recipe.manifests.iter().any(|manifest| !manifest.images.is_empty());
    let message = format!("container images need a dependency on {manager}, which is missing");
    (has_images && !recipe.dependencies.keys().any(|name| name.as_str() == manager))
        .then(|| warning(recipe, message, "add it to ComponentDependencies"))
}
