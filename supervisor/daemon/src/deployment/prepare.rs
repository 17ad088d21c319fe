//! Everything about a deployment that can fail before anything is decided: reading recipes, resolving,
//! copying artifacts. What fails here leaves the device as it was.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};

use hedgerow_component::artifacts::{Source, UnreadableDirectory};
use hedgerow_component::configuration::{Configuration, NotAMap};
use hedgerow_component::platform::Platform;
use hedgerow_component::recipe::{ComponentType, Invalid};
use hedgerow_component::resolve::Conflict;
use hedgerow_component::{ComponentName, Version};
use hedgerow_isolation::plan::IdRange;
use hedgerow_store::Ids;

use super::define::{DefineError, Ingredients, define};
use super::document::{Document, Group, InvalidRunWith, RunWith};
use super::select::{Found, Selected, Selection};
use crate::definition::Definition;
use crate::packages::{Package, PackageError, Packages, Place, Wanted, Watch};
use crate::records::{GroupRow, Records, RecordsError};
use crate::settings::Settings;

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
    pub fn source<'a>(&self, directory: &'a OwnedFd) -> Source<'a> {
        Source { directory: directory.as_fd(), public_only: self.public_only }
    }
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
        "{conflict}. The stored recipe of {package} is not valid to this version; deploy it with another, or remove it: {source}"
    )]
    Unreadable { package: String, source: Invalid, conflict: Box<Conflict> },
    #[error("{component} is of the type {from} and cannot become {to}; remove it first")]
    TypeChange { component: ComponentName, from: ComponentType, to: ComponentType },
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

/// Brings the artifacts of what was selected into the store. Blocks on files.
pub fn bring(
    request: &Request,
    selection: Selection,
    packages: &Packages,
    watch: Watch<'_>,
) -> Result<Prepared, PrepareError> {
    let wanted = wanted(request, &selection)?;
    let packages = packages.of_size(selection.nucleus.store_size);
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

/// Notes in the selection what [`bring`] would bring, without bringing it. Returns the bytes of artifacts that are not
/// in the store yet. Reads and checks all of them.
pub fn examine(
    request: &Request,
    selection: &mut Selection,
    packages: &Packages,
) -> Result<u64, PrepareError> {
    let wanted = wanted(request, selection)?;
    let (found, bytes) = packages.foresee(&wanted)?;
    let names: Vec<_> = wanted.iter().map(|wanted| wanted.recipe.name.clone()).collect();
    for (name, package) in names.into_iter().zip(found) {
        if let Some(selected) = selection.components.get_mut(&name) {
            selected.candidate.stored = Some(package);
        }
    }
    Ok(bytes)
}

/// What of the selection is not known to be in the store.
fn wanted<'a>(
    request: &'a Request,
    selection: &'a Selection,
) -> Result<Vec<Wanted<'a>>, PrepareError> {
    let given = request.artifact_dir.as_ref().map(|directory| request.source(directory));
    let image = selection.image_artifacts.as_ref();
    let image = image.map(|image| Source { directory: image.as_fd(), public_only: true });
    let mut wanted = Vec::new();
    for (name, Selected { candidate, .. }) in &selection.components {
        // With the same recipe again there may be other artifacts.
        let may_differ = candidate.found == Found::Directory && given.is_some();
        let recipe = &candidate.recipe;
        let artifacts = |platform| recipe.manifest_for(platform).ok().map(|found| &found.artifacts);
        // Of another manifest there may be others.
        let is_same = artifacts(&selection.platform_before) == artifacts(&selection.platform);
        if candidate.stored.is_some() && !may_differ && is_same {
            continue;
        }
        let manifest = recipe.manifest_for(&selection.platform).map_err(|mismatches| {
            DefineError::Platform { component: name.to_string(), mismatches }
        })?;
        let (text, artifacts) = (&candidate.text, &manifest.artifacts);
        let (directory, in_image) = match candidate.found {
            Found::Image => (image, true),
            Found::Directory | Found::Store => (given, request.document.group == Group::Image),
        };
        wanted.push(Wanted { recipe, text, artifacts, directory, in_image });
    }
    Ok(wanted)
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
        let (version, recipe) = (recipe.version.clone(), Ok(recipe));
        let (configuration, run_with) = (selected.after.value(), selected.run_with.clone());
        // Ids that are not there yet are allocated by the commit.
        let ids = records.ids_of(name)?;
        let slot = ids.map_or(0, Ids::slot);
        let ids = IdRange { first: ids.map_or(0, |ids| ids.first) };
        let place = stored.map_or(Place::Store, |package| package.place);
        let name = name.clone();
        let ingredients = Ingredients {
            name: name.clone(),
            version,
            recipe,
            package,
            place,
            slot,
            ids,
            configuration,
            run_with,
        };
        all.insert(name, ingredients);
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
    define_all(&ingredients(prepared, records)?, platform, settings)
}

/// What those definitions are made from.
pub fn ingredients(
    prepared: &Prepared,
    records: &Records,
) -> Result<BTreeMap<ComponentName, Ingredients>, PrepareError> {
    let mut all = BTreeMap::new();
    for (name, chosen) in &prepared.components {
        let ids = records.ids_of(name)?;
        let recipe = chosen.package.parse()?;
        let ingredients = Ingredients {
            name: name.clone(),
            version: recipe.version.clone(),
            recipe: Ok(recipe),
            package: chosen.package.directory(),
            place: chosen.package.place,
            slot: ids.map_or(0, Ids::slot),
            ids: IdRange { first: ids.map_or(0, |ids| ids.first) },
            configuration: chosen.after.value(),
            run_with: chosen.run_with.clone(),
        };
        all.insert(name.clone(), ingredients);
    }
    Ok(all)
}

fn define_all(
    all: &BTreeMap<ComponentName, Ingredients>,
    platform: &Platform,
    settings: &Settings,
) -> Result<BTreeMap<ComponentName, Definition>, PrepareError> {
    let define = |name: &ComponentName| Ok((name.clone(), define(name, all, platform, settings)?));
    all.keys().map(define).collect()
}
