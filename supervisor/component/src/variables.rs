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
        self.replace(text, |reference| self.value_of(reference))
    }

    /// A part of a configuration with the variables in its texts replaced, except those that refer
    /// to configuration: it could refer to itself.
    pub fn interpolate_configuration(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => {
                let system = |reference: &Reference<'_>| match reference.namespace {
                    "configuration" => Lookup::Unknown,
                    _ => self.value_of(reference),
                };
                Value::String(self.replace(text, system).text)
            }
            Value::Array(items) => {
                items.iter().map(|item| self.interpolate_configuration(item)).collect()
            }
            Value::Object(map) => map
                .iter()
                .map(|(key, value)| (key.clone(), self.interpolate_configuration(value)))
                .collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    fn replace(&self, text: &str, value_of: impl Fn(&Reference<'_>) -> Lookup) -> Interpolated {
        let mut unresolved = Vec::new();
        let text = VARIABLE.replace_all(text, |found: &Captures<'_>| {
            let whole = found.get(0).map(|m| m.as_str()).unwrap_or_default();
            let reference = Reference::from_captures(found);
            match reference.map_or(Lookup::Unknown, |reference| value_of(&reference)) {
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

    fn value_of(&self, reference: &Reference<'_>) -> Lookup {
        let Reference { component, namespace, key, .. } = *reference;
        match component.map(|name| self.dependencies.get(name)) {
            None => self.lookup(namespace, key),
            Some(Some(values)) => values.lookup(namespace, key),
            Some(None) => Lookup::known(namespace, None),
        }
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
            ("configuration", pointer) => at_pointer(self.configuration, pointer).map(written),
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

/// A variable by its look: braces around two or three words with colons between them.
pub(crate) struct Reference<'t> {
    pub whole: &'t str,
    /// Of another component.
    pub component: Option<&'t str>,
    pub namespace: &'t str,
    pub key: &'t str,
}

pub(crate) fn references(text: &str) -> impl Iterator<Item = Reference<'_>> {
    VARIABLE.captures_iter(text).filter_map(|found| Reference::from_captures(&found))
}

impl<'t> Reference<'t> {
    fn from_captures(found: &Captures<'t>) -> Option<Self> {
        let part = |i| found.get(i).map(|m| m.as_str());
        let (whole, first, key) = (part(0)?, part(1)?, part(3)?);
        Some(match part(2) {
            Some(namespace) => Self { whole, component: Some(first), namespace, key },
            None => Self { whole, component: None, namespace: first, key },
        })
    }
}

/// What a JSON pointer (RFC 6901) points to. Keys are compared without regard to case, as the
/// configuration's are, if none is spelled exactly so.
pub(crate) fn at_pointer<'v>(value: &'v Value, pointer: &str) -> Option<&'v Value> {
    if pointer.is_empty() {
        return Some(value);
    }
    let mut segments = pointer.strip_prefix('/')?.split('/');
    segments.try_fold(value, |value, segment| {
        let key = segment.replace("~1", "/").replace("~0", "~");
        match value {
            Value::Object(map) => map.get(&key).or_else(|| {
                let folded = key.to_lowercase();
                map.iter().find(|(k, _)| k.to_lowercase() == folded).map(|(_, value)| value)
            }),
            Value::Array(items) => items.get(key.parse::<usize>().ok()?),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        }
    })
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
