//! What is shown of components and of functions.

use hedgerow_api::{ComponentState, FunctionHealth, InstanceCounts};

use super::figures::{ComponentFigures, FunctionFigures};
use super::table::{Align, Column, Row, Tone};
use crate::clock::span;
use crate::units;

impl Row for ComponentFigures {
    const TITLE: &'static str = "COMPONENT";

    fn name(&self) -> &str {
        &self.properties.name
    }

    const COLUMNS: &'static [Column<Self>] = &[
        Column {
            title: "VERSION",
            width: 8,
            align: Align::Left,
            from: 90,
            text: |row| row.properties.version.clone(),
            tone: |_| Tone::Plain,
            order: |a, b| a.properties.version.cmp(&b.properties.version),
        },
        Column {
            title: "STATE",
            width: 9,
            align: Align::Left,
            from: 0,
            text: |row| match row.properties.paused {
                true => "PAUSED".to_owned(),
                false => row.properties.state.to_string(),
            },
            tone: |row| of_state(row.properties.state),
            order: |a, b| a.properties.state.as_str().cmp(b.properties.state.as_str()),
        },
        Column {
            title: "CPU%",
            width: 5,
            align: Align::Right,
            from: 0,
            text: |row| units::figure(row.cpu_percent),
            tone: |row| quiet(row.cpu_percent.is_none_or(|percent| percent < 0.05)),
            order: |a, b| descending(a.cpu_percent, b.cpu_percent),
        },
        Column {
            title: "MEM",
            width: 5,
            align: Align::Right,
            from: 0,
            text: |row| units::bytes(row.properties.memory),
            tone: |row| quiet(row.properties.memory == 0),
            order: |a, b| b.properties.memory.cmp(&a.properties.memory),
        },
        Column {
            title: "TASKS",
            width: 5,
            align: Align::Right,
            from: 0,
            text: |row| units::count(row.properties.tasks.into()),
            tone: |row| quiet(row.properties.tasks == 0),
            order: |a, b| b.properties.tasks.cmp(&a.properties.tasks),
        },
        Column {
            title: "RESTARTS",
            width: 8,
            align: Align::Right,
            from: 0,
            text: |row| units::count(row.properties.restarts.into()),
            tone: |row| quiet(row.properties.restarts == 0),
            order: |a, b| b.properties.restarts.cmp(&a.properties.restarts),
        },
        Column {
            title: "FOR",
            width: 5,
            align: Align::Right,
            from: 0,
            text: |row| row.since.map_or_else(|| "-".to_owned(), span),
            tone: |_| Tone::Plain,
            order: |a, b| a.since.cmp(&b.since),
        },
    ];
}

impl Row for FunctionFigures {
    const TITLE: &'static str = "FUNCTION";

    fn name(&self) -> &str {
        &self.properties.name
    }

    const COLUMNS: &'static [Column<Self>] = &[
        Column {
            title: "HEALTH",
            width: 8,
            align: Align::Left,
            from: 0,
            text: |row| row.properties.health.to_string(),
            tone: |row| of_health(row.properties.health),
            order: |a, b| a.properties.health.as_str().cmp(b.properties.health.as_str()),
        },
        Column {
            title: "CPU%",
            width: 5,
            align: Align::Right,
            from: 100,
            text: |row| units::figure(row.cpu_percent),
            tone: |row| quiet(row.cpu_percent.is_none_or(|percent| percent < 0.05)),
            order: |a, b| descending(a.cpu_percent, b.cpu_percent),
        },
        Column {
            title: "MEM",
            width: 5,
            align: Align::Right,
            from: 100,
            text: |row| units::bytes(row.memory),
            tone: |row| quiet(row.memory == 0),
            order: |a, b| b.memory.cmp(&a.memory),
        },
        Column {
            title: "INV/S",
            width: 5,
            align: Align::Right,
            from: 0,
            text: |row| units::figure(row.rate),
            tone: |row| quiet(row.rate.is_none_or(|rate| rate < 0.05)),
            order: |a, b| descending(a.rate, b.rate),
        },
        Column {
            title: "INVOC",
            width: 5,
            align: Align::Right,
            from: 100,
            text: |row| units::count(row.properties.invocations),
            tone: |row| quiet(row.properties.invocations == 0),
            order: |a, b| b.properties.invocations.cmp(&a.properties.invocations),
        },
        Column {
            title: "ERR",
            width: 4,
            align: Align::Right,
            from: 0,
            text: |row| units::count(row.properties.errors),
            tone: |row| wrong(row.properties.errors, row.has_erred),
            order: |a, b| b.properties.errors.cmp(&a.properties.errors),
        },
        Column {
            title: "THR",
            width: 4,
            align: Align::Right,
            from: 0,
            text: |row| units::count(row.properties.throttles),
            tone: |row| wrong(row.properties.throttles, row.was_throttled),
            order: |a, b| b.properties.throttles.cmp(&a.properties.throttles),
        },
        Column {
            title: "COLD",
            width: 4,
            align: Align::Right,
            from: 0,
            text: |row| units::count(row.properties.cold_starts),
            tone: |row| quiet(row.properties.cold_starts == 0),
            order: |a, b| b.properties.cold_starts.cmp(&a.properties.cold_starts),
        },
        Column {
            title: "P50",
            width: 5,
            align: Align::Right,
            from: 0,
            text: |row| units::duration(row.p50),
            tone: |row| quiet(row.p50.is_none()),
            order: |a, b| b.p50.cmp(&a.p50),
        },
        Column {
            title: "P99",
            width: 5,
            align: Align::Right,
            from: 0,
            text: |row| units::duration(row.p99),
            tone: |row| quiet(row.p99.is_none()),
            order: |a, b| b.p99.cmp(&a.p99),
        },
        Column {
            title: "QUEUE",
            width: 5,
            align: Align::Right,
            from: 0,
            text: |row| units::count(row.properties.queue_depth),
            tone: |row| quiet(row.properties.queue_depth == 0),
            order: |a, b| b.properties.queue_depth.cmp(&a.properties.queue_depth),
        },
        Column {
            title: "AGE",
            width: 4,
            align: Align::Right,
            from: 0,
            text: |row| row.oldest.map_or_else(|| "-".to_owned(), span),
            tone: |row| quiet(row.oldest.is_none()),
            order: |a, b| b.oldest.cmp(&a.oldest),
        },
        Column {
            title: "S/B/I/F",
            width: 7,
            align: Align::Right,
            from: 0,
            text: |row| {
                let InstanceCounts { starting, busy, idle, frozen, .. } = row.properties.instances;
                format!("{starting}/{busy}/{idle}/{frozen}")
            },
            tone: |row| quiet(row.properties.instances.total() == 0),
            order: |a, b| b.properties.instances.total().cmp(&a.properties.instances.total()),
        },
    ];
}

pub fn of_state(state: ComponentState) -> Tone {
    match state {
        ComponentState::New
        | ComponentState::Installed
        | ComponentState::Starting
        | ComponentState::Stopping => Tone::Passing,
        ComponentState::Running => Tone::Plain,
        ComponentState::Errored | ComponentState::Broken => Tone::Bad,
        ComponentState::Finished => Tone::Faint,
    }
}

pub fn of_health(health: FunctionHealth) -> Tone {
    match health {
        FunctionHealth::Stopped | FunctionHealth::Idle => Tone::Faint,
        FunctionHealth::Starting => Tone::Passing,
        FunctionHealth::Ready => Tone::Plain,
        FunctionHealth::Failing => Tone::Bad,
    }
}

fn quiet(is_quiet: bool) -> Tone {
    if is_quiet { Tone::Faint } else { Tone::Plain }
}

fn wrong(count: u64, is_recent: bool) -> Tone {
    match (count, is_recent) {
        (0, _) => Tone::Faint,
        (_, false) => Tone::Plain,
        (_, true) => Tone::Bad,
    }
}

/// What is not known last.
fn descending(a: Option<f64>, b: Option<f64>) -> std::cmp::Ordering {
    b.unwrap_or(-1.0).total_cmp(&a.unwrap_or(-1.0))
}
