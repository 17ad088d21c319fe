//! From a Lambda function's parameters to what runs.

use std::collections::BTreeMap;
use std::time::Duration;

use hedgerow_component::ComponentName;
use hedgerow_component::lambda::{Lambda, Language, Runtime, Source};
use hedgerow_component::platform::Platform;
use hedgerow_component::recipe::{ComponentType, Manifest, Unarchive};
use hedgerow_component::variables::Scope;
use hedgerow_function::{Encoding, EventSource, FunctionSpec, QueuePolicy, Schedule};
use nix::sys::sysinfo::sysinfo;
use serde_json::Value;

use super::{DefineError, Ingredients, Nucleus};
use crate::definition::{Client, Function};
use crate::lambda_manager;
use crate::settings::Settings;

/// Where the device has none, and an account for functions that come from nowhere.
const REGION: &str = "us-east-1";
const ACCOUNT: &str = "000000000000";

/// `None` for components of other types. The digest is filled in by the definition's author.
pub fn function(
    own: &Ingredients,
    manifest: &Manifest,
    scope: &Scope<'_>,
    all: &BTreeMap<ComponentName, Ingredients>,
    nucleus: &Nucleus,
    platform: &Platform,
    settings: &Settings,
) -> Result<Option<Function>, DefineError> {
    let recipe = own.recipe()?;
    if recipe.kind != ComponentType::Lambda {
        return Ok(None);
    }
    let setenv = manifest.lifecycle.setenv.iter();
    let setenv = setenv.map(|(key, value)| (key.clone(), scope.interpolate(value).text)).collect();
    let mut lambda = Lambda::read(recipe, manifest, setenv, scope.own.configuration)
        .map_err(|source| DefineError::Function { component: own.name.to_string(), source })?;
    let mut notices: Vec<String> = lambda.notices.iter().map(ToString::to_string).collect();
    if let Some(longest) = longest_result(all).filter(|longest| lambda.timeout > *longest) {
        notices.push(format!(
            "timeoutInSeconds is {}, and an invocation ends after the {} of {}'s {}",
            lambda.timeout.as_secs(),
            longest.as_secs(),
            lambda_manager::NAME,
            lambda_manager::RESULT_TIMEOUT
        ));
        lambda.timeout = longest;
    }
    for source in &lambda.sources {
        if let Source::Schedule { expression, pointer, .. } = source {
            let (component, pointer) = (own.name.to_string(), pointer.clone());
            let invalid = |source| DefineError::Schedule { component, pointer, source };
            expression.parse::<Schedule>().map_err(invalid)?;
        }
    }
    let platform = &nucleus.platform(platform);
    let mut layers = Vec::new();
    for name in &lambda.layers {
        let lacks =
            |why| DefineError::Layer { component: own.name.to_string(), layer: name.clone(), why };
        let layer = all.iter().find(|(other, _)| other.as_str() == name).map(|(_, of)| of);
        let layer = layer.ok_or_else(|| lacks("is not deployed; name it in the recipe as well"))?;
        match unpacked(layer, platform).as_slice() {
            [] => return Err(lacks("has no artifact with Unarchive: ZIP")),
            directories => layers.extend_from_slice(directories),
        }
    }
    Ok(Some(Function {
        client: client(&lambda.runtime, own, all, platform),
        code: format!("{}/unarchived/{}", own.package, lambda.archive),
        layers,
        variables: nucleus.environment.clone().into_iter().chain(lambda.setenv.clone()).collect(),
        notices,
        container: lambda.container.clone(),
        spec: spec(own.name.as_str(), lambda, settings),
    }))
}

/// How long any invocation may take, where the component that says so is deployed.
fn longest_result(all: &BTreeMap<ComponentName, Ingredients>) -> Option<Duration> {
    let (_, manager) = all.iter().find(|(name, _)| name.as_str() == lambda_manager::NAME)?;
    lambda_manager::result_timeout(manager.configuration.get(lambda_manager::RESULT_TIMEOUT)?)
}

/// The one that the resolution chose: among what is deployed it is the nearest.
fn client(
    runtime: &Runtime,
    own: &Ingredients,
    all: &BTreeMap<ComponentName, Ingredients>,
    platform: &Platform,
) -> Option<Client> {
    let depends = own.dependencies(all);
    let clients = runtime.nearest().into_iter().filter_map(|runtime| {
        let of = all.get(&runtime.component()?)?;
        let directory = unpacked(of, platform).into_iter().next()?;
        Some(Client { component: of.name.to_string(), runtime, directory })
    });
    clients.into_iter().find(|client| depends.keys().any(|name| name.as_str() == client.component))
}

/// Directories of a component's archives.
fn unpacked(of: &Ingredients, platform: &Platform) -> Vec<String> {
    let manifest = of.recipe.as_ref().ok().and_then(|recipe| recipe.manifest_for(platform).ok());
    let artifacts = manifest.map(|manifest| manifest.artifacts.as_slice()).unwrap_or_default();
    let archives = artifacts.iter().filter(|artifact| artifact.unarchive == Unarchive::Zip);
    archives.map(|artifact| format!("{}/unarchived/{}", of.package, artifact.stem())).collect()
}

fn spec(name: &str, lambda: Lambda, settings: &Settings) -> FunctionSpec {
    let region = match settings.device.region.as_str() {
        "" => REGION,
        region => region,
    };
    let own_arn = || format!("arn:aws:lambda:{region}:{ACCOUNT}:function:{name}");
    FunctionSpec {
        name: name.to_owned(),
        arn: lambda.arn.unwrap_or_else(own_arn),
        version: lambda.version,
        aliases: lambda.aliases,
        runtime: runtime(&lambda.runtime),
        handler: lambda.handler,
        environment: lambda.environment,
        encoding: if lambda.json { Encoding::Json } else { Encoding::Binary },
        pinned: lambda.pinned,
        timeout: lambda.timeout,
        init_timeout: lambda.init_timeout,
        memory: memory(lambda.container.memory, settings.limits(name).memory),
        ephemeral_storage: lambda.ephemeral_storage,
        max_instances: lambda.max_instances,
        max_idle: lambda.max_idle,
        queue: QueuePolicy {
            length: lambda.queue_length,
            max_age: lambda.max_event_age,
            retries: lambda.retries,
            retry_delay: lambda.retry_delay,
            dead_letter: lambda.dead_letter_topic,
        },
        sources: lambda.sources.into_iter().map(source).collect(),
        digest: String::new(),
    }
}

/// Without a container, as much as any component; where that has no limit, what the device has.
fn memory(container: Option<u64>, component: Option<u64>) -> u64 {
    let device = || sysinfo().map_or(u64::MAX, |info| info.ram_total());
    match container {
        Some(bytes) => bytes,
        None => component.unwrap_or_else(device),
    }
}

fn runtime(runtime: &Runtime) -> hedgerow_function::Runtime {
    use hedgerow_function::Runtime as Of;
    match runtime {
        Runtime::Language { language: Language::Python, version } => {
            Of::Python { version: format!("3.{version}") }
        }
        Runtime::Language { language: Language::Node, version } => {
            Of::Node { version: format!("{version}.x") }
        }
        Runtime::Provided(name) => Of::Provided { name: name.clone() },
    }
}

fn source(source: Source) -> EventSource {
    match source {
        Source::Topic(filter) => EventSource::Topic { filter },
        Source::IotCore(filter) => EventSource::IotCore { filter },
        Source::Schedule { expression, input, .. } => {
            let input = input.as_ref().map(Value::to_string);
            EventSource::Schedule { expression, input }
        }
        Source::File(path) => EventSource::File { path: path.into() },
    }
}
