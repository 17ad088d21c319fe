//! Everything about a deployment that can fail before anything is decided: reading recipes, resolving,
//! copying artifacts. What fails here leaves the device as it was.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};

use hedgerow_component::artifacts::{self, Source, UnreadableDirectory};
use hedgerow_component::configuration::{Configuration, NotAMap, Origin};
use hedgerow_component::platform::Platform;
use hedgerow_component::recipe::Invalid;
use hedgerow_component::resolve::{Conflict, Requirement, Requirer};
use hedgerow_component::{ComponentName, Recipe, Version, resolve};
use hedgerow_isolation::plan::IdRange;
use hedgerow_store::Ids;
use serde_json::Value;

use super::define::{DefineError, Ingredients, define};
use super::document::{Change, Document, Group, InvalidRunWith, RunWith};
use crate::definition::Definition;
use crate::lifecycle::Goal;
use crate::packages::{Package, PackageError, Packages, Place, Wanted, Watch, builtin_package};
use crate::records::{Desired, GroupRow, Records, RecordsError};
use crate::settings::Settings;

/// When an image's values are from: after every recipe's defaults, before everything that anybody said to the device.
const IMAGE_TIME: i64 = 2;

/// What was asked for, and where recipes and artifacts are.
#[derive(Debug)]
pub struct Request {
    pub document: Document,
    pub recipe_dir: Option<OwnedFd>,
    pub artifact_dir: Option<OwnedFd>,
    /// The daemon opened the directories, not the caller: only what every user may read is read.
    pub public_only: bool,
}

impl Request {
    fn source<'a>(&self, directory: &'a OwnedFd) -> Source<'a> {
        Source { directory: directory.as_fd(), public_only: self.public_only }
    }
}

/// What it comes to, before anything is brought into the store.
#[derive(Debug)]
pub struct Selection {
    pub components: BTreeMap<ComponentName, Selected>,
    /// Their names, each after those it depends on.
    pub order: Vec<ComponentName>,
    pub removed: BTreeSet<ComponentName>,
    pub group: GroupRow,
}

#[derive(Debug)]
pub struct Selected {
    pub candidate: Candidate,
    pub before: Configuration,
    pub after: Configuration,
    pub run_with: RunWith,
}

/// What it comes to, ready to be committed in one transaction.
#[derive(Debug)]
pub struct Prepared {
    pub components: BTreeMap<ComponentName, Chosen>,
    pub order: Vec<ComponentName>,
    pub removed: BTreeSet<ComponentName>,
    /// What the group asks for from now on.
    pub group: GroupRow,
}

#[derive(Debug)]
pub struct Chosen {
    pub package: Package,
    pub before: Configuration,
    pub after: Configuration,
    pub run_with: RunWith,
}

/// A recipe that may be chosen.
#[derive(Debug)]
pub struct Candidate {
    pub recipe: Recipe,
    text: String,
    is_from_directory: bool,
    /// What the store has of the same text.
    pub stored: Option<Package>,
}

impl Candidate {
    fn stored(package: Package) -> Result<Self, Invalid> {
        let (recipe, text) = (package.parse()?, package.recipe.clone());
        Ok(Self { recipe, text, is_from_directory: false, stored: Some(package) })
    }
}

#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    #[error(transparent)]
    Directory(#[from] UnreadableDirectory),
    #[error("{0}")]
    Recipe(#[from] Invalid),
    #[error("two recipes of {name} {version}: {first} and {second}; keep one")]
    Twice { name: ComponentName, version: Version, first: String, second: String },
    #[error("{0} is not deployed, so it cannot be removed")]
    NotDeployed(ComponentName),
    #[error(transparent)]
    Conflict(Box<Conflict>),
    #[error(
        "the document updates {0}, which is neither deployed nor added; add it, or leave its update out"
    )]
    UpdateOfNothing(ComponentName),
    #[error("{component}: {source}")]
    RunWith { component: ComponentName, source: InvalidRunWith },
    #[error("{component}: merge: {source}")]
    Merge { component: ComponentName, source: NotAMap },
    #[error(transparent)]
    Package(#[from] PackageError),
    #[error(transparent)]
    Define(#[from] DefineError),
    #[error(transparent)]
    Records(#[from] RecordsError),
}

/// Reads recipes, resolves versions and works out configurations. Blocks on files.
pub fn select(
    request: &Request,
    records: &Records,
    platform: &Platform,
) -> Result<Selection, PrepareError> {
    let document = &request.document;
    let desired = wanted_to_stay(records)?;
    let mut candidates = candidates(request, records)?;
    let (group, required) = roots(document, &desired, records.groups()?)?;
    let running: BTreeMap<_, _> =
        desired.iter().map(|(name, row)| (name.clone(), row.version.clone())).collect();
    let mut chosen: Vec<(ComponentName, Version)>;
    let builtins = {
        let available = |name: &ComponentName| -> Vec<&Recipe> {
            candidates.values().map(|c| &c.recipe).filter(|recipe| recipe.name == *name).collect()
        };
        let resolution = resolve(&required, &available, &running, platform)
            .map_err(|conflict| PrepareError::Conflict(Box::new(conflict)))?;
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
        candidates.insert(key, candidate);
    }
    let (mut components, mut order) = (BTreeMap::new(), Vec::new());
    for (name, version) in chosen {
        let Some(candidate) = candidates.remove(&(name.clone(), version)) else { continue };
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
    let removed = desired.into_keys().filter(|name| !components.contains_key(name)).collect();
    Ok(Selection { components, order, removed, group })
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

/// Reset, then the recipe's defaults, then merge: in Greengrass's order. A refused reset does not stop it.
fn configure(
    document: &Document,
    recipe: &Recipe,
    configuration: &mut Configuration,
) -> Result<(), PrepareError> {
    let update = document.configuration.get(&recipe.name);
    for pointer in update.iter().flat_map(|update| &update.reset) {
        if let Err(refused) = configuration.reset(pointer) {
            tracing::warn!(component = recipe.name.as_str(), "reset: {refused}");
        }
    }
    configuration.fill(&recipe.default_configuration, &recipe.version);
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
            .map_err(|source| PrepareError::Merge { component: recipe.name.clone(), source })?;
    }
    Ok(())
}

/// Brings the artifacts of what was selected into the store. Blocks on files.
pub fn bring(
    request: &Request,
    selection: Selection,
    packages: &Packages,
    platform: &Platform,
    watch: Watch<'_>,
) -> Result<Prepared, PrepareError> {
    let wanted = wanted(request, &selection, platform)?;
    let imported = packages.import(&wanted, watch)?;
    let names = wanted.iter().map(|wanted| wanted.recipe.name.clone());
    let mut imported: BTreeMap<_, _> = names.zip(imported).collect();
    let mut components = BTreeMap::new();
    for (name, selected) in selection.components {
        let Selected { candidate, before, after, run_with } = selected;
        if let Some(package) = imported.remove(&name).or(candidate.stored) {
            components.insert(name, Chosen { package, before, after, run_with });
        }
    }
    let Selection { order, removed, group, .. } = selection;
    Ok(Prepared { components, order, removed, group })
}

/// Bytes of artifacts that are not in the store yet. Reads and checks all of them.
pub fn bytes_to_copy(
    request: &Request,
    selection: &Selection,
    packages: &Packages,
    platform: &Platform,
) -> Result<u64, PrepareError> {
    Ok(packages.bytes_to_copy(&wanted(request, selection, platform)?)?)
}

/// What of the selection is not known to be in the store.
fn wanted<'a>(
    request: &'a Request,
    selection: &'a Selection,
    platform: &Platform,
) -> Result<Vec<Wanted<'a>>, PrepareError> {
    let directory = request.artifact_dir.as_ref().map(|directory| request.source(directory));
    let mut wanted = Vec::new();
    for (name, Selected { candidate, .. }) in &selection.components {
        // With the same recipe again there may be other artifacts.
        let may_differ = candidate.is_from_directory && directory.is_some();
        if candidate.stored.is_some() && !may_differ {
            continue;
        }
        let recipe = &candidate.recipe;
        let manifest = recipe.manifest_for(platform).map_err(|mismatches| {
            DefineError::Platform { component: name.to_string(), mismatches }
        })?;
        let (text, artifacts) = (&candidate.text, &manifest.artifacts);
        let in_image = request.document.group == Group::Image;
        wanted.push(Wanted { recipe, text, artifacts, directory, in_image });
    }
    Ok(wanted)
}

/// Recipes of the directory, and those in the store that the directory does not replace.
fn candidates(
    request: &Request,
    records: &Records,
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
        let candidate = Candidate { recipe, text, is_from_directory: true, stored: None };
        if let Some(first) = candidates.insert((name.clone(), version.clone()), candidate) {
            let (first, second) = (first.recipe.file, file.file);
            return Err(PrepareError::Twice { name, version, first, second });
        }
    }
    if !findings.is_empty() {
        return Err(Invalid { findings }.into());
    }
    for package in records.packages()? {
        // A built-in is a candidate in every version that it claims, not only in the one it was last.
        if package.place == Place::BuiltIn {
            continue;
        }
        let candidate = Candidate::stored(package)?;
        match candidates.entry((candidate.recipe.name.clone(), candidate.recipe.version.clone())) {
            Entry::Vacant(entry) => {
                entry.insert(candidate);
            }
            Entry::Occupied(mut entry) if entry.get().text == candidate.text => {
                entry.get_mut().stored = candidate.stored;
            }
            Entry::Occupied(_) => {}
        }
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

/// The definitions of everything selected, as far as they are known: packages that are not in the store yet have no
/// name in them. What would only fail after the commit fails here.
pub fn foresee(
    selection: &Selection,
    records: &Records,
    platform: &Platform,
    settings: &Settings,
) -> Result<BTreeMap<ComponentName, Definition>, PrepareError> {
    let mut all = BTreeMap::new();
    for (name, selected) in &selection.components {
        let stored = selected.candidate.stored.as_ref();
        let package = stored.map(Package::directory).unwrap_or_default();
        let recipe = selected.candidate.recipe.clone();
        let (configuration, run_with) = (selected.after.value(), selected.run_with.clone());
        // Ids that are not there yet are allocated by the commit.
        let ids = records.ids_of(name)?;
        let slot = ids.map_or(0, Ids::slot);
        let ids = IdRange { first: ids.map_or(0, |ids| ids.first) };
        let place = stored.map_or(Place::Store, |package| package.place);
        let ingredients =
            Ingredients { recipe, package, place, slot, ids, configuration, run_with };
        all.insert(name.clone(), ingredients);
    }
    define_all(&all, platform, settings)
}

/// The definitions that the commit will make desired.
pub fn definitions(
    prepared: &Prepared,
    records: &Records,
    platform: &Platform,
    settings: &Settings,
) -> Result<BTreeMap<ComponentName, Definition>, PrepareError> {
    let mut all = BTreeMap::new();
    for (name, chosen) in &prepared.components {
        let ids = records.ids_of(name)?;
        let ingredients = Ingredients {
            recipe: chosen.package.parse()?,
            package: chosen.package.directory(),
            place: chosen.package.place,
            slot: ids.map_or(0, Ids::slot),
            ids: IdRange { first: ids.map_or(0, |ids| ids.first) },
            configuration: chosen.after.value(),
            run_with: chosen.run_with.clone(),
        };
        all.insert(name.clone(), ingredients);
    }
    define_all(&all, platform, settings)
}

fn define_all(
    all: &BTreeMap<ComponentName, Ingredients>,
    platform: &Platform,
    settings: &Settings,
) -> Result<BTreeMap<ComponentName, Definition>, PrepareError> {
    let define = |name: &ComponentName| Ok((name.clone(), define(name, all, platform, settings)?));
    all.keys().map(define).collect()
}
