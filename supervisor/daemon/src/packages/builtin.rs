//! Built-ins as packages, so that configuration, dependencies and status need no second way for them.

use hedgerow_component::builtins::{Builtin, Service};
use hedgerow_component::{Platform, Recipe, Version};
use serde_json::json;

use super::package::{Package, Place};

/// A recipe without steps.
pub fn package(builtin: &Builtin, version: &Version) -> Package {
    let recipe = json!({
        "RecipeFormatVersion": "2020-01-25",
        "ComponentName": builtin.name,
        "ComponentVersion": version.to_string(),
        "ComponentDescription": builtin.purpose,
        "ComponentPublisher": "Hedgerow",
        "ComponentConfiguration": {"DefaultConfiguration": builtin.default_configuration()},
        "Manifests": [{}],
    });
    let file = format!("{} (built in).json", builtin.name);
    Package { id: String::new(), place: Place::BuiltIn, file, recipe: recipe.to_string() }
}

/// What a person should know before relying on what the recipe asks of this version.
pub fn notices(recipe: &Recipe, place: Place, platform: &Platform) -> Vec<String> {
    let (name, version) = (&recipe.name, &recipe.version);
    let missing = match place {
        Place::BuiltIn => missing(name.as_str()),
        Place::Store | Place::Image => None,
    };
    let missing = missing.map(|what| format!("{name} {version} is built in, but {what}"));
    let images = recipe.manifest_for(platform).map_or(&[][..], |manifest| &manifest.images);
    let images = images.iter().map(|image| {
        format!(
            "{name} {version} needs {image}, but container images are not pulled by this version"
        )
    });
    missing.into_iter().chain(images).collect()
}

/// What a built-in is not there for yet.
pub fn missing(name: &str) -> Option<&'static str> {
    match Builtin::named(name)?.service {
        Service::Provided => None,
        Service::NotYet(what) => Some(what),
    }
}
