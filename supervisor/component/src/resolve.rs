//! Which components, in which versions, a device ends up with.
//!
//! A search with backtracking: of each component the running version is tried first, then the
//! newest; every requirement on it has to hold, whoever made it. The same input gives the same
//! answer. Soft dependencies are part of the result as hard ones are. A built-in stands in for a
//! component of its name that no recipe can run.

mod conflict;
mod order;
mod search;

use std::collections::BTreeMap;

use crate::builtins::Builtin;
use crate::name::ComponentName;
use crate::platform::Platform;
use crate::recipe::{DependencyKind, Manifest, Recipe};
use crate::version::Version;

pub use conflict::{Conflict, Requirement, Requirer};
use search::Search;

/// The components a device is to run, each after those it depends on.
#[derive(Clone, Debug)]
pub struct Resolution<'r> {
    pub components: Vec<Resolved<'r>>,
    /// By name.
    pub builtins: Vec<ResolvedBuiltin>,
}

/// A component that Hedgerow itself stands for: there is nothing to start.
#[derive(Clone, Debug)]
pub struct ResolvedBuiltin {
    pub builtin: &'static Builtin,
    pub version: Version,
    /// Asked for by name, not only depended on.
    pub root: bool,
}

#[derive(Clone, Debug)]
pub struct Resolved<'r> {
    pub recipe: &'r Recipe,
    /// The recipe's manifest for this device.
    pub manifest: &'r Manifest,
    /// Direct dependencies that are not built in, all of them part of the same resolution.
    pub dependencies: BTreeMap<ComponentName, DependencyKind>,
    /// Asked for by name, not only depended on.
    pub root: bool,
}

impl<'r> Resolution<'r> {
    pub fn get(&self, name: &str) -> Option<&Resolved<'r>> {
        self.components.iter().find(|c| c.recipe.name.as_str() == name)
    }
}

/// Resolves `roots`, the requirements of every group, with the recipes that `available` has of each
/// component.
///
/// `running` has the version of each component that runs now, preferred where it satisfies.
pub fn resolve<'r>(
    roots: &[Requirement],
    available: &impl Fn(&ComponentName) -> Vec<&'r Recipe>,
    running: &BTreeMap<ComponentName, Version>,
    platform: &Platform,
) -> Result<Resolution<'r>, Conflict> {
    let mut search = Search::new(roots, available, running, platform);
    search.run()?;
    search.resolution(roots)
}

#[cfg(test)]
mod tests;
