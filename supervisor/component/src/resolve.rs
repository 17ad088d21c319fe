//! Which components, in which versions, a device ends up with.
//!
//! A search with backtracking: of each component the running version is tried first, then the
//! newest; every requirement on it has to hold, whoever made it. The same input gives the same
//! answer. Soft dependencies are part of the result as hard ones are.

mod conflict;
mod order;

use std::collections::{BTreeMap, BTreeSet};

use crate::name::ComponentName;
use crate::platform::Platform;
use crate::recipe::{ComponentType, DependencyKind, Manifest, Recipe};
use crate::version::{Version, VersionReq};

pub use conflict::{Conflict, Requirement, Requirer};

/// Most versions that are tried before the search gives up.
const MAX_TRIALS: usize = 100_000;

/// The components a device is to run, each after those it depends on.
#[derive(Clone, Debug)]
pub struct Resolution<'r> {
    pub components: Vec<Resolved<'r>>,
}

#[derive(Clone, Debug)]
pub struct Resolved<'r> {
    pub recipe: &'r Recipe,
    /// The recipe's manifest for this device.
    pub manifest: &'r Manifest,
    /// Direct dependencies, all of them part of the same resolution.
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
    let mut search = Search {
        available,
        running,
        platform,
        requirements: roots.to_vec(),
        chosen: BTreeMap::new(),
        decisions: Vec::new(),
        first_conflict: None,
    };
    search.run()?;
    let dependencies = |recipe: &Recipe| -> BTreeMap<_, _> {
        recipe.dependencies.iter().map(|(name, d)| (name.clone(), d.kind)).collect()
    };
    let components: BTreeMap<_, _> = search
        .chosen
        .into_iter()
        .map(|(name, Choice { recipe, manifest })| {
            let root = roots.iter().any(|r| r.component == name);
            (name, Resolved { recipe, manifest, dependencies: dependencies(recipe), root })
        })
        .collect();
    order::dependencies_first(components).map(|components| Resolution { components })
}

#[derive(Clone, Copy)]
struct Choice<'r> {
    recipe: &'r Recipe,
    manifest: &'r Manifest,
}

/// A component whose version is chosen, and what is left to try.
struct Decision<'r> {
    name: ComponentName,
    /// Best last.
    candidates: Vec<Choice<'r>>,
    /// How many requirements there were before.
    requirements: usize,
}

struct Search<'s, 'r, F> {
    available: &'s F,
    running: &'s BTreeMap<ComponentName, Version>,
    platform: &'s Platform,
    requirements: Vec<Requirement>,
    chosen: BTreeMap<ComponentName, Choice<'r>>,
    decisions: Vec<Decision<'r>>,
    /// Met with the best version of everything: the one that explains most to a person.
    first_conflict: Option<Conflict>,
}

impl<'r, F: Fn(&ComponentName) -> Vec<&'r Recipe>> Search<'_, 'r, F> {
    fn run(&mut self) -> Result<(), Conflict> {
        let mut trials = 0;
        while let Some(name) = self.next_undecided() {
            let candidates = self.candidates(&name).unwrap_or_else(|conflict| {
                self.first_conflict.get_or_insert(conflict);
                Vec::new()
            });
            let requirements = self.requirements.len();
            self.decisions.push(Decision { name, candidates, requirements });
            while !self.try_next() {
                trials += 1;
                if trials > MAX_TRIALS {
                    return Err(Conflict::TooComplex { trials: MAX_TRIALS });
                }
                if self.decisions.is_empty() {
                    return Err(self
                        .first_conflict
                        .take()
                        .unwrap_or(Conflict::TooComplex { trials }));
                }
            }
        }
        Ok(())
    }

    fn next_undecided(&self) -> Option<ComponentName> {
        let undecided = |r: &&Requirement| !self.chosen.contains_key(&r.component);
        self.requirements.iter().find(undecided).map(|r| r.component.clone())
    }

    /// Takes the best candidate left of the last decision; without any, goes back by one.
    fn try_next(&mut self) -> bool {
        let Some(decision) = self.decisions.last_mut() else { return false };
        self.requirements.truncate(decision.requirements);
        self.chosen.remove(&decision.name);
        let Some(choice) = decision.candidates.pop() else {
            self.decisions.pop();
            return false;
        };
        let name = decision.name.clone();
        self.chosen.insert(name.clone(), choice);
        let requirer =
            Requirer::Component { name: name.clone(), version: choice.recipe.version.clone() };
        for (dependency, wanted) in &choice.recipe.dependencies {
            self.require(dependency, &wanted.requirement, requirer.clone());
            if let Some(other) = self.chosen.get(dependency)
                && !wanted.requirement.matches(&other.recipe.version)
            {
                let conflict = self.no_version(dependency);
                self.first_conflict.get_or_insert(conflict);
                return false;
            }
        }
        true
    }

    fn require(&mut self, component: &ComponentName, range: &VersionReq, by: Requirer) {
        let component = component.clone();
        self.requirements.push(Requirement { component, range: range.clone(), by });
    }

    /// What of a component satisfies every requirement so far and this device; best last.
    fn candidates(&self, name: &ComponentName) -> Result<Vec<Choice<'r>>, Conflict> {
        let all = (self.available)(name);
        if all.is_empty() {
            return Err(Conflict::Missing { component: name.clone(), requirements: self.on(name) });
        }
        let satisfies = |recipe: &&Recipe| {
            let mut on = self.requirements.iter().filter(|r| r.component == *name);
            on.all(|r| r.range.matches(&recipe.version))
        };
        let mut satisfying: Vec<&Recipe> = all.into_iter().filter(satisfies).collect();
        let running = self.running.get(name);
        satisfying.sort_by_key(|recipe| (running == Some(&recipe.version), recipe.version.clone()));
        let Some(best) = satisfying.last() else { return Err(self.no_version(name)) };
        let usable: Vec<Choice<'r>> =
            satisfying.iter().filter_map(|recipe| self.usable(recipe).ok()).collect();
        match self.usable(best) {
            Err(conflict) if usable.is_empty() => Err(conflict),
            _ => Ok(usable),
        }
    }

    fn usable(&self, recipe: &'r Recipe) -> Result<Choice<'r>, Conflict> {
        let (component, version) = (recipe.name.clone(), recipe.version.clone());
        match recipe.kind {
            ComponentType::Generic => {}
            kind @ (ComponentType::Lambda | ComponentType::Plugin | ComponentType::Nucleus) => {
                let file = recipe.file.clone();
                return Err(Conflict::Unrunnable { component, version, file, kind });
            }
        }
        let manifest = recipe.manifest_for(self.platform).map_err(|mismatches| {
            let (file, platform) = (recipe.file.clone(), Box::new(self.platform.clone()));
            Conflict::NoPlatform {
                component: component.clone(),
                version: version.clone(),
                file,
                platform,
                mismatches,
            }
        })?;
        match manifest.refusals.as_slice() {
            [] => Ok(Choice { recipe, manifest }),
            refusals => Err(Conflict::Refused { component, version, findings: refusals.to_vec() }),
        }
    }

    fn no_version(&self, name: &ComponentName) -> Conflict {
        let versions: BTreeSet<Version> =
            (self.available)(name).into_iter().map(|recipe| recipe.version.clone()).collect();
        Conflict::NoVersion {
            component: name.clone(),
            available: versions.into_iter().collect(),
            requirements: self.on(name),
        }
    }

    fn on(&self, name: &ComponentName) -> Vec<Requirement> {
        self.requirements.iter().filter(|r| r.component == *name).cloned().collect()
    }
}

#[cfg(test)]
mod tests;
