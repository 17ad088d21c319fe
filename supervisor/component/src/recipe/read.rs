//! From the tree of a document to a [`Recipe`].

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use serde_json::{Map, Value};

use super::fields::{Place, Reader};
use super::{Dependency, DependencyKind, FORMAT_VERSION, Manifest, Recipe, artifact, lifecycle};
use crate::document::{Content, Node};
use crate::name::ComponentName;
use crate::platform::Requirements;

/// Of what the format has and this version does not.
pub(super) const NOT_YET: &str = "not provided yet";

/// The recipe, as far as it can be read; `None` only together with an error.
pub(super) fn recipe(reader: &mut Reader<'_>, root: &Node) -> Option<Recipe> {
    let mut fields = reader.fields(Place::root(root))?;
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
    Some(Recipe {
        file: reader.file().to_owned(),
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
