//! Taking values out of a configuration.

use serde_json::{Map, Value};

use super::fault::{At, Fault, Need, Notice};

/// A part of a configuration and the way to it.
#[derive(Clone)]
pub(super) struct Place<'v> {
    pub value: &'v Value,
    pub pointer: String,
}

/// Collects what is wrong, and what is to be said of the rest.
#[derive(Default)]
pub(super) struct Reader {
    pub faults: Vec<Fault>,
    pub notices: Vec<Notice>,
    pub needs: Vec<Need>,
}

impl<'v> Place<'v> {
    pub fn root(value: &'v Value) -> Self {
        Self { value, pointer: String::new() }
    }

    fn child(&self, key: &str, value: &'v Value) -> Self {
        let key = key.replace('~', "~0").replace('/', "~1");
        Self { value, pointer: format!("{}/{key}", self.pointer) }
    }

    /// Everything in a map.
    pub fn entries(&self) -> impl Iterator<Item = (&'v str, Self)> {
        let entries = self.value.as_object().into_iter().flatten();
        entries.map(|(key, value)| (key.as_str(), self.child(key, value)))
    }

    /// The value of a key. Null is the same as absent.
    pub fn get(&self, key: &str) -> Option<Self> {
        let value = self.value.get(key)?;
        (!value.is_null()).then(|| self.child(key, value))
    }

    /// The value of the first key that is there: some have a name in recipes and another in Greengrass's API.
    pub fn any(&self, keys: [&str; 2]) -> Option<Self> {
        keys.iter().find_map(|key| self.get(key))
    }
}

impl Reader {
    pub fn fault(&mut self, at: At, message: impl Into<String>, advice: impl Into<String>) {
        self.faults.push(Fault { at, message: message.into(), advice: advice.into() });
    }

    pub fn wrong(&mut self, place: &Place<'_>, message: impl Into<String>) {
        self.fault(At::Configuration(place.pointer.clone()), message, "");
    }

    pub fn notice(&mut self, place: &Place<'_>, message: impl Into<String>) {
        let at = At::Configuration(place.pointer.clone());
        self.notices.push(Notice { at, message: message.into() });
    }

    /// `grant`: the line of a grant that gives it.
    pub fn need(&mut self, place: &Place<'_>, message: impl Into<String>, grant: String) {
        let at = At::Configuration(place.pointer.clone());
        self.needs.push(Need { at, message: message.into(), grant });
    }

    /// A scalar as text.
    pub fn text(&mut self, place: &Place<'_>) -> Option<String> {
        let text = scalar(place.value);
        if text.is_none() {
            self.wrong(place, format!("expected text, found {}", kind(place.value)));
        }
        text
    }

    /// A whole number between two others; deployments write numbers as text, too.
    pub fn number(&mut self, place: &Place<'_>, least: u64, most: u64) -> Option<u64> {
        let number = match place.value {
            Value::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?)),
            Value::String(text) => text.trim().parse().ok(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        let number = number.filter(|number| (least..=most).contains(number));
        if number.is_none() {
            let found = place.value;
            let message = format!("expected a whole number from {least} to {most}, found {found}");
            self.wrong(place, message);
        }
        number
    }

    pub fn flag(&mut self, place: &Place<'_>) -> Option<bool> {
        self.word(place, &[("true", true), ("false", false)])
    }

    /// One of some words, in any case.
    pub fn word<T: Copy>(&mut self, place: &Place<'_>, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(place)?;
        let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(&text));
        if found.is_none() {
            let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.wrong(place, format!("{text:?} is none of {}", all.join(", ")));
        }
        found.map(|&(_, value)| value)
    }

    /// A map of texts.
    pub fn texts(&mut self, place: &Place<'_>) -> Vec<(String, String)> {
        let Some(map) = self.map(place) else { return vec![] };
        let entries = map.iter().map(|(key, value)| (key, place.child(key, value)));
        entries.filter_map(|(key, place)| Some((key.clone(), self.text(&place)?))).collect()
    }

    /// The items of a list, or of a map whose keys are numbers, in order. Null items are left out: that is how a
    /// deployment removes one.
    pub fn items<'v>(&mut self, place: &Place<'v>) -> Vec<Place<'v>> {
        let items: Vec<Place<'v>> = match place.value {
            Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(i, item)| place.child(&i.to_string(), item))
                .collect(),
            Value::Object(map) => {
                let mut entries: Vec<_> = map.iter().collect();
                // Keys that are no numbers come last, by name.
                entries.sort_by_key(|(key, _)| key.parse().unwrap_or(u64::MAX));
                entries.into_iter().map(|(key, item)| place.child(key, item)).collect()
            }
            // What is empty is written as nothing, too.
            Value::String(text) if text.is_empty() => vec![],
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                let found = kind(place.value);
                self.wrong(place, format!("expected a list or a map, found {found}"));
                vec![]
            }
        };
        items.into_iter().filter(|item| !item.value.is_null()).collect()
    }

    fn map<'v>(&mut self, place: &Place<'v>) -> Option<&'v Map<String, Value>> {
        let map = place.value.as_object();
        if map.is_none() {
            self.wrong(place, format!("expected a map, found {}", kind(place.value)));
        }
        map
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole(number: f64) -> Option<u64> {
    // Exact up to there.
    let is_whole = number.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&number);
    is_whole.then_some(number as u64)
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}
