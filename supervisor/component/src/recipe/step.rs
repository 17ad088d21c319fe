//! One step of a lifecycle: what is run, and on which conditions.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::fields::{Fields, Place, Reader};
use super::lifecycle::StepName;
use crate::document::Content;
use crate::variables::Scope;

/// As written; everything but the names of variables may hold recipe variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// For the shell: `sh -c SCRIPT`.
    pub script: String,
    pub setenv: BTreeMap<String, String>,
    /// `None`: [`StepName::default_timeout`].
    pub timeout: Option<Timeout>,
    pub requires_privilege: Privilege,
    pub skip_if: Option<SkipIf>,
    /// Of `bootstrap`: it runs again when a deployment is rolled back.
    pub bootstrap_on_rollback: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Timeout {
    After(Duration),
    /// A recipe variable that has a number of seconds.
    Variable(String),
}

/// Whether a step runs as root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Privilege {
    Fixed(bool),
    /// A recipe variable that is true or false.
    Variable(String),
}

/// A condition as written: `onpath PROGRAM` or `exists FILE`, negated by a leading `!`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkipIf(String);

/// A condition with its variables replaced. Where it holds, the step is treated as absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Condition {
    pub test: ConditionTest,
    pub negated: bool,
    /// A program's name or a path; a leading `~` is the home directory of the step's user.
    pub argument: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum ConditionTest {
    /// There is such a program on the step's `PATH`.
    OnPath,
    /// There is such a file or directory.
    Exists,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the timeout {written} is {value:?}, which is not a number of seconds from 1 to {}",
    Timeout::MAX_SECONDS
)]
pub struct InvalidTimeout {
    pub written: String,
    pub value: String,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("RequiresPrivilege {written} is {value:?}, which is neither true nor false")]
pub struct InvalidPrivilege {
    pub written: String,
    pub value: String,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Skipif is {0:?}, which is neither 'onpath PROGRAM' nor 'exists FILE'")]
pub struct InvalidSkipIf(pub String);

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

impl Privilege {
    /// Whether it is needed, its variable replaced.
    pub fn resolve(&self, scope: &Scope<'_>) -> Result<bool, InvalidPrivilege> {
        match self {
            Self::Fixed(needed) => Ok(*needed),
            Self::Variable(written) => {
                let value = scope.interpolate(written).text;
                switch(&value).ok_or_else(|| InvalidPrivilege { written: written.clone(), value })
            }
        }
    }
}

impl SkipIf {
    /// The condition, its variables replaced.
    pub fn resolve(&self, scope: &Scope<'_>) -> Result<Condition, InvalidSkipIf> {
        condition(&scope.interpolate(&self.0).text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

pub(super) fn read(reader: &mut Reader<'_>, name: StepName, place: Place<'_>) -> Option<Step> {
    if let Some(script) = place.node.text() {
        let script = script.into_owned();
        shell_text(reader, &place, &script);
        return Some(Step {
            script,
            setenv: BTreeMap::new(),
            timeout: None,
            requires_privilege: Privilege::Fixed(false),
            skip_if: None,
            bootstrap_on_rollback: false,
        });
    }
    let mut fields = reader.fields(place)?;
    let script = fields.take(reader, "script");
    let setenv = environment(reader, &mut fields);
    let timeout = fields.take(reader, "timeout").and_then(|p| timeout(reader, &p));
    let requires_privilege = fields
        .take(reader, "requiresPrivilege")
        .and_then(|p| privilege(reader, &p))
        .unwrap_or(Privilege::Fixed(false));
    let skip_if = fields.take(reader, "skipif").and_then(|p| skip_if(reader, &p));
    let bootstrap_on_rollback = match name {
        StepName::Bootstrap => {
            let place = fields.take(reader, "bootstrapOnRollback");
            place.and_then(|p| truth(reader, &p)).unwrap_or(false)
        }
        _ => false,
    };
    let Some(script) = script else {
        let message = format!("{name} has no script; nothing will run");
        reader.warn(fields.place(), message, "add a script or remove the step");
        return None;
    };
    fields.finish(reader);
    let text = reader.text(&script)?;
    shell_text(reader, &script, &text);
    Some(Step { script: text, setenv, timeout, requires_privilege, skip_if, bootstrap_on_rollback })
}

pub(super) fn environment<'n>(
    reader: &mut Reader<'_>,
    fields: &mut Fields<'n>,
) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    let Some(place) = fields.take(reader, "setenv") else { return variables };
    let Some(map) = reader.fields(place) else { return variables };
    for (name, place) in map.place().entries() {
        if name.is_empty() || name.contains(['=', '\0']) {
            reader.error(&place, format_args!("{name:?} cannot name an environment variable"), "");
            continue;
        }
        let value = match place.node.content {
            Content::Null => Some(String::new()),
            _ => reader.text(&place),
        };
        if let Some(value) = value {
            shell_text(reader, &place, &value);
            variables.insert(name.to_owned(), value);
        }
    }
    variables
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
    // Of those who write -1 or 0, nobody means a step that has no time at all.
    if text.trim().parse::<i64>().is_ok_and(|seconds| seconds <= 0) {
        let message = format!("{} seconds is no time; the step's usual limit holds", text.trim());
        reader.warn(place, message, "leave the timeout out, or give a number above 0");
        return None;
    }
    let message = format!("{text:?} is not a number of seconds from 1 to {}", Timeout::MAX_SECONDS);
    reader.error(place, message, "");
    None
}

fn privilege(reader: &mut Reader<'_>, place: &Place<'_>) -> Option<Privilege> {
    match place.node.text() {
        Some(text) if text.contains('{') => Some(Privilege::Variable(text.into_owned())),
        _ => truth(reader, place).map(Privilege::Fixed),
    }
}

fn truth(reader: &mut Reader<'_>, place: &Place<'_>) -> Option<bool> {
    let text = reader.text(place)?;
    let value = switch(&text);
    if value.is_none() {
        reader.error(place, format_args!("{text:?} is neither true nor false"), "");
    }
    value
}

fn skip_if(reader: &mut Reader<'_>, place: &Place<'_>) -> Option<SkipIf> {
    let text = reader.text(place)?;
    if text.trim().is_empty() {
        return None;
    }
    if let Err(error) = condition(&text)
        && !text.contains('{')
    {
        reader.error(place, error, "");
        return None;
    }
    Some(SkipIf(text))
}

/// Whole seconds; a fraction is cut off, as Greengrass does.
fn seconds(text: &str) -> Option<Duration> {
    let whole = match text.trim().split_once('.') {
        Some((whole, fraction)) if fraction.chars().all(|c| c.is_ascii_digit()) => whole,
        Some(_) => return None,
        None => text.trim(),
    };
    let seconds: u64 = whole.parse().ok()?;
    (1..=Timeout::MAX_SECONDS).contains(&seconds).then(|| Duration::from_secs(seconds))
}

/// Greengrass's words for true; it takes everything else for false, which hides mistakes.
fn switch(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "t" | "y" | "1" => Some(true),
        "false" | "no" | "off" | "f" | "n" | "0" | "" => Some(false),
        _ => None,
    }
}

fn condition(text: &str) -> Result<Condition, InvalidSkipIf> {
    let invalid = || InvalidSkipIf(text.chars().take(200).collect());
    let (negated, rest) = match text.trim().strip_prefix('!') {
        Some(rest) => (true, rest.trim_start()),
        None => (false, text.trim()),
    };
    let (word, argument) = rest.split_once(char::is_whitespace).ok_or_else(invalid)?;
    let test = match word.to_ascii_lowercase().as_str() {
        "onpath" => ConditionTest::OnPath,
        "exists" => ConditionTest::Exists,
        _ => return Err(invalid()),
    };
    let argument = argument.trim();
    if argument.is_empty() || argument.contains('\0') {
        return Err(invalid());
    }
    Ok(Condition { test, negated, argument: argument.to_owned() })
}
