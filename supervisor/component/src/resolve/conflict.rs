//! Why there is no resolution, in full.

use std::fmt;

use crate::finding::Finding;
use crate::name::ComponentName;
use crate::platform::{Mismatch, Platform};
use crate::recipe::ComponentType;
use crate::version::{Version, VersionReq};

/// Who asks for a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirer {
    /// The deployments of a group asked for it by name: `thinggroup/x`, `LOCAL_DEPLOYMENTS`.
    Group(String),
    /// It is a dependency.
    Component { name: ComponentName, version: Version },
}

/// One range that a component's version has to be in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    pub component: ComponentName,
    pub range: VersionReq,
    pub by: Requirer,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    #[error("there is no recipe of {component}; {}", list(requirements))]
    Missing { component: ComponentName, requirements: Vec<Requirement> },
    #[error(
        "no version of {component} satisfies every requirement; {}; there is {}",
        list(requirements),
        list(available)
    )]
    NoVersion { component: ComponentName, available: Vec<Version>, requirements: Vec<Requirement> },
    #[error(
        "no version of {component} that is built in satisfies every requirement; {}; built in are {} to {}",
        list(requirements),
        available.last().map_or_else(String::new, Version::to_string),
        available.first().map_or_else(String::new, Version::to_string)
    )]
    NotBuiltIn {
        component: ComponentName,
        /// The last of each minor, newest first.
        available: Vec<Version>,
        requirements: Vec<Requirement>,
    },
    #[error(
        "{file}: no manifest of {component} {version} is for this device ({platform}): {}",
        list(mismatches)
    )]
    NoPlatform {
        component: ComponentName,
        version: Version,
        file: String,
        platform: Box<Platform>,
        /// One for each manifest, in order.
        mismatches: Vec<Mismatch>,
    },
    #[error(
        "{file}: {component} {version} is of the type {kind}, which needs AWS's own runtime; only generic and Lambda components can be deployed"
    )]
    Unrunnable { component: ComponentName, version: Version, file: String, kind: ComponentType },
    #[error("{component} {version} cannot be deployed: {}", list(findings))]
    Refused { component: ComponentName, version: Version, findings: Vec<Finding> },
    /// Each depends on the next, and the last on the first.
    #[error("these components depend on each other in a circle: {} -> {}", names.iter().map(ComponentName::as_str).collect::<Vec<_>>().join(" -> "), names.first().map_or("", ComponentName::as_str))]
    Cycle { names: Vec<ComponentName> },
    #[error("no resolution was found in {trials} trials; narrow the version requirements")]
    TooComplex { trials: usize },
}

fn list<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join("; ")
}

impl fmt::Display for Requirer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(name) => write!(f, "group {name}"),
            Self::Component { name, version } => write!(f, "{name} {version}"),
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} requires {} {}", self.by, self.component, self.range)
    }
}
