//! `hedgerow status`.

use hedgerow_api::{ComponentProperties, Error, Moment, components};
use nix::time::{ClockId, clock_gettime};

use crate::failure::Failure;
use crate::output::{Output, bytes, table};
use crate::session::Session;

pub async fn run(session: &Session, output: &Output, name: Option<&str>) -> Result<(), Failure> {
    let all = components(&session.connection).await?;
    match name {
        None => output.print(&all, |all| overview(all)),
        Some(name) => {
            let one =
                all.into_iter().find(|component| component.name == name).ok_or_else(|| {
                    Error::NoSuchComponent(format!("no component {name:?} is deployed"))
                })?;
            output.print(&one, details)
        }
    }
}

fn overview(components: &[ComponentProperties]) -> String {
    if components.is_empty() {
        return "no component is deployed".to_owned();
    }
    let row = |component: &ComponentProperties| {
        [
            component.name.clone(),
            component.version.clone(),
            state(component),
            age(&component.state_changed),
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

fn details(component: &ComponentProperties) -> String {
    let mut lines = vec![
        ("name", component.name.clone()),
        ("version", component.version.clone()),
        ("state", format!("{} since {}", state(component), age(&component.state_changed))),
        ("pid", pid(component)),
        ("memory", bytes(component.memory)),
        ("restarts", component.restarts.to_string()),
    ];
    if !component.last_error.is_empty() {
        lines.push(("last error", component.last_error.clone()));
    }
    if !component.status_codes.is_empty() {
        lines.push(("codes", component.status_codes.join(", ")));
    }
    if let Some(wait) = until(&component.next_retry) {
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

/// How long ago, on the clock that nobody can set.
pub fn age(moment: &Moment) -> String {
    match since(moment) {
        Some(seconds) => span(seconds.max(0)),
        None => "an earlier boot".to_owned(),
    }
}

/// How long until then; `None` where it is past or not set.
pub fn until(moment: &Moment) -> Option<String> {
    since(moment).filter(|seconds| *seconds < 0).map(|seconds| span(-seconds))
}

/// Seconds; `None` where it was not in this boot.
fn since(moment: &Moment) -> Option<i64> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(0, |now| now.tv_sec());
    let then = i64::try_from(moment.boottime / 1_000_000_000).unwrap_or(i64::MAX);
    (moment.boot_id == boot.trim()).then(|| now.saturating_sub(then))
}

fn span(seconds: i64) -> String {
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7199 => format!("{}m", seconds / 60),
        7200..=172_799 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short() {
        for (seconds, text) in
            [(0, "0s"), (119, "119s"), (120, "2m"), (7200, "2h"), (200_000, "2d")]
        {
            assert_eq!(span(seconds), text);
        }
    }
}
