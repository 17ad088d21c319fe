//! The search for versions, with backtracking.

use std::collections::{BTreeMap, BTreeSet};

use super::{Conflict, Requirement, Requirer, Resolution, Resolved, ResolvedBuiltin, order};
use crate::builtins::Builtin;
use crate::lambda;
use crate::name::ComponentName;
use crate::platform::Platform;
use crate::recipe::{ComponentType, DependencyKind, Manifest, Recipe};
use crate::version::{Version, VersionReq};

/// Most versions that are tried before the search gives up.
const MAX_TRIALS: usize = 100_000;

#[derive(Clone)]
enum Choice<'r> {
    Recipe { recipe: &'r Recipe, manifest: &'r Manifest },
    Builtin { builtin: &'static Builtin, version: Version },
}

impl Choice<'_> {
    fn version(&self) -> &Version {
        match self {
            Self::Recipe { recipe, .. } => &recipe.version,
            Self::Builtin { version, .. } => version,
        }
    }
}

/// A component whose version is chosen, and what is left to try.
struct Decision<'r> {
    name: ComponentName,
    /// Best last.
    candidates: Vec<Choice<'r>>,
    /// How many requirements there were before.
    requirements: usize,
}

pub(super) struct Search<'s, 'r, F> {
    available: &'s F,
    running: &'s BTreeMap<ComponentName, Version>,
    platform: &'s Platform,
    requirements: Vec<Requirement>,
    chosen: BTreeMap<ComponentName, Choice<'r>>,
    decisions: Vec<Decision<'r>>,
    /// Met with the best version of everything: the one that explains most to a person.
    first_conflict: Option<Conflict>,
}

impl<'s, 'r, F: Fn(&ComponentName) -> Vec<&'r Recipe>> Search<'s, 'r, F> {
    pub fn new(
        roots: &[Requirement],
        available: &'s F,
        running: &'s BTreeMap<ComponentName, Version>,
        platform: &'s Platform,
    ) -> Self {
        Self {
            available,
            running,
            platform,
            requirements: roots.to_vec(),
            chosen: BTreeMap::new(),
            decisions: Vec::new(),
            first_conflict: None,
        }
    }

    pub fn run(&mut self) -> Result<(), Conflict> {
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

    pub fn resolution(self, roots: &[Requirement]) -> Result<Resolution<'r>, Conflict> {
        let mut builtins = Vec::new();
        let mut components = BTreeMap::new();
        for (name, choice) in &self.chosen {
            let root = roots.iter().any(|r| r.component == *name);
            match choice.clone() {
                Choice::Builtin { builtin, version } => {
                    builtins.push(ResolvedBuiltin { builtin, version, root });
                }
                Choice::Recipe { recipe, manifest } => {
                    let dependencies = self.started_before(recipe);
                    let resolved = Resolved { recipe, manifest, dependencies, root };
                    components.insert(name.clone(), resolved);
                }
            }
        }
        let components = order::dependencies_first(components)?;
        Ok(Resolution { components, builtins })
    }

    fn started_before(&self, recipe: &Recipe) -> BTreeMap<ComponentName, DependencyKind> {
        let is_component =
            |name: &ComponentName| matches!(self.chosen.get(name), Some(Choice::Recipe { .. }));
        let dependencies = self.dependencies(recipe);
        let dependencies = dependencies.iter().filter(|(name, _)| is_component(name));
        dependencies.map(|(name, dependency)| (name.clone(), dependency.kind)).collect()
    }

    fn dependencies<'d>(&self, recipe: &'d Recipe) -> lambda::Dependencies<'d> {
        lambda::dependencies(recipe, |name| !(self.available)(name).is_empty())
    }

    /// Built-ins come last: then everything that depends on them is known, and no choice among
    /// their versions has to be taken back.
    fn next_undecided(&self) -> Option<ComponentName> {
        let undecided = |r: &&Requirement| !self.chosen.contains_key(&r.component);
        let next = self
            .requirements
            .iter()
            .filter(undecided)
            .min_by_key(|r| Builtin::named(r.component.as_str()).is_some());
        next.map(|r| r.component.clone())
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
        self.chosen.insert(name.clone(), choice.clone());
        let Choice::Recipe { recipe, .. } = choice else { return true };
        let requirer = Requirer::Component { name: name.clone(), version: recipe.version.clone() };
        for (dependency, wanted) in self.dependencies(recipe).iter() {
            self.require(dependency, &wanted.requirement, requirer.clone());
            if let Some(other) = self.chosen.get(dependency)
                && !wanted.requirement.matches(other.version())
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
        let builtin = Builtin::named(name.as_str());
        let mut all = (self.available)(name);
        if let Some(builtin) = builtin {
            all.retain(|recipe| recipe.kind == ComponentType::Generic);
            if all.is_empty() {
                return self.builtin(name, builtin).map(|choice| vec![choice]);
            }
        }
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

    fn builtin(
        &self,
        name: &ComponentName,
        builtin: &'static Builtin,
    ) -> Result<Choice<'r>, Conflict> {
        let on = self.on(name);
        let ranges: Vec<&VersionReq> = on.iter().map(|r| &r.range).collect();
        let kept = self.running.get(name).filter(|version| {
            builtin.claims(version) && ranges.iter().all(|range| range.matches(version))
        });
        match kept.cloned().or_else(|| builtin.version_in(&ranges)) {
            Some(version) => Ok(Choice::Builtin { builtin, version }),
            None => Err(Conflict::NotBuiltIn {
                component: name.clone(),
                available: builtin.versions(),
                requirements: on,
            }),
        }
    }

    fn usable(&self, recipe: &'r Recipe) -> Result<Choice<'r>, Conflict> {
        let (component, version) = (recipe.name.clone(), recipe.version.clone());
        match recipe.kind {
            ComponentType::Generic | ComponentType::Lambda => {}
            kind @ (ComponentType::Plugin | ComponentType::Nucleus) => {
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
            [] => Ok(Choice::Recipe { recipe, manifest }),
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
