//! A component's configuration: a tree of which only the leaves are kept, each with its time and
//! origin.
//!
//! Maps are the inner nodes; scalars, lists and empty maps are leaves. Keys are compared without
//! regard to case and keep the spelling they first had. The rules are Greengrass's:
//!
//! - A write wins if its timestamp is not older than the leaf's. An equal value changes nothing.
//! - Lists are replaced whole. A map over a scalar, and a scalar over a map, replaces it.
//! - Defaults only fill gaps, so that a new version's defaults do not overwrite what is there.
//!
//! A deployment is [`Configuration::reset`], then [`Configuration::fill`], then
//! [`Configuration::merge`]; [`Configuration::changes_since`] is what has to be stored of it.

use std::collections::BTreeMap;
use std::collections::btree_map::Range;
use std::ops::Bound;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::name::ComponentName;
use crate::version::Version;

/// The time of every default, older than any deployment.
pub const DEFAULT_TIMESTAMP: i64 = 1;

/// One value, when it came and where from. Its JSON is the row that is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaf {
    pub component: ComponentName,
    /// Never empty.
    pub path: Vec<String>,
    /// A scalar, a list or an empty map.
    pub value: Value,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    pub origin: Origin,
}

/// Who gave a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The recipe of this version.
    Default {
        version: Version,
    },
    Deployment {
        id: String,
    },
    /// The device's image, which brought the component along.
    Image,
    /// The component itself.
    Component,
}

/// What differs between two states of one component's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub written: Vec<Leaf>,
    /// As they were.
    pub removed: Vec<Leaf>,
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.written.is_empty() && self.removed.is_empty()
    }

    /// Of every leaf that was written, and of those that are gone without anything in their place.
    pub fn paths(&self) -> Vec<Vec<String>> {
        let written = self.written.iter().map(|leaf| &leaf.path);
        let is_replaced = |path: &&Vec<String>| {
            let path = folded(path);
            written.clone().any(|one| folded(one).iter().zip(&path).all(|(a, b)| a == b))
        };
        let removed = self.removed.iter().map(|leaf| &leaf.path);
        let gone = removed.filter(|path| !is_replaced(path));
        written.clone().chain(gone).cloned().collect()
    }
}

/// The whole configuration can only be a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a component's configuration is a map; a value needs a key")]
pub struct NotAMap;

/// A pointer that cannot be reset. Greengrass logs it and goes on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResetRefused {
    #[error("{0:?} is not a JSON pointer: it is empty, or begins with '/'")]
    NotAPointer(String),
    #[error("{0:?} points into a list; lists are reset whole")]
    IntoList(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    component: ComponentName,
    /// By path in lower case. No leaf lies below another.
    leaves: BTreeMap<Vec<String>, Leaf>,
}

impl Leaf {
    /// The key of its row within the component's: unique however its path is spelled.
    pub fn key(&self) -> String {
        Value::from(folded(&self.path)).to_string()
    }
}

impl Configuration {
    pub fn new(component: ComponentName) -> Self {
        Self { component, leaves: BTreeMap::new() }
    }

    /// From stored rows. Rows of other components, and rows that no tree can hold together, lose
    /// to those before them.
    pub fn from_leaves(component: ComponentName, rows: impl IntoIterator<Item = Leaf>) -> Self {
        let mut configuration = Self::new(component);
        for leaf in rows {
            let path = folded(&leaf.path);
            let fits = !path.is_empty()
                && leaf.component == configuration.component
                && !configuration.exists(&path)
                && (1..path.len()).all(|end| !configuration.leaves.contains_key(&path[..end]));
            if fits {
                configuration.leaves.insert(path, leaf);
            }
        }
        configuration
    }

    pub fn leaves(&self) -> impl Iterator<Item = &Leaf> {
        self.leaves.values()
    }

    /// The whole tree; always a map.
    pub fn value(&self) -> Value {
        assemble(0, self.leaves.values())
    }

    /// The value at a path of keys; the whole tree for the empty path.
    pub fn get<K: AsRef<str>>(&self, path: &[K]) -> Option<Value> {
        let path = folded(path);
        match self.leaves.get(&path) {
            Some(leaf) => Some(leaf.value.clone()),
            None if path.is_empty() || self.exists(&path) => {
                Some(assemble(path.len(), self.below(&path).map(|(_, leaf)| leaf)))
            }
            None => None,
        }
    }

    /// Merges `value` at a path of keys.
    pub fn merge<K: AsRef<str>>(
        &mut self,
        at: &[K],
        value: &Value,
        timestamp: i64,
        origin: &Origin,
    ) -> Result<(), NotAMap> {
        let mut wrapped = value.clone();
        for key in at.iter().rev() {
            wrapped = Value::Object(Map::from_iter([(key.as_ref().to_owned(), wrapped)]));
        }
        let Value::Object(map) = wrapped else { return Err(NotAMap) };
        let mut path = Vec::new();
        for (key, value) in &map {
            path.push(key.clone());
            self.merge_node(&mut path, value, timestamp, origin);
            path.pop();
        }
        Ok(())
    }

    /// Adds the defaults of a recipe's version where there is nothing yet.
    pub fn fill(&mut self, defaults: &Map<String, Value>, version: &Version) {
        let origin = Origin::Default { version: version.clone() };
        let mut path = Vec::new();
        for (key, value) in defaults {
            path.push(key.clone());
            self.fill_node(&mut path, value, &origin);
            path.pop();
        }
    }

    /// Removes what a JSON pointer (RFC 6901) points to; `""` is everything. What is not there is
    /// already reset.
    pub fn reset(&mut self, pointer: &str) -> Result<(), ResetRefused> {
        if pointer.is_empty() {
            self.leaves.clear();
            return Ok(());
        }
        let Some(rest) = pointer.strip_prefix('/') else {
            return Err(ResetRefused::NotAPointer(pointer.to_owned()));
        };
        let keys: Vec<String> =
            rest.split('/').map(|k| k.replace("~1", "/").replace("~0", "~")).collect();
        let path = folded(&keys);
        for end in 1..path.len() {
            if self.leaves.get(&path[..end]).is_some_and(|leaf| leaf.value.is_array()) {
                return Err(ResetRefused::IntoList(pointer.to_owned()));
            }
        }
        let Some(last) = self.remove_below(&path).pop() else { return Ok(()) };
        let parent = &path[..path.len() - 1];
        if !parent.is_empty() && !self.exists(parent) {
            // The map that held it stays, empty.
            let keys = last.path[..parent.len()].to_vec();
            self.insert(keys, Value::Object(Map::new()), DEFAULT_TIMESTAMP, &last.origin);
        }
        Ok(())
    }

    /// Gives each leaf that has the same value as `before` its time and origin from there: what came to the same again
    /// did not change.
    pub fn keep_equal(&mut self, before: &Self) {
        for (path, leaf) in &mut self.leaves {
            if let Some(old) = before.leaves.get(path).filter(|old| old.value == leaf.value) {
                leaf.clone_from(old);
            }
        }
    }

    /// What to store so that a store that holds `before` holds `self`.
    pub fn changes_since(&self, before: &Self) -> Changes {
        let changed =
            |(path, leaf): &(&Vec<String>, &Leaf)| before.leaves.get(*path) != Some(*leaf);
        let gone = |(path, _): &(&Vec<String>, &Leaf)| !self.leaves.contains_key(*path);
        Changes {
            written: self.leaves.iter().filter(changed).map(|(_, leaf)| leaf.clone()).collect(),
            removed: before.leaves.iter().filter(gone).map(|(_, leaf)| leaf.clone()).collect(),
        }
    }

    fn merge_node(
        &mut self,
        path: &mut Vec<String>,
        value: &Value,
        timestamp: i64,
        origin: &Origin,
    ) {
        let key = folded(path);
        match value {
            Value::Object(map) if !map.is_empty() => {
                if let Some(leaf) = self.leaves.get(&key) {
                    if !is_empty_map(&leaf.value) && leaf.timestamp > timestamp {
                        return;
                    }
                    self.leaves.remove(&key);
                }
                for (child, value) in map {
                    path.push(child.clone());
                    self.merge_node(path, value, timestamp, origin);
                    path.pop();
                }
            }
            Value::Object(_) if self.below(&key).any(|(_, leaf)| leaf.path.len() > key.len()) => {}
            _ => {
                let newest = self.below(&key).map(|(_, leaf)| leaf.timestamp).max();
                let same = self.leaves.get(&key).is_some_and(|leaf| leaf.value == *value);
                if !same && newest.is_none_or(|newest| newest <= timestamp) {
                    let kept = self.spelling(path);
                    self.remove_below(&key);
                    self.insert(kept, value.clone(), timestamp, origin);
                }
            }
        }
    }

    fn fill_node(&mut self, path: &mut Vec<String>, value: &Value, origin: &Origin) {
        let key = folded(path);
        match value {
            Value::Object(map) if !map.is_empty() => {
                if let Some(leaf) = self.leaves.get(&key) {
                    if !is_empty_map(&leaf.value) {
                        return;
                    }
                    self.leaves.remove(&key);
                }
                for (child, value) in map {
                    path.push(child.clone());
                    self.fill_node(path, value, origin);
                    path.pop();
                }
            }
            _ if self.exists(&key) => {}
            _ => self.insert(path.clone(), value.clone(), DEFAULT_TIMESTAMP, origin),
        }
    }

    fn insert(&mut self, path: Vec<String>, value: Value, timestamp: i64, origin: &Origin) {
        let path = self.spelling(&path);
        let component = self.component.clone();
        let origin = origin.clone();
        let leaf = Leaf { component, path, value, timestamp, origin };
        self.leaves.insert(folded(&leaf.path), leaf);
    }

    /// The path with the spelling that its keys already have in the tree.
    fn spelling(&self, path: &[String]) -> Vec<String> {
        let key = folded(path);
        let known = |depth: usize| {
            let (_, leaf) = self.below(&key[..=depth]).next()?;
            leaf.path.get(depth).cloned()
        };
        path.iter().enumerate().map(|(i, own)| known(i).unwrap_or_else(|| own.clone())).collect()
    }

    fn exists(&self, key: &[String]) -> bool {
        self.below(key).next().is_some()
    }

    /// The leaf at a key, and every leaf below it.
    fn below<'a>(&'a self, key: &'a [String]) -> impl Iterator<Item = (&'a Vec<String>, &'a Leaf)> {
        let from = (Bound::Included(key), Bound::Unbounded);
        let range: Range<'a, _, _> = self.leaves.range::<[String], _>(from);
        range.take_while(move |(path, _)| path.starts_with(key))
    }

    fn remove_below(&mut self, key: &[String]) -> Vec<Leaf> {
        let paths: Vec<_> = self.below(key).map(|(path, _)| path.clone()).collect();
        paths.iter().filter_map(|path| self.leaves.remove(path)).collect()
    }
}

/// The tree of leaves that share their first `depth` keys.
fn assemble<'a>(depth: usize, leaves: impl Iterator<Item = &'a Leaf>) -> Value {
    let mut root = Map::new();
    for leaf in leaves {
        place(&mut root, leaf.path.get(depth..).unwrap_or_default(), &leaf.value);
    }
    Value::Object(root)
}

fn place(map: &mut Map<String, Value>, path: &[String], value: &Value) {
    match path {
        [] => {}
        [last] => {
            map.insert(last.clone(), value.clone());
        }
        [first, rest @ ..] => {
            let child = map.entry(first.clone()).or_insert_with(|| Value::Object(Map::new()));
            // Always a map: no leaf lies below another.
            if let Value::Object(child) = child {
                place(child, rest, value);
            }
        }
    }
}

fn folded<K: AsRef<str>>(path: &[K]) -> Vec<String> {
    path.iter().map(|key| key.as_ref().to_lowercase()).collect()
}

fn is_empty_map(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty)
}

#[cfg(test)]
mod tests;
