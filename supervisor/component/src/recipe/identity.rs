//! A component's name and version. Recipes in source trees often have placeholders there, which a
//! build fills in; they get an answer of their own.

use std::fmt::Display;
use std::str::FromStr;

use super::fields::{Place, Reader};
use crate::document::Content;

/// A name or a version.
pub(super) fn read<T: FromStr<Err: Display>>(
    reader: &mut Reader<'_>,
    place: &Place<'_>,
) -> Option<T> {
    let text = match placeholder_map(place) {
        Some(key) => format!("{{{key}}}"),
        None => reader.text(place)?,
    };
    if is_placeholder(&text) {
        let message = format!("{text:?} is a placeholder: this recipe is a build template");
        let advice = "build it (`gdk component build` writes greengrass-build/recipes) and use \
                      the recipe that comes out";
        reader.error(place, message, advice);
        return None;
    }
    text.parse().map_err(|error| reader.error(place, error, "")).ok()
}

/// `{NAME}` without quotes is a map in YAML.
fn placeholder_map(place: &Place<'_>) -> Option<String> {
    match &place.node.content {
        Content::Map(entries) => match entries.as_slice() {
            [only] if only.value.is_null() => Some(only.key.clone()),
            _ => None,
        },
        _ => None,
    }
}

fn is_placeholder(text: &str) -> bool {
    let words = ["COMPONENT_NAME", "COMPONENT_VERSION", "NEXT_PATCH", "NEXT_MINOR", "NEXT_MAJOR"];
    text.contains(['{', '}', '$', '<', '>', '@', '%'])
        || text.starts_with("__")
        || text.split('.').any(|part| words.contains(&part))
}
