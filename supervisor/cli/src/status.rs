//! `hedgerow status`.

use hedgerow_api::{ComponentProperties, Error, FunctionProperties, Objects, components};
use serde::Serialize;

use crate::clock::Clock;
use crate::failure::Failure;
use crate::function::show;
use crate::output::{Output, bytes, seconds, table};
use crate::session::Session;

/// A component in detail; what is invoked of it, where it is a function.
#[derive(Debug, Serialize)]
struct Detail {
    #[serde(flatten)]
    component: ComponentProperties,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<FunctionProperties>,
}

pub async fn run(session: &Session, output: &Output, name: Option<&str>) -> Result<(), Failure> {
    let Some(name) = name else {
        return output.print(&components(&session.connection).await?, |all| overview(all));
    };
    let Objects { components, functions, .. } = Objects::of(&session.connection).await?;
    let component = components.into_iter().find(|component| component.name == name);
    let none = || Error::NoSuchComponent(format!("no component {name:?} is deployed"));
    let function = functions.into_iter().find(|function| function.name == name);
    output.print(&Detail { component: component.ok_or_else(none)?, function }, details)
}

fn overview(components: &[ComponentProperties]) -> String {
    if components.is_empty() {
        return "no component is deployed".to_owned();
    }
    let clock = Clock::now();
    let row = |component: &ComponentProperties| {
        [
            component.name.clone(),
            component.version.clone(),
            state(component),
            clock.age(&component.state_changed),
            pid(component),
            bytes(component.memory),
            component.restarts.to_string(),
        ]
    };
    let heading = ["NAME", "VERSION", "STATE", "SINCE", "PID", "MEMORY", "RESTARTS"];
    let mut text = table(heading, components.iter().map(row).collect());
    for component in components.iter().filter(|component| !component.last_error.is_empty()) {
        text.push_str(&format!("\n{}: {}", component.name, component.last_error));
    }
    text
}

fn details(detail: &Detail) -> String {
    let Detail { component, function } = detail;
    let clock = Clock::now();
    let since = clock.age(&component.state_changed);
    let mut lines = vec![
        ("name", component.name.clone()),
        ("version", component.version.clone()),
        ("state", format!("{} since {since}", state(component))),
        ("pid", pid(component)),
        ("memory", bytes(component.memory)),
        ("cpu time", seconds(component.cpu_time)),
        ("tasks", component.tasks.to_string()),
        ("restarts", component.restarts.to_string()),
    ];
    if let Some(function) = function {
        lines.retain(|(what, _)| *what != "pid");
        lines.push(("health", function.health.to_string()));
        lines.push(("instances", show::instances(function)));
        lines.push(("invocations", show::invocations(function)));
        lines.push(("queued", show::queued(function)));
    }
    if !component.last_error.is_empty() {
        lines.push(("last error", component.last_error.clone()));
    }
    if !component.status_codes.is_empty() {
        lines.push(("codes", component.status_codes.join(", ")));
    }
    if let Some(wait) = clock.until(&component.next_retry) {
        lines.push(("next retry", format!("in {wait}")));
    }
    let line = |(what, value)| format!("{what:<11} {value}");
    lines.into_iter().map(line).collect::<Vec<_>>().join("\n")
}

fn state(component: &ComponentProperties) -> String {
    let paused = if component.paused { " (paused)" } else { "" };
    format!("{}{paused}", component.state)
}

fn pid(component: &ComponentProperties) -> String {
    if component.pid == 0 { "-".to_owned() } else { component.pid.to_string() }
}
