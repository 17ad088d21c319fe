//! AWS-provided components that recipes depend on and that have no recipe here: Hedgerow answers
//! for them itself.
//!
//! A built-in has no steps and no fence. It claims the versions that AWS has published, as far
//! as the table knows them, because what depends on it names those; which of them a device "has" changes nothing in what it does.

mod table;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use crate::version::{Version, VersionReq};

#[derive(Debug)]
pub struct Builtin {
    pub name: &'static str,
    /// What it is for, in a few words.
    pub purpose: &'static str,
    pub service: Service,
    lines: &'static [Line],
    /// JSON of a map.
    configuration: &'static str,
}

/// Whether the calls that a built-in is there for are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    Provided,
    /// What does not work, for whoever depends on it. Deploying it works.
    NotYet(&'static str),
}

/// The claimed versions of one major: the last patch of each minor from 0 on.
#[derive(Debug)]
struct Line {
    major: u64,
    patches: &'static [u64],
}

/// Every built-in, by name.
pub fn all() -> &'static [Builtin] {
    table::BUILTINS
}

impl Builtin {
    pub fn named(name: &str) -> Option<&'static Self> {
        table::BUILTINS.iter().find(|builtin| builtin.name == name)
    }

    /// The last claimed version of each minor, newest first.
    pub fn versions(&self) -> Vec<Version> {
        let mut versions: Vec<_> = self
            .lines
            .iter()
            .flat_map(|line| {
                (0..).zip(line.patches).map(|(minor, patch)| (line.major, minor, *patch))
            })
            .map(Version::from)
            .collect();
        versions.sort_by(|a, b| b.cmp(a));
        versions
    }

    /// The newest claimed version in all of `ranges`. A version that a range names counts as
    /// claimed if its minor is.
    pub fn version_in(&self, ranges: &[&VersionReq]) -> Option<Version> {
        let mut candidates = self.versions();
        candidates.extend(ranges.iter().flat_map(|range| range.named()).filter(|v| self.claims(v)));
        candidates.into_iter().filter(|v| ranges.iter().all(|range| range.matches(v))).max()
    }

    pub fn claims(&self, version: &Version) -> bool {
        let minor = usize::try_from(version.minor()).unwrap_or(usize::MAX);
        self.lines.iter().any(|line| line.major == version.major() && minor < line.patches.len())
    }

    /// Its `DefaultConfiguration`.
    pub fn default_configuration(&self) -> Map<String, Value> {
        serde_json::from_str(self.configuration).unwrap_or_default()
    }
}
