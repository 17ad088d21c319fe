//! YAML 1.2 with its core schema, aliases and merge keys (`<<`) written out. Of several documents the
//! first is read, as Greengrass reads it.
//!
//! The parser delivers events; this builds the tree with a stack of its own.

use std::collections::{HashMap, HashSet};

use granit_parser::{ErrorKind, Event, Marker, Options, Parser, ScalarStyle, ScanError, Tag};
use serde_json::Number;

use super::{
    Budget, Content, Document, Entry, MAX_DEPTH, Node, Position, Remark, repeated_keys, too_deep,
};

pub(super) fn read(text: &str) -> Result<Document, Remark> {
    let mut options = Options::default();
    options.emit_comments = false;
    // The parser counts a little differently; the tree's own limit is the one that is stated.
    options.flow_nesting_limit = MAX_DEPTH * 2;
    options.block_nesting_limit = MAX_DEPTH * 2;
    let mut builder = Builder::new();
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| syntax(&error))?;
        let at = position(&span.start);
        if builder.root.is_some() && matches!(event, Event::DocumentStart(..)) {
            let message = "another document begins here; it is not read".to_owned();
            builder.remarks.push(Remark { at, message });
            break;
        }
        builder.event(event, at)?;
    }
    match builder.root {
        Some(root) => Ok(Document { root, remarks: builder.remarks }),
        None => {
            let at = Position { line: 1, column: 1 };
            Err(Remark { at, message: "the document is empty".to_owned() })
        }
    }
}

/// A list or map that has begun and not ended.
struct Open {
    at: Position,
    anchor: usize,
    content: Collection,
}

enum Collection {
    List(Vec<Node>),
    /// The entries so far, and the key whose value comes next.
    Map(Vec<Entry>, Option<(String, Position)>),
}

/// What writing a node out costs.
#[derive(Clone, Copy)]
struct Weight {
    nodes: usize,
    text: usize,
    height: usize,
}

struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, Weight)>,
    budget: Budget,
    root: Option<Node>,
    remarks: Vec<Remark>,
}

impl Builder {
    fn new() -> Self {
        Self {
            open: Vec::new(),
            anchors: HashMap::new(),
            budget: Budget::new(),
            root: None,
            remarks: Vec::new(),
        }
    }

    fn event(&mut self, event: Event<'_>, at: Position) -> Result<(), Remark> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.budget.spend(1, text.len(), at)?;
                let content = match tag.as_deref() {
                    Some(tag) if tag.is_yaml_core_schema_tag("str") => {
                        Content::Text(text.into_owned())
                    }
                    tag => {
                        self.unknown_tag(tag, at);
                        match style {
                            ScalarStyle::Plain => plain(&text),
                            _ => Content::Text(text.into_owned()),
                        }
                    }
                };
                self.node(Node { at, content }, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.unknown_tag(tag.as_deref(), at);
                self.begin(Open { at, anchor, content: Collection::List(Vec::new()) })
            }
            Event::MappingStart(_, anchor, tag) => {
                self.unknown_tag(tag.as_deref(), at);
                self.begin(Open { at, anchor, content: Collection::Map(Vec::new(), None) })
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => {
                let Some((node, weight)) = self.anchors.get(&anchor) else {
                    return Err(error(at, "this alias stands inside what it refers to"));
                };
                if self.open.len() + weight.height > MAX_DEPTH {
                    return Err(error(at, too_deep()));
                }
                self.budget.spend(weight.nodes, weight.text, at)?;
                let node = node.clone();
                self.place(node)
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, collection: Open) -> Result<(), Remark> {
        if self.open.len() >= MAX_DEPTH {
            return Err(error(collection.at, too_deep()));
        }
        self.budget.spend(1, 0, collection.at)?;
        self.open.push(collection);
        Ok(())
    }

    fn end(&mut self) -> Result<(), Remark> {
        let Some(Open { at, anchor, content }) = self.open.pop() else { return Ok(()) };
        let content = match content {
            Collection::List(items) => Content::List(items),
            Collection::Map(entries, _) => {
                repeated_keys(&entries, &mut self.remarks);
                Content::Map(self.merged(entries)?)
            }
        };
        self.node(Node { at, content }, anchor)
    }

    /// The entries with those that `<<` brings in, which stand back behind the map's own. It is
    /// YAML 1.1's; authors' tools know it, Greengrass on a device does not.
    fn merged(&mut self, entries: Vec<Entry>) -> Result<Vec<Entry>, Remark> {
        if !entries.iter().any(|entry| entry.key == "<<") {
            return Ok(entries);
        }
        let (merges, mut own): (Vec<_>, Vec<_>) = entries.into_iter().partition(|e| e.key == "<<");
        let mut known: HashSet<String> = own.iter().map(|entry| entry.key.clone()).collect();
        for merge in merges {
            let message = "the merge key << is written out here; Greengrass does not know it";
            self.remarks.push(Remark { at: merge.at, message: message.to_owned() });
            let sources = match merge.value.content {
                Content::List(items) => items,
                _ => vec![merge.value],
            };
            for source in sources {
                let Content::Map(brought) = source.content else {
                    return Err(error(source.at, "<< takes a map, or a list of maps"));
                };
                own.extend(brought.into_iter().filter(|entry| known.insert(entry.key.clone())));
            }
        }
        Ok(own)
    }

    /// A node is complete: it is kept for its aliases, and takes its place.
    fn node(&mut self, node: Node, anchor: usize) -> Result<(), Remark> {
        if anchor != 0 {
            let weight = weigh(&node);
            // The copy that is kept for the aliases is paid for too.
            self.budget.spend(weight.nodes, weight.text, node.at)?;
            self.anchors.insert(anchor, (node.clone(), weight));
        }
        self.place(node)
    }

    fn place(&mut self, node: Node) -> Result<(), Remark> {
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Collection::List(items)) => items.push(node),
            Some(Collection::Map(entries, key)) => match key.take() {
                Some((key, at)) => entries.push(Entry { key, at, value: node }),
                None => {
                    let text = match (&node.content, node.text()) {
                        (_, Some(text)) => text.into_owned(),
                        (Content::Null, None) => "null".to_owned(),
                        _ => return Err(error(node.at, "a key is text, not a list or a map")),
                    };
                    *key = Some((text, node.at));
                }
            },
        }
        Ok(())
    }

    fn unknown_tag(&mut self, tag: Option<&Tag>, at: Position) {
        if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) {
            let message = format!("the tag {} means nothing in a recipe", tag.original());
            self.remarks.push(Remark { at, message });
        }
    }
}

/// A plain scalar by the core schema (YAML 1.2.2, section 10.3.2). Infinity and NaN, which JSON
/// does not have, stay text.
fn plain(text: &str) -> Content {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Content::Null,
        "true" | "True" | "TRUE" => return Content::Bool(true),
        "false" | "False" | "FALSE" => return Content::Bool(false),
        _ => {}
    }
    number(text).map_or_else(
        || Content::Text(text.to_owned()),
        |number| Content::Number(number, text.to_owned()),
    )
}

fn number(text: &str) -> Option<Number> {
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let begins = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let numeric = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | 'e' | 'E');
    if !begins || !unsigned.chars().all(numeric) {
        return None;
    }
    if unsigned.chars().all(|c| c.is_ascii_digit()) {
        if let Ok(integer) = text.parse::<i64>() {
            return Some(integer.into());
        }
        if let Ok(integer) = text.parse::<u64>() {
            return Some(integer.into());
        }
    }
    text.parse().ok().and_then(Number::from_f64)
}

fn radix(digits: &str, radix: u32) -> Option<Number> {
    let digit = digits.starts_with(|c: char| c.is_digit(radix));
    digit.then(|| u64::from_str_radix(digits, radix).ok().map(Number::from)).flatten()
}

fn weigh(node: &Node) -> Weight {
    let own = node.text().map_or(0, |text| text.len());
    let mut total = Weight { nodes: 1, text: own, height: 0 };
    let mut add = |child: Weight, key: usize| {
        total.nodes += child.nodes;
        total.text += child.text + key;
        total.height = total.height.max(child.height + 1);
    };
    match &node.content {
        Content::List(items) => items.iter().for_each(|item| add(weigh(item), 0)),
        Content::Map(entries) => entries.iter().for_each(|e| add(weigh(&e.value), e.key.len())),
        _ => {}
    }
    total
}

fn position(marker: &Marker) -> Position {
    let one_up = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).saturating_add(1);
    Position {
        line: u32::try_from(marker.line()).unwrap_or(u32::MAX).max(1),
        column: one_up(marker.col()),
    }
}

fn syntax(scan: &ScanError) -> Remark {
    let message = match scan.kind() {
        ErrorKind::RecursionLimitExceeded => too_deep(),
        _ => scan.info(),
    };
    error(position(scan.marker()), message)
}

fn error(at: Position, message: impl Into<String>) -> Remark {
    Remark { at, message: message.into() }
}
