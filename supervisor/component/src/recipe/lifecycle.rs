//! The steps of a component's life.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::fields::{Fields, Place, Reader};
use super::read::NOT_YET;
use crate::document::{Content, Node};
use crate::finding::Finding;
use crate::variables::Scope;

/// A manifest's `Lifecycle`. Scripts, variables and time limits are as written: interpolate them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lifecycle {
    /// For every step; a step's own variables override it.
    pub setenv: BTreeMap<String, String>,
    pub install: Option<Step>,
    pub startup: Option<Step>,
    /// Not used where `startup` is defined.
    pub run: Option<Step>,
    pub shutdown: Option<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// For the shell: `sh -c SCRIPT`.
    pub script: String,
    pub setenv: BTreeMap<String, String>,
    /// `None`: [`StepName::default_timeout`].
    pub timeout: Option<Timeout>,
    pub requires_privilege: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StepName {
    Install,
    Startup,
    Run,
    Shutdown,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Timeout {
    After(Duration),
    /// A recipe variable that has a number of seconds.
    Variable(String),
}

/// A variable used as time limit that does not have a number of seconds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the timeout {written} is {value:?}, which is not a number of seconds from 1 to {}",
    Timeout::MAX_SECONDS
)]
pub struct InvalidTimeout {
    pub written: String,
    pub value: String,
}

impl StepName {
    pub const ALL: [Self; 4] = [Self::Install, Self::Startup, Self::Run, Self::Shutdown];

    /// Greengrass's limits: 120 s, 120 s, none, 15 s.
    pub fn default_timeout(self) -> Option<Duration> {
        match self {
            Self::Install | Self::Startup => Some(Duration::from_secs(120)),
            Self::Run => None,
            Self::Shutdown => Some(Duration::from_secs(15)),
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Startup => "startup",
            Self::Run => "run",
            Self::Shutdown => "shutdown",
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
        match name {
            StepName::Install => self.install.as_ref(),
            StepName::Startup => self.startup.as_ref(),
            StepName::Run => self.run.as_ref(),
            StepName::Shutdown => self.shutdown.as_ref(),
        }
    }

    /// The variables a step runs with: the manifest's, overridden by its own.
    pub fn environment(&self, step: &Step) -> BTreeMap<String, String> {
        let mut environment = self.setenv.clone();
        environment.extend(step.setenv.clone());
        environment
    }
}

impl Timeout {
    pub const MAX_SECONDS: u64 = i32::MAX as u64;

    /// The time limit, its variable replaced.
    pub fn resolve(&self, scope: &Scope<'_>) -> Result<Duration, InvalidTimeout> {
        match self {
            Self::After(duration) => Ok(*duration),
            Self::Variable(written) => {
                let value = scope.interpolate(written).text;
                seconds(&value).ok_or_else(|| InvalidTimeout { written: written.clone(), value })
            }
        }
    }
}

fn seconds(text: &str) -> Option<Duration> {
    let seconds: u64 = text.trim().parse().ok()?;
    (1..=Timeout::MAX_SECONDS).contains(&seconds).then(|| Duration::from_secs(seconds))
}

pub(super) fn read(
    reader: &mut Reader<'_>,
    place: Place<'_>,
    refusals: &mut Vec<Finding>,
) -> Lifecycle {
    let Some(mut fields) = reader.fields(place) else { return Lifecycle::default() };
    let setenv = environment(reader, &mut fields);
    let mut take = |reader: &mut Reader<'_>, key| {
        let place = fields.take(reader, key);
        (place.clone(), place.and_then(|place| step(reader, place, refusals)))
    };
    let (_, install) = take(reader, "install");
    let (_, startup) = take(reader, "startup");
    let (run_place, run) = take(reader, "run");
    let (_, shutdown) = take(reader, "shutdown");
    if let Some(place) = fields.take(reader, "bootstrap") {
        let message = format!("the step bootstrap is {NOT_YET}");
        refusals.push(reader.refusal(&place, message, "move what it does into install"));
    }
    for key in ["recover", "uninstall"] {
        if let Some(place) = fields.take(reader, key) {
            reader.warn(&place, format_args!("the step {key} is {NOT_YET}; it will not run"), "");
        }
    }
    if let (Some(_), Some(place)) = (&startup, run_place) {
        let message = "run is not used, because startup is defined";
        reader.warn(&place, message, "define one of them");
    }
    fields.finish(reader);
    Lifecycle { setenv, install, startup, run, shutdown }
}

fn step(reader: &mut Reader<'_>, place: Place<'_>, refusals: &mut Vec<Finding>) -> Option<Step> {
    if let Some(script) = place.node.text() {
        let script = script.into_owned();
        let (setenv, timeout) = (BTreeMap::new(), None);
        shell_text(reader, &place, &script);
        return Some(Step { script, setenv, timeout, requires_privilege: false });
    }
    let mut fields = reader.fields(place)?;
    let script = fields
        .require(reader, "script")
        .and_then(|p| reader.text(&p).inspect(|script| shell_text(reader, &p, script)));
    let setenv = environment(reader, &mut fields);
    let timeout = fields.take(reader, "timeout").and_then(|p| timeout(reader, &p));
    let requires_privilege = fields
        .take(reader, "requiresPrivilege")
        .and_then(|p| reader.word(&p, &[("true", true), ("false", false)]))
        .unwrap_or(false);
    if let Some(place) = fields.take(reader, "skipif") {
        let message = format!("Skipif is {NOT_YET}");
        refusals.push(reader.refusal(&place, message, "test the condition in the script"));
    }
    fields.finish(reader);
    Some(Step { script: script?, setenv, timeout, requires_privilege })
}

fn shell_text(reader: &mut Reader<'_>, place: &Place<'_>, text: &str) {
    if text.contains('\0') {
        reader.error(place, "a script or a variable cannot contain a NUL character", "");
    }
}

fn timeout(reader: &mut Reader<'_>, place: &Place<'_>) -> Option<Timeout> {
    let text = reader.text(place)?;
    if let Some(duration) = seconds(&text) {
        return Some(Timeout::After(duration));
    }
    if text.contains('{') {
        return Some(Timeout::Variable(text));
    }
    let message = format!("{text:?} is not a number of seconds from 1 to {}", Timeout::MAX_SECONDS);
    reader.error(place, message, "");
    None
}

fn environment<'n>(reader: &mut Reader<'_>, fields: &mut Fields<'n>) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    let Some(place) = fields.take(reader, "setenv") else { return variables };
    let Some(map) = reader.fields(place) else { return variables };
    for (name, place) in map.place().entries() {
        if name.is_empty() || name.contains(['=', '\0']) {
            reader.error(&place, format_args!("{name:?} cannot name an environment variable"), "");
            continue;
        }
        if let Some(value) = value(reader, &place) {
            shell_text(reader, &place, &value);
            variables.insert(name.to_owned(), value);
        }
    }
    variables
}

fn value(reader: &mut Reader<'_>, place: &Place<'_>) -> Option<String> {
    match place.node {
        Node { content: Content::Null, .. } => Some(String::new()),
        _ => reader.text(place),
    }
}
