//! Taking a document apart: maps whose keys are the format's, and the findings on the way.

use std::fmt::Display;
use std::str::FromStr;

use crate::document::{Content, Node, Position, Remark};
use crate::finding::{Finding, Severity};

/// Collects findings about one file.
pub(super) struct Reader<'f> {
    file: &'f str,
    findings: Vec<Finding>,
}

/// A node and the way to it.
#[derive(Clone)]
pub(super) struct Place<'n> {
    pub node: &'n Node,
    /// Where its key stands, which is what an author looks for; its own place in a list.
    at: Position,
    pointer: String,
}

/// A map whose keys are the format's: taken one by one, in any case; the rest are unknown.
pub(super) struct Fields<'n> {
    map: Place<'n>,
    taken: Vec<&'n str>,
}

impl<'f> Reader<'f> {
    pub fn new(file: &'f str) -> Self {
        Self { file, findings: Vec::new() }
    }

    pub fn file(&self) -> &'f str {
        self.file
    }

    /// The findings in the order of the file.
    pub fn finish(mut self) -> Vec<Finding> {
        self.findings.sort_by_key(|f| (f.line, f.column));
        // A Lifecycle that several manifests share is read for each of them.
        self.findings.dedup();
        self.findings
    }

    pub fn remark(&mut self, remark: &Remark) {
        self.findings.push(Finding {
            severity: Severity::Warning,
            line: remark.at.line,
            column: remark.at.column,
            ..Finding::of_file(self.file, remark.message.as_str(), "")
        });
    }

    pub fn error(&mut self, place: &Place<'_>, message: impl Display, advice: &str) {
        let finding = self.finding(Severity::Error, place, message, advice);
        self.findings.push(finding);
    }

    pub fn warn(&mut self, place: &Place<'_>, message: impl Display, advice: &str) {
        let finding = self.finding(Severity::Warning, place, message, advice);
        self.findings.push(finding);
    }

    /// What `read` gives, and apart from all others the errors that it met.
    pub fn apart<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> (T, Vec<Finding>) {
        let before = std::mem::take(&mut self.findings);
        let value = read(self);
        let found = std::mem::replace(&mut self.findings, before);
        let (errors, warnings) = found.into_iter().partition(|f| f.severity == Severity::Error);
        self.findings.extend(warnings);
        (value, errors)
    }

    fn finding(
        &self,
        severity: Severity,
        place: &Place<'_>,
        message: impl Display,
        advice: &str,
    ) -> Finding {
        Finding {
            severity,
            line: place.at.line,
            column: place.at.column,
            pointer: place.pointer.clone(),
            ..Finding::of_file(self.file, message.to_string(), advice)
        }
    }

    /// The fields of a map; anything else is an error.
    pub fn fields<'n>(&mut self, place: Place<'n>) -> Option<Fields<'n>> {
        match place.node.content {
            Content::Map(_) => Some(Fields { map: place, taken: Vec::new() }),
            _ => {
                self.error(&place, format_args!("expected a map, found {}", place.node.kind()), "");
                None
            }
        }
    }

    /// The items of a list that are not null; anything else is an error.
    pub fn items<'n>(&mut self, place: &Place<'n>) -> Vec<Place<'n>> {
        let Content::List(items) = &place.node.content else {
            self.error(place, format_args!("expected a list, found {}", place.node.kind()), "");
            return Vec::new();
        };
        let mut present = Vec::new();
        for (index, node) in items.iter().enumerate() {
            let item = place.child(&index.to_string(), node, node.at);
            if node.is_null() {
                self.error(&item, "an item of this list is empty", "fill it in or remove it");
            } else {
                present.push(item);
            }
        }
        present
    }

    /// A scalar's text; anything else is an error.
    pub fn text(&mut self, place: &Place<'_>) -> Option<String> {
        let text = place.node.text();
        if text.is_none() {
            self.error(place, format_args!("expected text, found {}", place.node.kind()), "");
        }
        text.map(std::borrow::Cow::into_owned)
    }

    pub fn parsed<T: FromStr<Err: Display>>(&mut self, place: &Place<'_>) -> Option<T> {
        let text = self.text(place)?;
        text.parse().map_err(|error| self.error(place, error, "")).ok()
    }

    /// One of the format's words, in any case.
    pub fn word<T: Copy>(&mut self, place: &Place<'_>, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(place)?;
        let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(&text));
        if found.is_none() {
            let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let message = format!("{text:?} is none of {}", all.join(", "));
            self.error(place, message, "");
        }
        found.map(|&(_, value)| value)
    }
}

impl<'n> Place<'n> {
    pub fn root(node: &'n Node) -> Self {
        Self { node, at: node.at, pointer: String::new() }
    }

    fn child(&self, key: &str, node: &'n Node, at: Position) -> Self {
        let key = key.replace('~', "~0").replace('/', "~1");
        Self { node, at, pointer: format!("{}/{key}", self.pointer) }
    }

    pub fn at(&self) -> Position {
        self.at
    }

    /// The same place with another node.
    pub fn instead<'m>(&self, node: &'m Node) -> Place<'m> {
        Place { node, at: self.at, pointer: self.pointer.clone() }
    }

    /// Every key of a map with its value, for maps whose keys are the author's.
    pub fn entries(&self) -> impl Iterator<Item = (&'n str, Self)> {
        let entries = match &self.node.content {
            Content::Map(entries) => entries.as_slice(),
            _ => &[],
        };
        entries.iter().map(|e| (e.key.as_str(), self.child(&e.key, &e.value, e.at)))
    }
}

impl<'n> Fields<'n> {
    pub fn place(&self) -> &Place<'n> {
        &self.map
    }

    /// The value of a key, spelled in any case. Null is the same as absent.
    pub fn take(&mut self, reader: &mut Reader<'_>, key: &'n str) -> Option<Place<'n>> {
        self.taken.push(key);
        let mut found: Option<(&str, Place<'n>)> = None;
        for (spelling, place) in self.map.entries().filter(|(k, _)| k.eq_ignore_ascii_case(key)) {
            if let Some((earlier, _)) = found
                && earlier != spelling
            {
                let message =
                    format!("{earlier:?} and {spelling:?} are the same key; the last one counts");
                reader.warn(&place, message, "remove one of them");
            }
            found = Some((spelling, place));
        }
        found.map(|(_, place)| place).filter(|place| !place.node.is_null())
    }

    pub fn require(&mut self, reader: &mut Reader<'_>, key: &'n str) -> Option<Place<'n>> {
        let found = self.take(reader, key);
        if found.is_none() {
            reader.error(&self.map, format_args!("{key} is missing"), "");
        }
        found
    }

    /// Warns of every key that was not taken.
    pub fn finish(self, reader: &mut Reader<'_>) {
        for (key, place) in self.map.entries() {
            if !self.taken.iter().any(|taken| taken.eq_ignore_ascii_case(key)) {
                let message =
                    format!("{key:?} is not a key of the recipe format here; it is ignored");
                reader.warn(&place, message, "check its spelling and where it stands");
            }
        }
    }
}
