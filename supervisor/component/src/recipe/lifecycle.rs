//! The steps of a component's life.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::fields::{Place, Reader};
use super::step::{self, Step};

/// What a component does, step by step. Scripts, variables and conditions are as written:
/// interpolate them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lifecycle {
    /// For every step; a step's own variables override it.
    pub setenv: BTreeMap<String, String>,
    pub steps: BTreeMap<StepName, Step>,
}

/// In the order of a component's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepName {
    /// While a deployment has the component stopped: after its first arrival, a new version or a
    /// changed text.
    Bootstrap,
    Install,
    /// Instead of `run`, for what goes on in the background.
    Startup,
    Run,
    Shutdown,
    /// After a failure.
    Recover,
    /// When the component is removed for good.
    Uninstall,
}

impl StepName {
    pub const ALL: [Self; 7] = [
        Self::Bootstrap,
        Self::Install,
        Self::Startup,
        Self::Run,
        Self::Shutdown,
        Self::Recover,
        Self::Uninstall,
    ];

    /// Greengrass's time limits; `run` has none.
    pub fn default_timeout(self) -> Option<Duration> {
        match self {
            Self::Bootstrap | Self::Install | Self::Startup | Self::Uninstall => {
                Some(Duration::from_secs(120))
            }
            Self::Run => None,
            Self::Shutdown => Some(Duration::from_secs(15)),
            Self::Recover => Some(Duration::from_secs(60)),
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bootstrap => "bootstrap",
            Self::Install => "install",
            Self::Startup => "startup",
            Self::Run => "run",
            Self::Shutdown => "shutdown",
            Self::Recover => "recover",
            Self::Uninstall => "uninstall",
        }
    }
}

impl fmt::Display for StepName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Lifecycle {
    pub fn step(&self, name: StepName) -> Option<&Step> {
        self.steps.get(&name)
    }

    /// The variables a step runs with: the lifecycle's, overridden by its own.
    pub fn environment(&self, step: &Step) -> BTreeMap<String, String> {
        let mut environment = self.setenv.clone();
        environment.extend(step.setenv.clone());
        environment
    }
}

pub(super) fn read(reader: &mut Reader<'_>, place: Place<'_>) -> Lifecycle {
    let Some(mut fields) = reader.fields(place) else { return Lifecycle::default() };
    let setenv = step::environment(reader, &mut fields);
    let mut steps = BTreeMap::new();
    for name in StepName::ALL {
        let Some(place) = fields.take(reader, name.as_str()) else { continue };
        if name == StepName::Run && steps.contains_key(&StepName::Startup) {
            let message = "run is not used, because startup is defined";
            reader.warn(&place, message, "define one of them");
        }
        if let Some(step) = step::read(reader, name, place) {
            steps.insert(name, step);
        }
    }
    fields.finish(reader);
    Lifecycle { setenv, steps }
}
