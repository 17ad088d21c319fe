//! From the tree of a document to a [`Recipe`], noting findings on the way.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use serde_json::{Map, Value};

use super::{Dependency, DependencyKind, FORMAT_VERSION, Manifest, Recipe, artifact, lifecycle};
use crate::document::{Content, Node, Position, Remark};
use crate::finding::{Finding, Severity};
use crate::name::ComponentName;
use crate::platform::Requirements;

pub(super) const NOT_YET: &str = "not provided yet";

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

    /// The findings in the order of the file.
    pub fn finish(mut self) -> Vec<Finding> {
        self.findings.sort_by_key(|f| (f.line, f.column));
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

    /// An error that counts only for the manifest it stands in.
    pub fn refusal(&self, place: &Place<'_>, message: impl Display, advice: &str) -> Finding {
        self.finding(Severity::Error, place, message, advice)
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
    fn child(&self, key: &str, node: &'n Node, at: Position) -> Self {
        let key = key.replace('~', "~0").replace('/', "~1");
        Self { node, at, pointer: format!("{}/{key}", self.pointer) }
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

/// The recipe, as far as it can be read; `None` only together with an error.
pub(super) fn recipe(reader: &mut Reader<'_>, root: &Node) -> Option<Recipe> {
    let place = Place { node: root, at: root.at, pointer: String::new() };
    let mut fields = reader.fields(place)?;
    let format = fields.require(reader, "RecipeFormatVersion");
    if let Some(format) = format {
        let text = reader.text(&format)?;
        if text != FORMAT_VERSION {
            let message = format!("RecipeFormatVersion {text:?} is not known");
            reader.error(&format, message, "the format that is read here is 2020-01-25");
            return None;
        }
    }
    let name = fields.require(reader, "ComponentName").and_then(|p| identity(reader, &p));
    let version = fields.require(reader, "ComponentVersion").and_then(|p| identity(reader, &p));
    let description = fields.take(reader, "ComponentDescription").and_then(|p| reader.text(&p));
    let publisher = fields.take(reader, "ComponentPublisher").and_then(|p| reader.text(&p));
    if let Some(place) = fields.take(reader, "ComponentType") {
        component_type(reader, &place);
    }
    fields.take(reader, "ComponentSource");
    let default_configuration = fields
        .take(reader, "ComponentConfiguration")
        .map(|p| default_configuration(reader, p))
        .unwrap_or_default();
    let dependencies = fields
        .take(reader, "ComponentDependencies")
        .map(|p| dependencies(reader, p))
        .unwrap_or_default();
    let shared = fields.take(reader, "Lifecycle").filter(|p| p.entries().next().is_some());
    let manifests = fields
        .require(reader, "Manifests")
        .map(|p| manifests(reader, &p, shared.as_ref()))
        .unwrap_or_default();
    fields.finish(reader);
    let file = reader.file.to_owned();
    Some(Recipe {
        file,
        name: name?,
        version: version?,
        description,
        publisher,
        default_configuration,
        dependencies,
        manifests,
    })
}

/// A name or version. Placeholders of build tools get an answer of their own.
fn identity<T: FromStr<Err: Display>>(reader: &mut Reader<'_>, place: &Place<'_>) -> Option<T> {
    let text = reader.text(place)?;
    if text.contains(['{', '}', '$']) || text.starts_with("NEXT_") {
        let message = format!("{text:?} is a placeholder: this is the template of a recipe");
        reader.error(place, message, "deploy the recipe that your build made from it");
        return None;
    }
    reader.parsed(place)
}

fn component_type(reader: &mut Reader<'_>, place: &Place<'_>) {
    let types = [
        ("aws.greengrass.generic", true),
        ("aws.greengrass.lambda", false),
        ("aws.greengrass.plugin", false),
        ("aws.greengrass.nucleus", false),
    ];
    if reader.word(place, &types) == Some(false) {
        let message = format!("components of this type are {NOT_YET}");
        reader.error(place, message, "only aws.greengrass.generic components are");
    }
}

fn default_configuration(reader: &mut Reader<'_>, place: Place<'_>) -> Map<String, Value> {
    let Some(mut fields) = reader.fields(place) else { return Map::new() };
    let default = fields.take(reader, "DefaultConfiguration");
    fields.finish(reader);
    match default.map(|place| (place.node.to_value(), place)) {
        None => Map::new(),
        Some((Value::Object(map), _)) => map,
        Some((_, place)) => {
            reader.error(&place, format_args!("expected a map, found {}", place.node.kind()), "");
            Map::new()
        }
    }
}

fn dependencies(reader: &mut Reader<'_>, place: Place<'_>) -> BTreeMap<ComponentName, Dependency> {
    let mut all = BTreeMap::new();
    // Only for its check that this is a map: its keys are names, and those are the author's.
    let Some(map) = reader.fields(place) else { return all };
    for (key, place) in map.place().entries() {
        let name = match key.parse::<ComponentName>() {
            Ok(name) => name,
            Err(error) => {
                reader.error(&place, error, "");
                continue;
            }
        };
        let Some(mut fields) = reader.fields(place) else { continue };
        let requirement =
            fields.require(reader, "VersionRequirement").and_then(|p| reader.parsed(&p));
        let kinds = [("HARD", DependencyKind::Hard), ("SOFT", DependencyKind::Soft)];
        let kind = match fields.take(reader, "DependencyType") {
            Some(place) => reader.word(&place, &kinds),
            None => Some(DependencyKind::Hard),
        };
        fields.finish(reader);
        if let (Some(requirement), Some(kind)) = (requirement, kind) {
            all.insert(name, Dependency { requirement, kind });
        }
    }
    all
}

fn manifests(
    reader: &mut Reader<'_>,
    place: &Place<'_>,
    shared: Option<&Place<'_>>,
) -> Vec<Manifest> {
    let items = reader.items(place);
    if matches!(&place.node.content, Content::List(items) if items.is_empty()) {
        reader.error(
            place,
            "there is no manifest",
            "add one; without a Platform it is for every device",
        );
    }
    items.into_iter().filter_map(|item| manifest(reader, item, shared)).collect()
}

fn manifest(
    reader: &mut Reader<'_>,
    place: Place<'_>,
    shared: Option<&Place<'_>>,
) -> Option<Manifest> {
    let mut fields = reader.fields(place)?;
    let mut refusals = Vec::new();
    let name = fields.take(reader, "Name").and_then(|p| reader.text(&p));
    let platform = fields.take(reader, "Platform").map(|p| platform(reader, p)).unwrap_or_default();
    let artifacts = fields
        .take(reader, "Artifacts")
        .map(|p| artifact::read(reader, &p, &mut refusals))
        .unwrap_or_default();
    let lifecycle = fields
        .take(reader, "Lifecycle")
        .filter(|p| p.node.text().is_some() || p.entries().next().is_some());
    if let (None, Some(shared)) = (&lifecycle, shared) {
        let message = format!("the Lifecycle shared by several manifests is {NOT_YET}");
        refusals.push(reader.refusal(shared, message, "give this manifest a Lifecycle of its own"));
    }
    let lifecycle =
        lifecycle.map(|p| lifecycle::read(reader, p, &mut refusals)).unwrap_or_default();
    // Selections choose from the shared Lifecycle; a manifest with its own does not use them.
    fields.take(reader, "Selections");
    fields.finish(reader);
    Some(Manifest { name, platform, lifecycle, artifacts, refusals })
}

fn platform(reader: &mut Reader<'_>, place: Place<'_>) -> Requirements {
    let mut requirements = Requirements::default();
    let Some(map) = reader.fields(place) else { return requirements };
    for (key, place) in map.place().entries() {
        let value = match place.node.is_null() {
            true => None,
            false => match reader.text(&place) {
                Some(text) => Some(text),
                None => continue,
            },
        };
        if let Err(error) = requirements.insert(key.to_owned(), value.as_deref()) {
            reader.error(&place, error, "");
        }
    }
    requirements
}
