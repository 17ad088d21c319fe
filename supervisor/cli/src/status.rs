//! `hedgerow status`.

use hedgerow_api::{ComponentProperties, Error, Moment, components};
use nix::time::{ClockId, clock_gettime};

use crate::failure::Failure;
use crate::output::{Output, table};
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
            component.state.to_string(),
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
        ("state", format!("{} since {}", component.state, age(&component.state_changed))),
        ("pid", pid(component)),
        ("memory", bytes(component.memory)),
        ("restarts", component.restarts.to_string()),
    ];
    if !component.last_error.is_empty() {
        lines.push(("last error", component.last_error.clone()));
    }
    let line = |(what, value)| format!("{what:<11} {value}");
    lines.into_iter().map(line).collect::<Vec<_>>().join("\n")
}

fn pid(component: &ComponentProperties) -> String {
    if component.pid == 0 { "-".to_owned() } else { component.pid.to_string() }
}

/// How long ago, on the clock that nobody can set.
fn age(moment: &Moment) -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    if moment.boot_id != boot.trim() {
        return "an earlier boot".to_owned();
    }
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(0, |now| now.tv_sec());
    let then = i64::try_from(moment.boottime / 1_000_000_000).unwrap_or(i64::MAX);
    span(now.saturating_sub(then).max(0))
}

fn span(seconds: i64) -> String {
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7199 => format!("{}m", seconds / 60),
        7200..=172_799 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn bytes(count: u64) -> String {
    const KIB: u64 = 1024;
    const MIB: u64 = 1024 * KIB;
    match count {
        0 => "-".to_owned(),
        1..KIB => format!("{count} B"),
        KIB..MIB => format!("{} KiB", count / KIB),
        _ => format!("{}.{} MiB", count / MIB, count % MIB * 10 / MIB),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_sizes_are_short() {
        for (seconds, text) in
            [(0, "0s"), (119, "119s"), (120, "2m"), (7200, "2h"), (200_000, "2d")]
        {
            assert_eq!(span(seconds), text);
        }
        for (count, text) in [
            (0, "-"),
            (512, "512 B"),
            (2048, "2 KiB"),
            (4 << 20, "4.0 MiB"),
            ((4 << 20) + (1 << 19), "4.5 MiB"),
            (u64::MAX, "17592186044415.9 MiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }
}
