//! The order in which components start.

use std::collections::{BTreeMap, BTreeSet};

use super::{Conflict, Resolved};
use crate::name::ComponentName;

/// Each component after those it depends on; by name where that leaves a choice.
pub(super) fn dependencies_first(
    mut components: BTreeMap<ComponentName, Resolved<'_>>,
) -> Result<Vec<Resolved<'_>>, Conflict> {
    let mut waits_for: BTreeMap<ComponentName, usize> = BTreeMap::new();
    let mut dependents: BTreeMap<ComponentName, Vec<ComponentName>> = BTreeMap::new();
    for (name, component) in &components {
        waits_for.insert(name.clone(), component.dependencies.len());
        for dependency in component.dependencies.keys() {
            dependents.entry(dependency.clone()).or_default().push(name.clone());
        }
    }
    let mut ready: BTreeSet<ComponentName> =
        waits_for.iter().filter(|(_, n)| **n == 0).map(|(name, _)| name.clone()).collect();
    let mut ordered = Vec::new();
    while let Some(name) = ready.pop_first() {
        ordered.extend(components.remove(&name));
        for dependent in dependents.remove(&name).unwrap_or_default() {
            if let Some(left) = waits_for.get_mut(&dependent) {
                *left -= 1;
                if *left == 0 {
                    ready.insert(dependent);
                }
            }
        }
    }
    match components.keys().next() {
        None => Ok(ordered),
        Some(start) => Err(Conflict::Cycle { names: cycle(start, &components) }),
    }
}

/// A circle among components of which each waits for another of them.
fn cycle(
    start: &ComponentName,
    stuck: &BTreeMap<ComponentName, Resolved<'_>>,
) -> Vec<ComponentName> {
    let mut path: Vec<ComponentName> = Vec::new();
    let mut next = Some(start.clone());
    while let Some(name) = next {
        if let Some(begin) = path.iter().position(|seen| *seen == name) {
            return path.split_off(begin);
        }
        let dependencies = stuck.get(&name).map(|c| &c.dependencies);
        next = dependencies.and_then(|d| d.keys().find(|d| stuck.contains_key(*d)).cloned());
        path.push(name);
    }
    path
}
