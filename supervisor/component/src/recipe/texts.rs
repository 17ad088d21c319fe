//! Recipe variables in a lifecycle that will stay as written, which an author rarely means.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Dependency;
use super::fields::{Place, Reader};
use crate::document::Content;
use crate::name::ComponentName;
use crate::variables::{Reference, at_pointer, references};

/// What the variables of a recipe's texts can refer to.
pub(super) struct Texts<'r> {
    /// The defaults.
    pub configuration: &'r Value,
    pub dependencies: &'r BTreeMap<ComponentName, Dependency>,
}

impl Texts<'_> {
    /// Warns of variables in any text of a tree.
    pub fn check(&self, reader: &mut Reader<'_>, place: &Place<'_>) {
        match &place.node.content {
            Content::Map(_) => place.entries().for_each(|(_, child)| self.check(reader, &child)),
            Content::Text(text) => {
                for reference in references(text) {
                    if let Some((message, advice)) = self.remark(&reference) {
                        reader.warn(place, message, advice);
                    }
                }
            }
            // Lists have no place in a lifecycle.
            Content::Null | Content::Bool(_) | Content::Number(..) | Content::List(_) => {}
        }
    }

    fn remark(&self, reference: &Reference<'_>) -> Option<(String, &'static str)> {
        let Reference { whole, component, namespace, key } = reference;
        let known = match (*namespace, *key) {
            ("artifacts", "path" | "decompressedPath") | ("work", "path") => true,
            ("kernel", "rootPath") | ("iot", "thingName") => component.is_none(),
            ("configuration", pointer) => pointer.is_empty() || pointer.starts_with('/'),
            ("artifacts" | "work" | "kernel" | "iot", _) => false,
            // Braces that mean something else.
            _ => return None,
        };
        if !known {
            let message = format!("{whole} is not a recipe variable; it stays as written");
            return Some((message, "check its spelling"));
        }
        if let Some(name) = component {
            let direct = self.dependencies.keys().any(|dependency| dependency.as_str() == *name);
            let message = format!("{whole} stays as written: {name} is not a direct dependency");
            return (!direct).then_some((message, "add it to ComponentDependencies"));
        }
        if *namespace == "configuration" && at_pointer(self.configuration, key).is_none() {
            let message =
                format!("{whole} stays as written unless a deployment sets it: it has no default");
            return Some((message, "add it to DefaultConfiguration"));
        }
        None
    }
}
