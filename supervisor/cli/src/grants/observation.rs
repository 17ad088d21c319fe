//! What the daemon has of an observation.

use hedgerow_api::ComponentProxy;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::output::{table, wall_clock};

/// The answer of `Component.GetObservation`, where there is one.
#[derive(Debug, Serialize, Deserialize)]
pub struct Observation {
    /// Seconds since 1970.
    began: i64,
    /// `None` while it is under way.
    ended: Option<i64>,
    pub findings: Vec<Finding>,
    /// Denied calls for which there was no room.
    more: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Finding {
    call: String,
    subject: String,
    count: u64,
    pub remedy: Remedy,
    grant: Option<String>,
    advice: String,
}

/// What would give it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remedy {
    Device(String),
    HostPath(HostPath),
    HostNetwork,
    Port(String),
    RealRoot(String),
    HostBus,
    /// Nothing that a `[[grant]]` can have; the advice says more.
    #[serde(untagged)]
    Other(serde_json::Value),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HostPath {
    pub path: String,
    pub access: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

impl Observation {
    /// `None` where the component was not observed since the daemon started.
    pub async fn of(component: &ComponentProxy<'_>) -> Result<Option<Self>, Failure> {
        let text = component.get_observation().await?;
        serde_json::from_str(&text).map_err(Failure::Record)
    }

    /// For people: what was denied, most often first, and what gives it.
    pub fn people(&self, name: &str) -> String {
        let until = self.ended.map_or("now".to_owned(), |ended| wall_clock(ended * 1000));
        let time = format!("{} to {until}", wall_clock(self.began * 1000));
        if self.findings.is_empty() && self.more == 0 {
            return format!("nothing was denied to {name} from {time}");
        }
        let mut findings: Vec<_> = self.findings.iter().collect();
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.count));
        let rows = findings.into_iter().map(Finding::row).collect();
        let mut text = format!("denied to {name} from {time}:\n");
        text.push_str(&table(["CALL", "FOR", "TIMES", "GIVEN BY"], rows));
        if self.more > 0 {
            text.push_str(&format!("\nand {} more calls, for which there was no room", self.more));
        }
        text
    }
}

impl Finding {
    fn row(&self) -> [String; 4] {
        // The component chose it: no control character of it reaches the terminal.
        let subject = self.subject.chars().map(|c| if c.is_control() { '?' } else { c });
        let given = self.grant.as_ref().unwrap_or(&self.advice);
        [self.call.clone(), subject.collect(), self.count.to_string(), given.clone()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_daemon_says_is_shown_with_the_most_frequent_first() {
        let observation: Observation = serde_json::from_value(serde_json::json!({
            "began": 0, "ended": null, "more": 2, "findings": [
                {"call": "openat", "subject": "/dev/\u{1b}x", "count": 1, "remedy": {"device": "/dev/x"},
                 "grant": "devices = [\"/dev/x\"]", "advice": ""},
                {"call": "mount", "subject": "m", "count": 30, "remedy": "none", "grant": null, "advice": "no grant"},
            ]
        }))
        .unwrap();
        let text = observation.people("a");
        let lines: Vec<_> = text
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        let expected = [
            "denied to a from 1970-01-01T00:00:00Z to now:",
            "CALL FOR TIMES GIVEN BY",
            "mount m 30 no grant",
            "openat /dev/?x 1 devices = [\"/dev/x\"]",
            "and 2 more calls, for which there was no room",
        ];
        assert_eq!(lines, expected);
    }
}
