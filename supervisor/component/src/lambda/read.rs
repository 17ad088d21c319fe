//! From variables and configuration to a [`Lambda`].

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::container::container;
use super::fault::{At, InvalidLambda};
use super::keys::unknown;
use super::reader::{Place, Reader};
use super::topic::{self, MalformedTopic};
use super::{Lambda, Runtime, Source, Volume};
use crate::name::ComponentName;
use crate::recipe::{Manifest, Recipe, Unarchive};

pub(super) const RUNTIME: &str = "AWS_GREENGRASS_LAMBDA_RUNTIME";
const ARN: &str = "AWS_GREENGRASS_LAMBDA_ARN";
const HANDLER: &str = "AWS_GREENGRASS_LAMBDA_FUNCTION_HANDLER";
const ARTIFACT_PATH: &str = "AWS_GREENGRASS_LAMBDA_ARTIFACT_PATH";

const MIB: u64 = 1 << 20;

/// Inside a fence, a component's own directory is below it, by its name.
const WORK: &str = "/greengrass/v2/work";

/// The longest time that Greengrass takes, in seconds.
const LONGEST: u64 = i32::MAX as u64;

impl Lambda {
    /// Of a recipe of that type, its manifest for this device, the manifest's variables with everything filled in,
    /// and the component's configuration.
    pub fn read(
        recipe: &Recipe,
        manifest: &Manifest,
        setenv: BTreeMap<String, String>,
        configuration: &Value,
    ) -> Result<Self, InvalidLambda> {
        let mut reader = Reader::default();
        let lambda = read(&mut reader, recipe, manifest, setenv, &Place::root(configuration));
        match lambda {
            Some(lambda) if reader.faults.is_empty() => {
                Ok(Self { notices: reader.notices, needs: reader.needs, ..lambda })
            }
            _ => Err(InvalidLambda { faults: reader.faults }),
        }
    }
}

/// The components that are layers of a function with that configuration, as far as they are texts.
pub(super) fn layers(configuration: &Map<String, Value>) -> Vec<String> {
    let Some(hedgerow) = configuration.get("hedgerow") else { return vec![] };
    let mut unheard = Reader::default();
    let place = Place::root(hedgerow).get("layers");
    place.map(|place| names(&mut unheard, &place)).unwrap_or_default()
}

/// The expressions of a function's schedules with that configuration, as far as they are texts, and where they stand: to judge
/// them is the business of those who carry them out.
pub(crate) fn schedules(configuration: &Value) -> Vec<(At, String)> {
    let Some(hedgerow) = Place::root(configuration).get("hedgerow") else { return vec![] };
    let mut unheard = Reader::default();
    let schedules = items(&mut unheard, &hedgerow, "schedules").into_iter();
    let expressions = schedules.filter_map(|item| {
        let place = item.get("expression")?;
        let text = unheard.text(&place)?;
        Some((At::Configuration(place.pointer), text))
    });
    expressions.collect()
}

/// `None` only together with a fault.
fn read(
    reader: &mut Reader,
    recipe: &Recipe,
    manifest: &Manifest,
    setenv: BTreeMap<String, String>,
    root: &Place<'_>,
) -> Option<Lambda> {
    let runtime = runtime(reader, &setenv);
    let handler = variable(&setenv, HANDLER).map(str::to_owned);
    if handler.is_none() {
        reader.fault(
            At::Variable(HANDLER.to_owned()),
            "is missing",
            "name the function's handler there",
        );
    }
    let archive = archive(reader, manifest, &setenv);
    let (arn, qualifier) = arn(variable(&setenv, ARN).or(recipe.source.as_deref()));
    let pinned = root.get("pinned").and_then(|p| reader.flag(&p)).unwrap_or(true);
    let hedgerow = root.get("hedgerow").unwrap_or(Place { value: &Value::Null, ..root.clone() });
    let mut seconds = |of: &Place<'_>, key, default| {
        let found = of.get(key).and_then(|place| reader.number(&place, 1, LONGEST));
        Duration::from_secs(found.unwrap_or(default))
    };
    let timeout = seconds(root, "timeoutInSeconds", 3);
    let max_idle = seconds(root, "maxIdleTimeInSeconds", 60);
    // Kept by nobody here: an instance says by its first poll that it is well.
    let status_timeout = seconds(root, "statusTimeoutInSeconds", 60);
    let init_timeout = seconds(&hedgerow, "initTimeoutInSeconds", status_timeout.as_secs());
    let max_event_age = seconds(&hedgerow, "maxEventAgeInSeconds", 21_600);
    let retry_delay = seconds(&hedgerow, "retryDelayInSeconds", 60);
    let limits_init = !pinned || hedgerow.get("initTimeoutInSeconds").is_some();
    let mut count = |of: &Place<'_>, key, least, most, default: u32| {
        let found = of.get(key).and_then(|place| reader.number(&place, least, most));
        found.and_then(|number| u32::try_from(number).ok()).unwrap_or(default)
    };
    let max_instances = count(root, "maxInstancesCount", 1, 1000, 100);
    let queue_length = count(root, "maxQueueSize", 1, 1_000_000, 1000);
    let retries = count(&hedgerow, "maxRetryAttempts", 0, 100, 2);
    let storage = count(&hedgerow, "ephemeralStorageInMB", 1, 10_240, 512);
    unknown(reader, root, &hedgerow);
    let encodings = [("json", true), ("binary", false)];
    let encoding = root.get("inputPayloadEncodingType").and_then(|p| reader.word(&p, &encodings));
    let (environment, container) = (environment(reader, root), container(reader, root));
    let mut sources = sources(reader, root, &hedgerow);
    sources.extend(files(reader, &hedgerow, &recipe.name, &container.volumes));
    let dead_letter_topic =
        hedgerow.get("deadLetterTopic").and_then(|p| checked_topic(reader, &p, topic::check));
    let aliases = aliases(reader, &hedgerow);
    let layers = hedgerow.get("layers").map(|p| names(reader, &p)).unwrap_or_default();
    // Everything has been read, so that every fault is told.
    let lambda = Lambda {
        arn,
        version: qualifier.unwrap_or_else(|| recipe.version.to_string()),
        runtime: runtime?,
        handler: handler?,
        archive: archive?,
        environment,
        container,
        json: encoding.unwrap_or(true),
        pinned,
        timeout,
        init_timeout: limits_init.then_some(init_timeout),
        max_idle,
        max_instances: if pinned { 1 } else { max_instances },
        queue_length,
        max_event_age,
        retries,
        retry_delay,
        dead_letter_topic,
        ephemeral_storage: u64::from(storage) * MIB,
        aliases,
        layers,
        sources,
        setenv,
        notices: vec![],
        needs: vec![],
    };
    Some(lambda)
}

fn variable<'e>(setenv: &'e BTreeMap<String, String>, name: &str) -> Option<&'e str> {
    setenv.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

fn runtime(reader: &mut Reader, setenv: &BTreeMap<String, String>) -> Option<Runtime> {
    let Some(name) = variable(setenv, RUNTIME) else {
        let advice = "name the function's runtime there, python3.11 say";
        reader.fault(At::Variable(RUNTIME.to_owned()), "is missing", advice);
        return None;
    };
    match name.parse::<Runtime>() {
        Ok(runtime) => Some(runtime),
        Err(error) => {
            reader.fault(At::Variable(RUNTIME.to_owned()), error.to_string(), error.advice);
            None
        }
    }
}

/// `AWS_GREENGRASS_LAMBDA_ARTIFACT_PATH` ends in its directory.
fn archive(
    reader: &mut Reader,
    manifest: &Manifest,
    setenv: &BTreeMap<String, String>,
) -> Option<String> {
    let zips = manifest.artifacts.iter().filter(|artifact| artifact.unarchive == Unarchive::Zip);
    let names: Vec<&str> = zips.map(|artifact| artifact.stem()).collect();
    let path = variable(setenv, ARTIFACT_PATH).map(|path| path.trim_end_matches('/'));
    let wanted = path.and_then(|path| path.rsplit('/').next());
    let found = match wanted {
        Some(wanted) => names.iter().find(|name| **name == wanted),
        None => names.first(),
    };
    if found.is_none() {
        let name = wanted.unwrap_or("lambda-artifact");
        let message =
            format!("no artifact is an archive with the code of the function, {name}.zip");
        reader.fault(At::Artifacts, message, "add it, with Unarchive: ZIP");
    }
    found.map(|name| (*name).to_owned())
}

/// Without its qualifier, and the qualifier where it is a version.
fn arn(text: Option<&str>) -> (Option<String>, Option<String>) {
    let Some(text) = text else { return (None, None) };
    let name = text.find(":function:").map_or(0, |start| start + ":function:".len());
    match text[name..].split_once(':') {
        Some((last, qualifier)) => {
            let is_version = qualifier.bytes().all(|byte| byte.is_ascii_digit());
            let version = is_version.then(|| qualifier.to_owned());
            (Some(text[..name + last.len()].to_owned()), version)
        }
        None => (Some(text.to_owned()), None),
    }
}

fn environment(reader: &mut Reader, root: &Place<'_>) -> BTreeMap<String, String> {
    let parameters = root.get("lambdaExecutionParameters");
    let variables =
        parameters.and_then(|p| p.any(["EnvironmentVariables", "environmentVariables"]));
    let mut environment = BTreeMap::new();
    let Some(place) = variables else { return environment };
    for (name, value) in reader.texts(&place) {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            reader.wrong(&place, format!("{name:?} is no variable that a process can have"));
        } else {
            environment.insert(name, value);
        }
    }
    environment
}

pub(super) fn items<'v>(reader: &mut Reader, of: &Place<'v>, key: &str) -> Vec<Place<'v>> {
    of.get(key).map(|place| reader.items(&place)).unwrap_or_default()
}

/// An absolute path without `..`.
pub(super) fn path(reader: &mut Reader, item: &Place<'_>, keys: [&str; 2]) -> Option<String> {
    let Some(place) = item.any(keys) else {
        missing(reader, item, keys[0]);
        return None;
    };
    let path = reader.text(&place)?;
    let is_sound = path.starts_with('/')
        && !path.contains('\0')
        && path.split('/').all(|segment| segment != "..");
    if !is_sound {
        reader.wrong(&place, format!("{path:?} is not an absolute path without .."));
    }
    is_sound.then_some(path)
}

fn aliases(reader: &mut Reader, hedgerow: &Place<'_>) -> BTreeMap<String, String> {
    let Some(place) = hedgerow.get("aliases") else { return BTreeMap::new() };
    let is_alias = |name: &str| {
        !name.bytes().all(|byte| byte.is_ascii_digit())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let (aliases, others): (Vec<_>, Vec<_>) =
        reader.texts(&place).into_iter().partition(|(name, _)| is_alias(name));
    for (name, _) in others {
        reader.wrong(
            &place,
            format!("{name:?} is no alias: letters, digits, - and _, and not digits only"),
        );
    }
    aliases.into_iter().collect()
}

/// Names of components.
fn names(reader: &mut Reader, place: &Place<'_>) -> Vec<String> {
    let mut names = Vec::new();
    for item in reader.items(place) {
        let Some(name) = reader.text(&item) else { continue };
        match name.parse::<ComponentName>() {
            Ok(_) => names.push(name),
            Err(error) => reader.wrong(&item, error.to_string()),
        }
    }
    names
}

fn sources(reader: &mut Reader, root: &Place<'_>, hedgerow: &Place<'_>) -> Vec<Source> {
    let mut sources = Vec::new();
    let topics = root.any(["pubsubTopics", "eventSources"]);
    for item in topics.map(|place| reader.items(&place)).unwrap_or_default() {
        let types = [("PUB_SUB", false), ("IOT_CORE", true)];
        let cloud = item.get("type").and_then(|p| reader.word(&p, &types)).unwrap_or(false);
        let Some(place) = required(reader, &item, "topic") else { continue };
        let Some(topic) = checked_topic(reader, &place, topic::check_filter) else { continue };
        if cloud {
            reader
                .notice(&item, format!("there is no cloud link yet: nothing is heard on {topic}"));
        }
        sources.push(if cloud { Source::IotCore(topic) } else { Source::Topic(topic) });
    }
    for item in items(reader, hedgerow, "schedules") {
        let Some(place) = required(reader, &item, "expression") else { continue };
        let Some(expression) = reader.text(&place) else { continue };
        let input = item.get("input").map(|place| place.value.clone());
        let pointer = place.pointer;
        sources.push(Source::Schedule { expression, input, pointer });
    }
    sources
}

fn files(
    reader: &mut Reader,
    hedgerow: &Place<'_>,
    name: &ComponentName,
    volumes: &[Volume],
) -> Vec<Source> {
    let own = Path::new(WORK).join(name.as_str());
    let mut files = Vec::new();
    for item in items(reader, hedgerow, "files") {
        let Some(path) = path(reader, &item, ["path", "path"]) else { continue };
        let mut there = volumes.iter().map(|volume| Path::new(&volume.destination));
        if !Path::new(&path).starts_with(&own) && !there.any(|at| Path::new(&path).starts_with(at))
        {
            let message = format!("{path} is watched only where it is granted");
            reader.need(&item, message, format!("host-paths = [{{ path = {path:?} }}]"));
        }
        files.push(Source::File(path));
    }
    files
}

/// As far as the check lets it pass.
fn checked_topic(
    reader: &mut Reader,
    place: &Place<'_>,
    check: impl Fn(&str) -> Result<(), MalformedTopic>,
) -> Option<String> {
    let topic = reader.text(place)?;
    match check(&topic) {
        Ok(()) => Some(topic),
        Err(MalformedTopic { message, advice }) => {
            reader.fault(At::Configuration(place.pointer.clone()), message, advice);
            None
        }
    }
}

fn required<'v>(reader: &mut Reader, item: &Place<'v>, key: &str) -> Option<Place<'v>> {
    let place = item.get(key);
    if place.is_none() {
        missing(reader, item, key);
    }
    place
}

/// A plain text is taken for what the key was to say.
fn missing(reader: &mut Reader, item: &Place<'_>, key: &str) {
    let message = match item.value {
        Value::String(text) => {
            format!("expected a map, {}, found the text alone", json!({ key: text }))
        }
        _ => format!("{key} is missing"),
    };
    reader.wrong(item, message);
}
