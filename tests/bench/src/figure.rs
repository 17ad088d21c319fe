//! A measured number, what it is held to, and how it is shown.

use anyhow::Result;
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::sample::Spread;

#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// `bench.what`, stable: what a later run is compared by.
    pub name: String,
    pub value: f64,
    pub unit: &'static str,
    /// Least and greatest of the rounds, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spread: Option<[f64; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// Whether the target is met.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub met: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    AtMost(f64),
    AtLeast(f64),
    /// Strictly.
    Under(f64),
}

impl Target {
    fn is_met(self, value: f64) -> bool {
        match self {
            Target::AtMost(limit) => value <= limit,
            Target::AtLeast(limit) => value >= limit,
            Target::Under(limit) => value < limit,
        }
    }

    fn describe(self) -> String {
        match self {
            Target::AtMost(limit) => format!("at most {}", number(limit)),
            Target::AtLeast(limit) => format!("at least {}", number(limit)),
            Target::Under(limit) => format!("under {}", number(limit)),
        }
    }
}

impl Figure {
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Figure {
        Figure { name: name.into(), value, unit, spread: None, target: None, met: None }
    }

    /// The median of several rounds.
    pub fn of(name: impl Into<String>, spread: Spread, unit: &'static str) -> Figure {
        let mut figure = Figure::new(name, spread.median, unit);
        figure.spread = Some([spread.least, spread.greatest]);
        figure
    }

    pub fn held_to(mut self, target: Target) -> Figure {
        self.target = Some(target);
        self.met = Some(target.is_met(self.value));
        self
    }
}

pub fn print(figures: &[Figure], json: bool) -> Result<()> {
    if json {
        for figure in figures {
            println!("{}", serde_json::to_string(figure)?);
        }
        return Ok(());
    }
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(["figure", "median", "unit", "rounds", "target", ""]);
    for figure in figures {
        let rounds = figure.spread.map(|[a, b]| format!("{} .. {}", number(a), number(b)));
        let met = figure.met.map(|met| if met { "met" } else { "MISSED" });
        table.add_row([
            figure.name.as_str(),
            &number(figure.value),
            figure.unit,
            &rounds.unwrap_or_default(),
            &figure.target.map(Target::describe).unwrap_or_default(),
            met.unwrap_or_default(),
        ]);
    }
    if let Some(column) = table.column_mut(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("{table}");
    Ok(())
}

/// Three digits that matter.
fn number(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 || v == 0.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_met_at_its_limit_unless_it_says_under() {
        let figure = |value, target| Figure::new("x", value, "s").held_to(target).met;
        assert_eq!(figure(4.0, Target::AtMost(4.0)), Some(true));
        assert_eq!(figure(4.1, Target::AtMost(4.0)), Some(false));
        assert_eq!(figure(4.0, Target::AtLeast(4.0)), Some(true));
        assert_eq!(figure(3.9, Target::AtLeast(4.0)), Some(false));
        assert_eq!(figure(4.0, Target::Under(4.0)), Some(false));
    }
}
