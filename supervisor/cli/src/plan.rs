//! What a deployment would do, for people.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::output::bytes;

/// The answer of `Manager.Plan`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Plan {
    added: BTreeMap<String, String>,
    removed: BTreeMap<String, String>,
    updated: BTreeMap<String, Update>,
    restarted: BTreeMap<String, Vec<String>>,
    unchanged: Vec<String>,
    configuration: BTreeMap<String, Vec<Difference>>,
    bytes_to_copy: u64,
    notices: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Update {
    from: String,
    to: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Difference {
    pointer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Value>,
}

impl Plan {
    /// One line for each thing that would happen, marked as `diff` marks lines.
    pub fn people(&self) -> String {
        let mut lines = Vec::new();
        lines.extend(self.added.iter().map(|(name, version)| format!("+ {name} {version}")));
        lines.extend(self.removed.iter().map(|(name, version)| format!("- {name} {version}")));
        let update = |(name, Update { from, to }): (_, &Update)| format!("~ {name} {from} -> {to}");
        lines.extend(self.updated.iter().map(update));
        let restart = |(name, reasons): (&String, &Vec<String>)| {
            format!("! {name} restarts: {}", reasons.join("; "))
        };
        lines.extend(self.restarted.iter().map(restart));
        if lines.is_empty() {
            lines.push("nothing is added, removed, updated or restarted".to_owned());
        }
        for (name, differences) in &self.configuration {
            lines.push(format!("configuration of {name}:"));
            lines.extend(
                differences.iter().map(|difference| format!("    {}", difference.people())),
            );
        }
        if !self.unchanged.is_empty() {
            lines.push(format!("unchanged: {}", self.unchanged.join(", ")));
        }
        if self.bytes_to_copy > 0 {
            lines.push(format!("to copy: {}", bytes(self.bytes_to_copy)));
        }
        lines.extend(self.notices.iter().map(|notice| format!("note: {notice}")));
        lines.join("\n")
    }
}

impl Difference {
    fn people(&self) -> String {
        let Self { pointer, before, after } = self;
        match (before, after) {
            (None, Some(after)) => format!("+ {pointer} = {after}"),
            (Some(before), None) => format!("- {pointer} (was {before})"),
            (Some(before), Some(after)) => format!("~ {pointer} = {after} (was {before})"),
            (None, None) => format!("  {pointer}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_change_has_its_line() {
        let plan: Plan = serde_json::from_value(serde_json::json!({
            "added": {"a": "1.0.0"},
            "removed": {"b": "2.0.0"},
            "updated": {"c": {"from": "1.0.0", "to": "1.1.0"}},
            "restarted": {"d": ["run: interpolated value changed"]},
            "unchanged": ["e", "f"],
            "configuration": {"d": [
                {"pointer": "/k", "before": 1, "after": 2},
                {"pointer": "/l", "after": "x"},
                {"pointer": "/m", "before": null},
            ]},
            "bytes_to_copy": 4096,
            "notices": ["a uses a service that does not exist yet"],
            "of a later version": true,
        }))
        .unwrap();
        assert_eq!(
            plan.people(),
            "+ a 1.0.0\n- b 2.0.0\n~ c 1.0.0 -> 1.1.0\n\
             ! d restarts: run: interpolated value changed\nconfiguration of d:\n    \
             ~ /k = 2 (was 1)\n    + /l = \"x\"\n      /m\nunchanged: e, f\nto copy: 4 KiB\n\
             note: a uses a service that does not exist yet"
        );
        assert_eq!(Plan::default().people(), "nothing is added, removed, updated or restarted");
    }
}
