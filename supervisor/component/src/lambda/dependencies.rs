//! What a function depends on though its recipe does not say so.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Runtime;
use super::read::{RUNTIME, layers};
use crate::name::ComponentName;
use crate::recipe::{ComponentType, Dependency, DependencyKind, Recipe};
use crate::version::VersionReq;

/// By name.
pub type Dependencies<'r> = Cow<'r, BTreeMap<ComponentName, Dependency>>;

/// The recipe's dependencies; of a function also its layers, and the component that brings the client of its runtime:
/// the nearest version of the language that `is_there`, and none where none is: then the function may bring its own.
pub fn dependencies<'r>(
    recipe: &'r Recipe,
    is_there: impl Fn(&ComponentName) -> bool,
) -> Dependencies<'r> {
    match recipe.kind {
        ComponentType::Generic | ComponentType::Plugin | ComponentType::Nucleus => {
            Cow::Borrowed(&recipe.dependencies)
        }
        ComponentType::Lambda => {
            let mut all = recipe.dependencies.clone();
            let layers = layers(&recipe.default_configuration);
            for name in layers.iter().filter_map(|name| name.parse().ok()) {
                all.entry(name).or_insert_with(|| any_version(DependencyKind::Hard));
            }
            let runtimes = runtime(recipe).map(|runtime| runtime.nearest()).unwrap_or_default();
            let mut clients = runtimes.iter().filter_map(Runtime::component);
            if let Some(client) = clients.find(is_there) {
                all.entry(client).or_insert_with(|| any_version(DependencyKind::Soft));
            }
            Cow::Owned(all)
        }
    }
}

/// The same in every manifest: that a function is in another language on another device was never seen.
fn runtime(recipe: &Recipe) -> Option<Runtime> {
    let mut manifests = recipe.manifests.iter();
    manifests.find_map(|manifest| manifest.lifecycle.setenv.get(RUNTIME)?.parse().ok())
}

fn any_version(kind: DependencyKind) -> Dependency {
    Dependency { requirement: VersionReq::any(), kind }
}
