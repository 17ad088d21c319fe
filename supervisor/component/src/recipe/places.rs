//! Where in a recipe's file something stands, for whoever finds a fault in what was read.

use std::borrow::Cow;

use super::{format, text};
use crate::document::{self, Content, Document, Entry, Node, Position};

/// A recipe's file.
pub(crate) struct Places {
    document: Document,
}

/// As much of the way to something as there is in the file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Of its last part.
    pub at: Position,
    /// RFC 6901: what is in the file as it is spelled there, the rest as it was asked for.
    pub pointer: String,
    /// Parts that are in the file.
    pub depth: usize,
}

impl Places {
    /// `None` where the file cannot be read.
    pub fn read(file: &str, bytes: &[u8]) -> Option<Self> {
        let text = text(file, bytes).ok()?;
        let document = document::read(format(file, text), text).ok()?;
        Some(Self { document })
    }

    /// By an RFC 6901 pointer, whose keys may be spelled in another case.
    pub fn find(&self, pointer: &str) -> Place {
        let root = &self.document.root;
        let mut place = Place { at: root.at, pointer: String::new(), depth: 0 };
        let mut node = Some(root);
        for part in pointer.split('/').skip(1) {
            let key = part.replace("~1", "/").replace("~0", "~");
            let child = node.and_then(|node| child(node, &key));
            if let Some((spelling, at, _)) = &child {
                place.at = *at;
                place.depth += 1;
                place.pointer.push('/');
                place.pointer.push_str(&spelling.replace('~', "~0").replace('/', "~1"));
            } else {
                place.pointer.push('/');
                place.pointer.push_str(part);
            }
            node = child.map(|(_, _, node)| node);
        }
        place
    }
}

/// How it is spelled, where its key stands (of a list's item: itself), and what it is.
fn child<'n>(node: &'n Node, key: &str) -> Option<(Cow<'n, str>, Position, &'n Node)> {
    match &node.content {
        Content::Map(entries) => {
            // Of a key that stands twice the last counts.
            let found = |same: fn(&str, &str) -> bool| {
                entries.iter().rev().find(|entry| same(&entry.key, key))
            };
            let entry =
                found(|one, other| one == other).or_else(|| found(str::eq_ignore_ascii_case));
            entry.map(|Entry { key, at, value }| (Cow::Borrowed(key.as_str()), *at, value))
        }
        Content::List(items) => {
            let item = items.get(key.parse::<usize>().ok()?)?;
            Some((Cow::Owned(key.to_owned()), item.at, item))
        }
        Content::Null | Content::Bool(_) | Content::Number(..) | Content::Text(_) => None,
    }
}
