//! `hedgerow function list` and `hedgerow function show`.

use std::time::Duration;

use hedgerow_api::{Error, FunctionProperties, InstanceCounts, Objects, functions};
use serde::Serialize;

use crate::clock::Clock;
use crate::failure::Failure;
use crate::histogram::Histogram;
use crate::output::{Output, bytes, seconds, table};
use crate::session::Session;
use crate::units;

pub async fn list(session: &Session, output: &Output) -> Result<(), Failure> {
    output.print(&functions(&session.connection).await?, |functions| overview(functions))
}

/// A function, and what its instances use.
#[derive(Debug, Serialize)]
struct Detail {
    #[serde(flatten)]
    function: FunctionProperties,
    /// Bytes and microseconds of CPU of all instances that are open.
    memory: u64,
    cpu_time: u64,
}

/// By its name or its ARN.
pub async fn show(session: &Session, output: &Output, which: &str) -> Result<(), Failure> {
    let Objects { components, functions, .. } = Objects::of(&session.connection).await?;
    let is_meant = |one: &FunctionProperties| one.name == which || one.arn == which;
    let none = || Error::NoSuchFunction(format!("no function {which:?} is deployed"));
    let function = functions.into_iter().find(is_meant).ok_or_else(none)?;
    let component = components.into_iter().find(|component| component.name == function.name);
    let (memory, cpu_time) = component.map_or((0, 0), |one| (one.memory, one.cpu_time));
    output.print(&Detail { function, memory, cpu_time }, details)
}

fn overview(functions: &[FunctionProperties]) -> String {
    if functions.is_empty() {
        return "no function is deployed".to_owned();
    }
    let row = |function: &FunctionProperties| {
        [
            function.name.clone(),
            function.version.clone(),
            function.runtime.clone(),
            function.health.to_string(),
            function.instances.total().to_string(),
            function.invocations.to_string(),
            function.errors.to_string(),
            function.queue_depth.to_string(),
        ]
    };
    let heading =
        ["NAME", "VERSION", "RUNTIME", "HEALTH", "INSTANCES", "INVOCATIONS", "ERRORS", "QUEUED"];
    let mut text = table(heading, functions.iter().map(row).collect());
    for function in functions.iter().filter(|function| !function.last_error.is_empty()) {
        text.push_str(&format!("\n{}: {}", function.name, function.last_error));
    }
    text
}

fn details(detail: &Detail) -> String {
    let Detail { function, memory, cpu_time } = detail;
    let mut lines = vec![
        ("name", function.name.clone()),
        ("arn", function.arn.clone()),
        ("version", version(function)),
        ("runtime", function.runtime.clone()),
        ("handler", function.handler.clone()),
        ("limits", limits(function)),
        ("health", function.health.to_string()),
        ("instances", instances(function)),
        ("memory", bytes(*memory)),
        ("cpu time", seconds(*cpu_time)),
        ("waiting", function.waiting.to_string()),
        ("invocations", invocations(function)),
        ("durations", durations(function)),
        ("queued", queued(function)),
    ];
    if !function.last_error.is_empty() {
        lines.push(("last error", function.last_error.clone()));
    }
    if let Some(wait) = Clock::now().until(&function.next_retry) {
        lines.push(("next retry", format!("in {wait}")));
    }
    let line = |(what, value)| format!("{what:<11} {value}");
    lines.into_iter().map(line).collect::<Vec<_>>().join("\n")
}

/// With its aliases.
pub fn version(function: &FunctionProperties) -> String {
    let FunctionProperties { version, aliases, .. } = function;
    let aliases: Vec<_> =
        aliases.iter().map(|(name, version)| format!("{name} -> {version}")).collect();
    match aliases.is_empty() {
        true => version.clone(),
        false => format!("{version} (aliases {})", aliases.join(", ")),
    }
}

pub fn limits(function: &FunctionProperties) -> String {
    let FunctionProperties { timeout, memory_size, max_instances, pinned, .. } = function;
    let timeout = humantime::format_duration(Duration::from_millis(*timeout));
    let pinned = if *pinned { ", pinned" } else { "" };
    format!("{timeout} and {} each, {max_instances} instances{pinned}", bytes(*memory_size))
}

pub fn instances(function: &FunctionProperties) -> String {
    let InstanceCounts { starting, busy, idle, frozen, draining, ending } = function.instances;
    let counts = [
        (starting, "starting"),
        (busy, "busy"),
        (idle, "idle"),
        (frozen, "frozen"),
        (draining, "draining"),
        (ending, "ending"),
    ];
    let counts = counts.into_iter().filter(|(count, _)| *count > 0);
    let counts: Vec<_> = counts.map(|(count, what)| format!("{count} {what}")).collect();
    let most = function.max_instances;
    match counts.is_empty() {
        true => format!("none of {most}"),
        false => format!("{} of {most}", counts.join(", ")),
    }
}

pub fn invocations(function: &FunctionProperties) -> String {
    let FunctionProperties { invocations, errors, timeouts, throttles, cold_starts, .. } = function;
    format!(
        "{invocations}: {errors} errors, {timeouts} of them timeouts; {cold_starts} cold starts; {throttles} throttled"
    )
}

/// Since the daemon started.
pub fn durations(function: &FunctionProperties) -> String {
    let histogram = Histogram::of(function);
    let Some(mean) = histogram.mean() else { return "-".to_owned() };
    let quantile = |part| units::duration(histogram.quantile(part));
    let mean = units::duration(Some(mean));
    format!(
        "{mean} on average, p50 {}, p90 {}, p99 {}",
        quantile(0.5),
        quantile(0.9),
        quantile(0.99)
    )
}

pub fn queued(function: &FunctionProperties) -> String {
    let FunctionProperties { queue_depth, queue_oldest, dead_lettered, .. } = function;
    let oldest = match queue_depth {
        0 => String::new(),
        _ => format!(", the oldest since {}", Clock::now().age(queue_oldest)),
    };
    format!("{queue_depth} events{oldest}; {dead_lettered} dead-lettered")
}
