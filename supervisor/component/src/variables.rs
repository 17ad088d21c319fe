//! Recipe variables: `{configuration:/pointer}`, `{artifacts:path}` and their like.
//!
//! What cannot be replaced stays as written: a shell script is full of braces that mean something
//! else.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex_lite::{Captures, Regex};
use serde_json::Value;

/// What the variables of one component's texts can refer to.
#[derive(Clone, Debug)]
pub struct Scope<'a> {
    pub own: Values<'a>,
    /// Of direct dependencies only.
    pub dependencies: BTreeMap<&'a str, Values<'a>>,
    /// `{kernel:rootPath}`, as the component sees it.
    pub root_path: &'a str,
    /// `{iot:thingName}`; stays as written where the device has none.
    pub thing_name: Option<&'a str>,
}

/// One component's values. Paths are as the component whose texts are interpolated sees them.
#[derive(Clone, Debug)]
pub struct Values<'a> {
    pub configuration: &'a Value,
    pub artifacts_path: Cow<'a, str>,
    pub artifacts_decompressed_path: Cow<'a, str>,
    pub work_path: Cow<'a, str>,
}

/// A text with its variables replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpolated {
    pub text: String,
    /// Variables of a known kind that have no value here and were left as written.
    pub unresolved: Vec<String>,
}

impl Scope<'_> {
    /// Replaces every variable once; what a value brings in is not looked at again.
    pub fn interpolate(&self, text: &str) -> Interpolated {
        let mut unresolved = Vec::new();
        let text = VARIABLE.replace_all(text, |found: &Captures<'_>| {
            let part = |i| found.get(i).map(|m| m.as_str());
            let whole = part(0).unwrap_or_default();
            let value = match (part(1), part(2), part(3)) {
                (Some(namespace), None, Some(key)) => self.lookup(namespace, key),
                (Some(name), Some(namespace), Some(key)) => match self.dependencies.get(name) {
                    Some(values) => values.lookup(namespace, key),
                    None => Lookup::known(namespace, None),
                },
                _ => Lookup::Unknown,
            };
            match value {
                Lookup::Value(value) => value,
                Lookup::Missing => {
                    unresolved.push(whole.to_owned());
                    whole.to_owned()
                }
                Lookup::Unknown => whole.to_owned(),
            }
        });
        Interpolated { text: text.into_owned(), unresolved }
    }

    fn lookup(&self, namespace: &str, key: &str) -> Lookup {
        match (namespace, key) {
            ("kernel", "rootPath") => Lookup::Value(self.root_path.to_owned()),
            ("iot", "thingName") => Lookup::known("iot", self.thing_name.map(str::to_owned)),
            _ => self.own.lookup(namespace, key),
        }
    }
}

enum Lookup {
    Value(String),
    /// A variable by its look, but without a value.
    Missing,
    /// Not a variable.
    Unknown,
}

impl Lookup {
    fn known(namespace: &str, value: Option<String>) -> Self {
        match value {
            Some(value) => Self::Value(value),
            None if matches!(
                namespace,
                "configuration" | "artifacts" | "work" | "kernel" | "iot"
            ) =>
            {
                Self::Missing
            }
            None => Self::Unknown,
        }
    }
}

impl Values<'_> {
    fn lookup(&self, namespace: &str, key: &str) -> Lookup {
        let value = match (namespace, key) {
            ("configuration", pointer) => self.configuration.pointer(pointer).map(written),
            ("artifacts", "path") => Some(self.artifacts_path.clone().into_owned()),
            ("artifacts", "decompressedPath") => {
                Some(self.artifacts_decompressed_path.clone().into_owned())
            }
            ("work", "path") => Some(self.work_path.clone().into_owned()),
            _ => None,
        };
        Lookup::known(namespace, value)
    }
}

/// A scalar's text; maps and lists as compact JSON with sorted keys.
fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(_) | Value::Array(_) => {
            let mut sorted = value.clone();
            sorted.sort_all_objects();
            sorted.to_string()
        }
        scalar => scalar.to_string(),
    }
}

/// `{namespace:key}` and `{component:namespace:key}`.
static VARIABLE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\{([.\w-]+):(?:([.\w-]+):)?([^:}]*)\}").expect("a valid expression")
});

#[cfg(test)]
mod tests;
