//! From the tree of a document to a [`Recipe`].

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::fields::{Place, Reader};
use super::selection::Selector;
use super::texts::Texts;
use super::{
    ComponentType, Dependency, DependencyKind, FORMAT_VERSION, Lifecycle, Manifest, Recipe,
    artifact, identity, lifecycle,
};
use crate::document::{Content, Node};
use crate::name::ComponentName;
use crate::platform::Requirements;

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
    let name = fields.require(reader, "ComponentName").and_then(|p| identity::read(reader, &p));
    let version =
        fields.require(reader, "ComponentVersion").and_then(|p| identity::read(reader, &p));
    let description = fields.take(reader, "ComponentDescription").and_then(|p| reader.text(&p));
    let publisher = fields.take(reader, "ComponentPublisher").and_then(|p| reader.text(&p));
    let kind = fields
        .take(reader, "ComponentType")
        .and_then(|p| reader.word(&p, &COMPONENT_TYPES))
        .unwrap_or_default();
    let source = fields.take(reader, "ComponentSource").and_then(|p| reader.text(&p));
    let default_configuration = fields
        .take(reader, "ComponentConfiguration")
        .map(|p| default_configuration(reader, p))
        .unwrap_or_default();
    let dependencies = fields
        .take(reader, "ComponentDependencies")
        .map(|p| dependencies(reader, p))
        .unwrap_or_default();
    let defaults = Value::Object(default_configuration.clone());
    let texts = Texts { configuration: &defaults, dependencies: &dependencies };
    let shared = fields.take(reader, "Lifecycle").filter(|p| !is_empty(p));
    let manifests = fields
        .require(reader, "Manifests")
        .map(|p| manifests(reader, &p, shared.as_ref(), &texts))
        .unwrap_or_default();
    fields.finish(reader);
    Some(Recipe {
        file: reader.file().to_owned(),
        name: name?,
        version: version?,
        description,
        publisher,
        kind,
        source,
        default_configuration,
        dependencies,
        manifests,
    })
}

const COMPONENT_TYPES: [(&str, ComponentType); 4] = [
    ("aws.greengrass.generic", ComponentType::Generic),
    ("aws.greengrass.lambda", ComponentType::Lambda),
    ("aws.greengrass.plugin", ComponentType::Plugin),
    ("aws.greengrass.nucleus", ComponentType::Nucleus),
];

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
    texts: &Texts<'_>,
) -> Vec<Manifest> {
    let items = reader.items(place);
    if matches!(&place.node.content, Content::List(items) if items.is_empty()) {
        reader.error(
            place,
            "there is no manifest",
            "add one; without a Platform it is for every device",
        );
    }
    let drafts: Vec<_> = items.into_iter().filter_map(|item| draft(reader, item)).collect();
    let keywords = drafts.iter().flat_map(|draft| draft.selections.iter().cloned()).collect();
    let mut selector = Selector::new(keywords);
    drafts.into_iter().map(|draft| manifest(reader, draft, shared, &mut selector, texts)).collect()
}

/// A manifest before its lifecycle: that depends on the selections of all.
struct Draft<'n> {
    line: u32,
    name: Option<String>,
    platform: Requirements,
    selections: Vec<String>,
    lifecycle: Option<Place<'n>>,
    artifacts: Option<Place<'n>>,
}

fn draft<'n>(reader: &mut Reader<'_>, place: Place<'n>) -> Option<Draft<'n>> {
    let line = place.at().line;
    let mut fields = reader.fields(place)?;
    let name = fields.take(reader, "Name").and_then(|p| reader.text(&p));
    let platform = fields.take(reader, "Platform").map(|p| platform(reader, p)).unwrap_or_default();
    let selections = fields.take(reader, "Selections").map(|p| selections(reader, &p));
    let lifecycle = fields.take(reader, "Lifecycle").filter(|p| !is_empty(p));
    let artifacts = fields.take(reader, "Artifacts");
    fields.finish(reader);
    Some(Draft {
        line,
        name,
        platform,
        selections: selections.unwrap_or_default(),
        lifecycle,
        artifacts,
    })
}

fn selections(reader: &mut Reader<'_>, place: &Place<'_>) -> Vec<String> {
    let items = reader.items(place);
    items.iter().filter_map(|item| reader.text(item)).collect()
}

fn manifest(
    reader: &mut Reader<'_>,
    draft: Draft<'_>,
    shared: Option<&Place<'_>>,
    selector: &mut Selector,
    texts: &Texts<'_>,
) -> Manifest {
    let Draft { line, name, platform, selections, lifecycle, artifacts } = draft;
    let ((artifacts, images), mut refusals) =
        reader.apart(|reader| artifacts.map(|p| artifact::read(reader, &p)).unwrap_or_default());
    let (lifecycle, faults) = reader.apart(|reader| match (lifecycle, shared) {
        (Some(own), _) => {
            texts.check(reader, &own);
            lifecycle::read(reader, own)
        }
        (None, Some(shared)) => match selector.select(reader, shared, &selections) {
            Ok(Some(selected)) => {
                let selected = shared.instead(&selected);
                texts.check(reader, &selected);
                lifecycle::read(reader, selected)
            }
            Ok(None) => Lifecycle::default(),
            Err(remark) => {
                reader.error(shared, remark.message, "");
                Lifecycle::default()
            }
        },
        (None, None) => Lifecycle::default(),
    });
    refusals.extend(faults);
    Manifest { name, line, platform, lifecycle, artifacts, images, refusals }
}

/// Nothing, as Greengrass sees it: such a lifecycle gives way to the recipe's.
fn is_empty(place: &Place<'_>) -> bool {
    matches!(&place.node.content, Content::Map(entries) if entries.is_empty())
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
            reader.warn(&place, error, "no device matches it; mend it or remove the manifest");
        }
    }
    requirements
}
