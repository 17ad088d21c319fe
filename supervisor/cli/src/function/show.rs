//! `hedgerow function list` and `hedgerow function show`.

use std::time::Duration;

use hedgerow_api::{Error, FunctionProperties, InstanceCounts, functions};

use crate::failure::Failure;
use crate::output::{Output, bytes, table};
use crate::session::Session;
use crate::status::{age, until};

pub async fn list(session: &Session, output: &Output) -> Result<(), Failure> {
    output.print(&functions(&session.connection).await?, |functions| overview(functions))
}

/// By its name or its ARN.
pub async fn show(session: &Session, output: &Output, which: &str) -> Result<(), Failure> {
    let all = functions(&session.connection).await?;
    let mut all = all.into_iter();
    let one = all.find(|function| function.name == which || function.arn == which);
    let none = || Error::NoSuchFunction(format!("no function {which:?} is deployed"));
    output.print(&one.ok_or_else(none)?, details)
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

fn details(function: &FunctionProperties) -> String {
    let milliseconds = Duration::from_millis;
    let aliases: Vec<_> =
        function.aliases.iter().map(|(alias, version)| format!("{alias} -> {version}")).collect();
    let mut lines = vec![
        ("name", function.name.clone()),
        ("arn", function.arn.clone()),
        ("version", function.version.clone()),
        ("runtime", function.runtime.clone()),
        ("handler", function.handler.clone()),
        ("pinned", if function.pinned { "yes" } else { "no" }.to_owned()),
        ("timeout", humantime::format_duration(milliseconds(function.timeout)).to_string()),
        ("memory size", bytes(function.memory_size)),
        ("health", function.health.to_string()),
        ("instances", instances(function)),
        ("waiting", function.waiting.to_string()),
        ("invocations", invocations(function)),
        ("durations", durations(function)),
        ("queued", queued(function)),
    ];
    if !aliases.is_empty() {
        lines.insert(3, ("aliases", aliases.join(", ")));
    }
    if !function.last_error.is_empty() {
        lines.push(("last error", function.last_error.clone()));
    }
    if let Some(wait) = until(&function.next_retry) {
        lines.push(("next retry", format!("in {wait}")));
    }
    let line = |(what, value)| format!("{what:<11} {value}");
    lines.into_iter().map(line).collect::<Vec<_>>().join("\n")
}

fn instances(function: &FunctionProperties) -> String {
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

fn invocations(function: &FunctionProperties) -> String {
    let FunctionProperties { invocations, errors, timeouts, throttles, cold_starts, .. } = function;
    format!(
        "{invocations}: {errors} errors, {timeouts} of them timeouts; {cold_starts} cold starts; {throttles} throttled"
    )
}

fn durations(function: &FunctionProperties) -> String {
    let count: u64 = function.durations.iter().map(|(_, count)| count).sum();
    match function.duration_sum.checked_div(count) {
        Some(mean) => {
            format!("{} on average", humantime::format_duration(Duration::from_micros(mean)))
        }
        None => "-".to_owned(),
    }
}

fn queued(function: &FunctionProperties) -> String {
    let FunctionProperties { queue_depth, queue_oldest, dead_lettered, .. } = function;
    let oldest = match queue_depth {
        0 => String::new(),
        _ => format!(", the oldest since {}", age(queue_oldest)),
    };
    format!("{queue_depth} events{oldest}; {dead_lettered} dead-lettered")
}
