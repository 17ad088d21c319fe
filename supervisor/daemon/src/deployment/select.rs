//! From what was asked for to versions and configurations: nothing is copied, nothing is written.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use hedgerow_component::artifacts::{self, Source};
use hedgerow_component::configuration::{Configuration, Origin};
use hedgerow_component::platform::Platform;
use hedgerow_component::recipe::Invalid;
use hedgerow_component::resolve::{Conflict, Requirement, Requirer};
use hedgerow_component::{ComponentName, Recipe, Version, resolve};
use serde_json::Value;

use super::define::Ingredients;
use super::document::{Change, Document, Group, RunWith};
use super::nucleus::{NUCLEUS, Nucleus};
use super::prepare::{PrepareError, Request};
use crate::layout::Image;
use crate::lifecycle::Goal;
use crate::packages::{Package, Place, builtin_package};
use crate::records::{Desired, GroupRow, Records, RecordsError};

/// When an image's values are from: after every recipe's defaults, before everything that anybody said to the device.
const IMAGE_TIME: i64 = 2;

/// What it comes to, before anything is brought into the store.
#[derive(Debug)]
pub struct Selection {
    pub components: BTreeMap<ComponentName, Selected>,
    /// Their names, each after those it depends on.
    pub order: Vec<ComponentName>,
    pub removed: BTreeSet<ComponentName>,
    pub group: GroupRow,
    /// What this device is to the deployment, and what it was to the one before.
    pub platform: Platform,
    pub platform_before: Platform,
    /// What the Nucleus says from now on.
    pub nucleus: Nucleus,
    /// The image's artifacts, where it has some.
    pub image_artifacts: Option<OwnedFd>,
}

#[derive(Debug)]
pub struct Selected {
    pub candidate: Candidate,
    pub before: Configuration,
    pub after: Configuration,
    pub run_with: RunWith,
}

/// A recipe that may be chosen.
#[derive(Debug)]
pub struct Candidate {
    pub recipe: Recipe,
    pub text: String,
    pub found: Found,
    /// What the store has of it.
    pub stored: Option<Package>,
}

/// Where a recipe that may be chosen is, and its artifacts are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Of the deployment.
    Directory,
    Store,
    Image,
}

impl Candidate {
    fn stored(package: Package) -> Result<Self, Invalid> {
        let (recipe, text) = (package.parse()?, package.recipe.clone());
        Ok(Self { recipe, text, found: Found::Store, stored: Some(package) })
    }

    /// Whether the artifacts that came with the recipe that is stored of this version are all that this one names. As
    /// in Greengrass, a recipe that is edited and comes without artifacts keeps those of its version, also those that
    /// it does not name.
    fn needs_no_more_than(
        &self,
        stored: Result<&Recipe, &Invalid>,
        platform_before: &Platform,
        platform: &Platform,
    ) -> bool {
        let Ok(wanted) = self.recipe.manifest_for(platform) else { return false };
        let stored = stored.ok().and_then(|recipe| recipe.manifest_for(platform_before).ok());
        let is_stored = |artifact| stored.is_some_and(|stored| stored.artifacts.contains(artifact));
        wanted.artifacts.iter().all(is_stored)
    }
}

/// Reads recipes, resolves versions and works out configurations. Blocks on files.
pub fn select(
    request: &Request,
    image: &Image,
    records: &Records,
    own_platform: &Platform,
) -> Result<Selection, PrepareError> {
    let document = &request.document;
    let desired = wanted_to_stay(records)?;
    let (nucleus_before, nucleus) = nucleus(document, &desired, records)?;
    let platform_before = nucleus_before.platform(own_platform);
    let platform = nucleus.platform(own_platform);
    let mut candidates = Candidates::find(request, records, &platform_before, &platform)?;
    candidates.add_from(image);
    let image_artifacts = File::open(image.artifacts()).ok().map(OwnedFd::from);
    let (group, required) = roots(document, &desired, records.groups()?)?;
    let running: BTreeMap<_, _> =
        desired.iter().map(|(name, row)| (name.clone(), row.version.clone())).collect();
    let mut chosen: Vec<(ComponentName, Version)>;
    let builtins = {
        let available = |name: &ComponentName| -> Vec<&Recipe> {
            let known = candidates.known.values();
            known.map(|c| &c.recipe).filter(|recipe| recipe.name == *name).collect()
        };
        let resolution = resolve(&required, &available, &running, &platform)
            .map_err(|conflict| candidates.explain(conflict))?;
        let key = |resolved: &resolve::Resolved<'_>| {
            (resolved.recipe.name.clone(), resolved.recipe.version.clone())
        };
        chosen = resolution.components.iter().map(key).collect();
        resolution.builtins
    };
    for resolve::ResolvedBuiltin { builtin, version, .. } in builtins {
        let candidate = Candidate::stored(builtin_package(builtin, &version))?;
        let key = (candidate.recipe.name.clone(), version);
        chosen.push(key.clone());
        candidates.known.insert(key, candidate);
    }
    let is_there = chosen.iter().any(|(name, _)| name.as_str() == NUCLEUS);
    let (platform, nucleus) = match is_there {
        true => (platform, nucleus),
        false => (own_platform.clone(), Nucleus::default()),
    };
    let (mut components, mut order) = (BTreeMap::new(), Vec::new());
    for (name, version) in chosen {
        let Some(candidate) = candidates.known.remove(&(name.clone(), version)) else { continue };
        let before = records.configuration_of(&name)?;
        let mut after = before.clone();
        configure(document, &candidate.recipe, &mut after)?;
        let run_with = run_with(document, &name, desired.get(&name))?;
        order.push(name.clone());
        components.insert(name, Selected { candidate, before, after, run_with });
    }
    let mut updated = document.configuration.keys().chain(document.run_with.keys());
    if let Some(name) = updated.find(|name| !components.contains_key(*name)) {
        return Err(PrepareError::UpdateOfNothing(name.clone()));
    }
    keep_types(&components, &records.ingredients(&desired)?.ingredients)?;
    let removed = desired.into_keys().filter(|name| !components.contains_key(name)).collect();
    Ok(Selection {
        components,
        order,
        removed,
        group,
        platform,
        platform_before,
        nucleus,
        image_artifacts,
    })
}

/// What drives a function drives no other component: neither takes over what the other left.
fn keep_types(
    components: &BTreeMap<ComponentName, Selected>,
    before: &BTreeMap<ComponentName, Ingredients>,
) -> Result<(), PrepareError> {
    for (name, selected) in components {
        let to = selected.candidate.recipe.kind;
        let from = before.get(name).and_then(|own| Some(own.recipe.as_ref().ok()?.kind));
        if let Some(from) = from.filter(|from| *from != to) {
            return Err(PrepareError::TypeChange { component: name.clone(), from, to });
        }
    }
    Ok(())
}

/// What the Nucleus says before and after. Known before anything is chosen: manifests are chosen by it.
fn nucleus(
    document: &Document,
    desired: &BTreeMap<ComponentName, Desired>,
    records: &Records,
) -> Result<(Nucleus, Nucleus), PrepareError> {
    let mut names = desired.keys().chain(document.configuration.keys());
    let Some(name) = names.find(|name| name.as_str() == NUCLEUS) else {
        return Ok(Default::default());
    };
    let before = records.configuration_of(name)?;
    let mut after = before.clone();
    apply_update(document, name, &mut after, |_| {})?;
    Ok((Nucleus::read(&before.value()), Nucleus::read(&after.value())))
}

/// What is desired but for what is being removed.
pub fn wanted_to_stay(records: &Records) -> Result<BTreeMap<ComponentName, Desired>, RecordsError> {
    let mut desired = records.desired()?;
    desired.retain(|_, row| row.goal != Goal::Remove);
    Ok(desired)
}

/// A delta leaves what it does not name as it was; a complete document is all there is.
fn run_with(
    document: &Document,
    name: &ComponentName,
    old: Option<&Desired>,
) -> Result<RunWith, PrepareError> {
    if let Some(run_with) = document.run_with.get(name) {
        let invalid = |source| PrepareError::RunWith { component: name.clone(), source };
        run_with.check().map_err(invalid)?;
        return Ok(run_with.clone());
    }
    let is_reset = match &document.change {
        Change::Delta { .. } => false,
        Change::Complete { components } => components.contains_key(name),
    };
    let kept = old.filter(|_| !is_reset).map(|row| row.run_with.clone());
    Ok(kept.unwrap_or_default())
}

/// Where reset, defaults and merge come to the value that was there, its leaf stays as it was.
fn configure(
    document: &Document,
    recipe: &Recipe,
    configuration: &mut Configuration,
) -> Result<(), PrepareError> {
    let before = configuration.clone();
    apply_update(document, &recipe.name, configuration, |configuration| {
        configuration.fill(&recipe.default_configuration, &recipe.version);
    })?;
    configuration.keep_equal(&before);
    Ok(())
}

/// Reset, then `fill` with the recipe's defaults, then merge: in Greengrass's order. A refused reset does not stop it.
fn apply_update(
    document: &Document,
    component: &ComponentName,
    configuration: &mut Configuration,
    fill: impl FnOnce(&mut Configuration),
) -> Result<(), PrepareError> {
    let update = document.configuration.get(component);
    for pointer in update.iter().flat_map(|update| &update.reset) {
        if let Err(refused) = configuration.reset(pointer) {
            tracing::warn!(component = component.as_str(), "reset: {refused}");
        }
    }
    fill(configuration);
    if let Some(map) = update.and_then(|update| update.merge.as_ref()) {
        let (at, origin) = match document.group {
            Group::Image => (IMAGE_TIME, Origin::Image),
            Group::Local | Group::ThingGroup(_) | Group::Thing(_) => {
                (document.created, Origin::Deployment { id: document.id.to_string() })
            }
        };
        let whole: [&str; 0] = [];
        configuration
            .merge(&whole, &Value::Object(map.clone()), at, &origin)
            .map_err(|source| PrepareError::Merge { component: component.clone(), source })?;
    }
    Ok(())
}

/// Recipes that may be chosen.
struct Candidates {
    known: BTreeMap<(ComponentName, Version), Candidate>,
    /// Those in the store that are none to this version of Hedgerow, by [`Package::key`].
    unreadable: BTreeMap<String, Invalid>,
}

impl Candidates {
    /// Recipes of the directory, and those in the store that the directory does not replace.
    fn find(
        request: &Request,
        records: &Records,
        platform_before: &Platform,
        platform: &Platform,
    ) -> Result<Self, PrepareError> {
        let (mut known, mut unreadable) = (from_directory(request)?, BTreeMap::new());
        let brings_artifacts = request.artifact_dir.is_some();
        for (key, package) in records.packages()? {
            // A built-in is a candidate in every version that it claims, not only in the one it was last.
            if package.place == Place::BuiltIn {
                continue;
            }
            let stored = package.parse();
            match (place_of(&key).and_then(|at| known.get_mut(&at)), stored) {
                (Some(same), _) if same.text == package.recipe => same.stored = Some(package),
                (Some(edited), stored) if !brings_artifacts => {
                    if edited.needs_no_more_than(stored.as_ref(), platform_before, platform) {
                        let (file, recipe) = (edited.recipe.file.clone(), edited.text.clone());
                        edited.stored = Some(Package { file, recipe, ..package });
                    }
                }
                (Some(_), _) => {}
                (None, Ok(recipe)) => {
                    let text = package.recipe.clone();
                    let at = (recipe.name.clone(), recipe.version.clone());
                    let stored = Some(package);
                    known.insert(at, Candidate { recipe, text, found: Found::Store, stored });
                }
                (None, Err(invalid)) => drop(unreadable.insert(key, invalid)),
            }
        }
        Ok(Self { known, unreadable })
    }

    /// And those of the image that neither the directory nor the store has. What cannot be read there stands in the way
    /// of nobody who does not need it.
    fn add_from(&mut self, image: &Image) {
        let Ok(directory) = File::open(image.recipes()) else { return };
        let source = Source { directory: directory.as_fd(), public_only: true };
        let files = artifacts::recipes_in(source).unwrap_or_else(|error| {
            tracing::warn!("{}: {error}", image.recipes().display());
            vec![]
        });
        for file in files {
            match file.parsed {
                Ok(parsed) => {
                    let (recipe, found) = (parsed.recipe, Found::Image);
                    let text = String::from_utf8_lossy(&file.text).into_owned();
                    let at = (recipe.name.clone(), recipe.version.clone());
                    let candidate = Candidate { recipe, text, found, stored: None };
                    self.known.entry(at).or_insert(candidate);
                }
                Err(invalid) => tracing::warn!("{}: {invalid}", image.recipes().display()),
            }
        }
    }

    /// What is in the way may be a recipe that could be read once.
    fn explain(&self, conflict: Conflict) -> PrepareError {
        let is_of = |key: &str, component: &ComponentName| {
            key.split_once('@').is_some_and(|(name, _)| name == component.as_str())
        };
        let unreadable = match &conflict {
            Conflict::Missing { component, .. } | Conflict::NoVersion { component, .. } => {
                self.unreadable.iter().find(|(key, _)| is_of(key, component))
            }
            Conflict::NotBuiltIn { .. }
            | Conflict::NoPlatform { .. }
            | Conflict::Unrunnable { .. }
            | Conflict::Refused { .. }
            | Conflict::Cycle { .. }
            | Conflict::TooComplex { .. } => None,
        };
        let conflict = Box::new(conflict);
        match unreadable {
            Some((package, source)) => PrepareError::Unreadable {
                package: package.clone(),
                source: source.clone(),
                conflict,
            },
            None => PrepareError::Conflict(conflict),
        }
    }
}

/// What [`Package::key`] is made of.
fn place_of(key: &str) -> Option<(ComponentName, Version)> {
    let (name, version) = key.split_once('@')?;
    Some((name.parse().ok()?, version.parse().ok()?))
}

fn from_directory(
    request: &Request,
) -> Result<BTreeMap<(ComponentName, Version), Candidate>, PrepareError> {
    let mut candidates: BTreeMap<_, Candidate> = BTreeMap::new();
    let mut findings = Vec::new();
    let files = match &request.recipe_dir {
        Some(directory) => artifacts::recipes_in(request.source(directory))?,
        None => vec![],
    };
    for file in files {
        let recipe = match file.parsed {
            Ok(parsed) => parsed.recipe,
            Err(invalid) => {
                findings.extend(invalid.findings);
                continue;
            }
        };
        let (name, version) = (recipe.name.clone(), recipe.version.clone());
        let text = String::from_utf8_lossy(&file.text).into_owned();
        let candidate = Candidate { recipe, text, found: Found::Directory, stored: None };
        if let Some(first) = candidates.insert((name.clone(), version.clone()), candidate) {
            let (first, second) = (first.recipe.file, file.file);
            return Err(PrepareError::Twice { name, version, first, second });
        }
    }
    if !findings.is_empty() {
        return Err(Invalid { findings }.into());
    }
    Ok(candidates)
}

/// What the document's group asks for from now on, and what all groups together require.
fn roots(
    document: &Document,
    desired: &BTreeMap<ComponentName, Desired>,
    mut groups: BTreeMap<Group, GroupRow>,
) -> Result<(GroupRow, Vec<Requirement>), PrepareError> {
    let old = groups.remove(&document.group);
    let mut roots = old.as_ref().map(|row| row.roots.clone()).unwrap_or_default();
    match &document.change {
        Change::Delta { add, remove } => {
            for name in remove {
                if !desired.contains_key(name) {
                    return Err(PrepareError::NotDeployed(name.clone()));
                }
                roots.remove(name);
            }
            roots.extend(add.clone());
        }
        Change::Complete { components } => roots = components.clone(),
    }
    let is_delta = matches!(document.change, Change::Delta { .. });
    let group = match old {
        // A delta is no statement of the whole that a later one could be older than.
        Some(row) if row.roots == roots && (is_delta || row.created == document.created) => row,
        old => {
            let before = old.map_or(0, |row| row.created);
            let created = document.created.max(before);
            GroupRow { deployment: document.id.clone(), created, roots }
        }
    };
    groups.insert(document.group.clone(), group.clone());
    yield_to_others(&mut groups);
    let required = groups.into_iter().flat_map(|(group, row)| {
        let by = Requirer::Group(group.to_string());
        let require = move |(component, range)| Requirement { component, range, by: by.clone() };
        row.roots.into_iter().map(require)
    });
    Ok((group, required.collect()))
}

/// Whoever names a component of the image decides about its version: an image's range would stand in the way of every
/// update.
fn yield_to_others(groups: &mut BTreeMap<Group, GroupRow>) {
    let Some(mut image) = groups.remove(&Group::Image) else { return };
    image.roots.retain(|name, _| !groups.values().any(|row| row.roots.contains_key(name)));
    groups.insert(Group::Image, image);
}
