//! A JSON or YAML file as one tree that remembers where everything stood.
//!
//! Both readers bound what a file may cost: its nesting, and its nodes with every YAML alias
//! counted as if written out.

mod json;
mod yaml;

use std::borrow::Cow;

use serde_json::{Number, Value};

/// Deepest nesting of maps and lists that is read.
pub(crate) const MAX_DEPTH: usize = 64;
/// Most values, keys and repeated aliases in one document.
pub(crate) const MAX_NODES: usize = 100_000;
/// Most bytes of text once every alias is written out.
const MAX_TEXT: usize = 4 * 1024 * 1024;

/// Line and column, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub line: u32,
    pub column: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub at: Position,
    pub content: Content,
}

#[derive(Clone, Debug)]
pub(crate) enum Content {
    Null,
    Bool(bool),
    /// The number and its text as written, which is what an environment variable gets.
    Number(Number, String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub key: String,
    pub at: Position,
    pub value: Node,
}

/// A document and what its reader wants its author to know.
#[derive(Debug)]
pub(crate) struct Document {
    pub root: Node,
    pub remarks: Vec<Remark>,
}

/// A place in a file and what to say about it: an error that ended the reading, or a warning.
#[derive(Debug)]
pub(crate) struct Remark {
    pub at: Position,
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Yaml,
}

pub(crate) fn read(format: Format, text: &str) -> Result<Document, Remark> {
    match format {
        Format::Json => json::read(text),
        Format::Yaml => yaml::read(text),
    }
}

impl Node {
    /// What it is, for messages: "a list", "text".
    pub fn kind(&self) -> &'static str {
        match self.content {
            Content::Null => "null",
            Content::Bool(_) => "true or false",
            Content::Number(..) => "a number",
            Content::Text(_) => "text",
            Content::List(_) => "a list",
            Content::Map(_) => "a map",
        }
    }

    /// A scalar's text; `None` for null, lists and maps.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        match &self.content {
            Content::Bool(b) => Some(Cow::Borrowed(if *b { "true" } else { "false" })),
            Content::Number(_, text) | Content::Text(text) => Some(Cow::Borrowed(text)),
            Content::Null | Content::List(_) | Content::Map(_) => None,
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self.content, Content::Null)
    }

    /// The value with its types kept. Of a key that stands twice the last wins.
    pub fn to_value(&self) -> Value {
        match &self.content {
            Content::Null => Value::Null,
            Content::Bool(b) => Value::Bool(*b),
            Content::Number(n, _) => Value::Number(n.clone()),
            Content::Text(text) => Value::String(text.clone()),
            Content::List(items) => items.iter().map(Self::to_value).collect(),
            Content::Map(entries) => {
                entries.iter().map(|e| (e.key.clone(), e.value.to_value())).collect()
            }
        }
    }
}

/// What is left of a document's allowance.
pub(crate) struct Budget {
    nodes: usize,
    text: usize,
}

impl Budget {
    pub fn new() -> Self {
        Self { nodes: MAX_NODES, text: MAX_TEXT }
    }

    pub fn spend(&mut self, nodes: usize, text: usize, at: Position) -> Result<(), Remark> {
        match (self.nodes.checked_sub(nodes), self.text.checked_sub(text)) {
            (Some(nodes), Some(text)) => {
                *self = Self { nodes, text };
                Ok(())
            }
            _ => Err(Remark { at, message: too_large() }),
        }
    }
}

fn too_large() -> String {
    format!(
        "the document has more than {MAX_NODES} values, or {MAX_TEXT} bytes of text, with its aliases and selections written out"
    )
}

fn too_deep() -> String {
    format!("maps and lists are nested deeper than {MAX_DEPTH}")
}

/// Remarks on keys that stand twice in one map.
fn repeated_keys(entries: &[Entry], remarks: &mut Vec<Remark>) {
    let mut seen = std::collections::HashSet::new();
    for entry in entries {
        if !seen.insert(entry.key.as_str()) {
            let message = format!("the key {:?} stands twice here; the last one counts", entry.key);
            remarks.push(Remark { at: entry.at, message });
        }
    }
}

#[cfg(test)]
mod tests;
