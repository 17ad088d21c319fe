//! One component, or function, in full.

use super::columns;
use super::figures::{ComponentFigures, FunctionFigures};
use super::table::Tone;
use crate::clock::span;
use crate::function::show;
use crate::output::seconds;
use crate::units;

/// What is asked for only while it is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Details {
    /// Of the component.
    pub name: String,
    /// In words; `None` where it has no fence.
    pub limits: Option<String>,
    /// The last lines.
    pub log: Vec<String>,
}

/// A line: what it is, and what it says.
pub struct Fact {
    pub title: &'static str,
    pub text: String,
    pub tone: Tone,
}

fn fact(title: &'static str, text: impl Into<String>) -> Fact {
    Fact { title, text: text.into(), tone: Tone::Plain }
}

pub fn of_component(
    row: &ComponentFigures,
    details: Option<&Details>,
    levels: &[char],
) -> Vec<Fact> {
    let one = &row.properties;
    let paused = if one.paused { ", paused" } else { "" };
    let since = row.since.map_or_else(|| "an earlier boot".to_owned(), span);
    let mut facts = vec![
        fact("version", &one.version),
        Fact {
            title: "state",
            text: format!("{} for {since}{paused}", one.state),
            tone: columns::of_state(one.state),
        },
        fact("restarts", one.restarts.to_string()),
    ];
    if one.pid != 0 {
        facts.push(fact("main pid", one.pid.to_string()));
    }
    if one.tasks > 0 {
        let (cpu, memory) = (units::figure(row.cpu_percent), units::bytes(one.memory));
        let time = seconds(one.cpu_time);
        let used = format!("{cpu}% CPU, {time} in all; {memory} memory; {} tasks", one.tasks);
        facts.push(fact("uses", used));
        facts.extend(bars(&row.lately, levels).map(|bars| fact("CPU%", bars)));
    }
    facts.extend(
        details.and_then(|details| details.limits.as_ref()).map(|text| fact("limits", text)),
    );
    facts.extend(wrong(&one.last_error, row.retry.as_deref()));
    if !one.status_codes.is_empty() {
        facts.push(fact("codes", one.status_codes.join(", ")));
    }
    facts
}

pub fn of_function(row: &FunctionFigures, levels: &[char]) -> Vec<Fact> {
    let one = &row.properties;
    let mut facts = vec![
        fact("version", show::version(one)),
        fact("code", format!("{} {}", one.runtime, one.handler)),
        fact("limits", show::limits(one)),
        Fact {
            title: "health",
            text: one.health.to_string(),
            tone: columns::of_health(one.health),
        },
        fact("instances", show::instances(one)),
    ];
    if row.memory > 0 {
        let (cpu, memory) = (units::figure(row.cpu_percent), units::bytes(row.memory));
        facts.push(fact("uses", format!("{cpu}% CPU, {memory} memory")));
    }
    facts.push(fact("calls", show::invocations(one)));
    facts.extend(bars(&row.lately, levels).map(|bars| fact("calls/s", bars)));
    facts.push(fact("durations", show::durations(one)));
    facts.push(fact("queued", show::queued(one)));
    facts.extend(wrong(&one.last_error, row.retry.as_deref()));
    facts
}

fn wrong(error: &str, retry: Option<&str>) -> Option<Fact> {
    let retry = retry.map(|wait| format!(" (tried again in {wait})")).unwrap_or_default();
    let text = format!("{error}{retry}");
    (!text.is_empty()).then_some(Fact { title: "error", text, tone: Tone::Bad })
}

/// The last minute beside its highest, where there was anything.
fn bars(lately: &[f64], levels: &[char]) -> Option<String> {
    let peak = lately.iter().copied().fold(0.0, f64::max);
    // Truncation is meant: a level is full, or not.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let level =
        |value: &f64| (value / peak * levels.len().saturating_sub(1) as f64).ceil() as usize;
    let bars = || lately.iter().filter_map(|value| levels.get(level(value))).collect::<String>();
    (peak > 0.0).then(|| format!("{} at most {}", bars(), units::figure(Some(peak))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_high_as_their_share_of_the_highest() {
        let bars = |lately: &[f64]| bars(lately, &['_', '-', '#']);
        let text = "_--## at most 100".to_owned();
        assert_eq!(bars(&[0.0, 1.0, 50.0, 51.0, 100.0]), Some(text));
        assert_eq!((bars(&[0.0, 0.0]), bars(&[])), (None, None));
    }
}
