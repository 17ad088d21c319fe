//! Everything about a deployment that can fail before anything is decided: reading recipes, resolving,
//! copying artifacts. What fails here leaves the device as it was.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};

use hedgerow_component::artifacts::{self, Source, UnreadableDirectory};
use hedgerow_component::configuration::{Configuration, NotAMap, Origin};
use hedgerow_component::platform::Platform;
use hedgerow_component::recipe::Invalid;
use hedgerow_component::resolve::{Conflict, Requirement, Requirer};
use hedgerow_component::{ComponentName, Recipe, Version, VersionReq, resolve};
use hedgerow_isolation::plan::IdRange;
use serde_json::Value;

use super::define::{DefineError, Ingredients, define};
use super::document::{Change, Document, Group};
use crate::definition::Definition;
use crate::packages::{Package, PackageError, Packages, Place, Wanted, builtin_package};
use crate::records::{Desired, Records, RecordsError};
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
    fn source<'a>(&self, directory: &'a OwnedFd) -> Source<'a> {
        Source { directory: directory.as_fd(), public_only: self.public_only }
    }
}

/// What it comes to, before anything is brought into the store.
#[derive(Debug)]
pub struct Selection {
    pub components: BTreeMap<ComponentName, Selected>,
    pub removed: Vec<ComponentName>,
}

#[derive(Debug)]
pub struct Selected {
    pub candidate: Candidate,
    pub root: bool,
    pub before: Configuration,
    pub after: Configuration,
}

/// What it comes to, ready to be committed in one transaction.
#[derive(Debug)]
pub struct Prepared {
    pub components: BTreeMap<ComponentName, Chosen>,
    pub removed: Vec<ComponentName>,
}

#[derive(Debug)]
pub struct Chosen {
    pub package: Package,
    pub root: bool,
    pub before: Configuration,
    pub after: Configuration,
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
    let desired = records.desired()?;
    let mut candidates = candidates(request, records)?;
    let roots = roots(request, &desired)?;
    let by = Requirer::Group(request.document.group.to_string());
    let required: Vec<_> = roots
        .into_iter()
        .map(|(component, range)| Requirement { component, range, by: by.clone() })
        .collect();
    let running: BTreeMap<_, _> =
        desired.iter().map(|(name, row)| (name.clone(), row.version.clone())).collect();
    let mut chosen: Vec<(ComponentName, Version, bool)>;
    let builtins = {
        let available = |name: &ComponentName| -> Vec<&Recipe> {
            candidates.values().map(|c| &c.recipe).filter(|recipe| recipe.name == *name).collect()
        };
        let resolution = resolve(&required, &available, &running, platform)
            .map_err(|conflict| PrepareError::Conflict(Box::new(conflict)))?;
        let key = |resolved: &resolve::Resolved<'_>| {
            (resolved.recipe.name.clone(), resolved.recipe.version.clone(), resolved.root)
        };
        chosen = resolution.components.iter().map(key).collect();
        resolution.builtins
    };
    for resolve::ResolvedBuiltin { builtin, version, root } in builtins {
        let candidate = Candidate::stored(builtin_package(builtin, &version))?;
        let key = (candidate.recipe.name.clone(), version);
        chosen.push((key.0.clone(), key.1.clone(), root));
        candidates.insert(key, candidate);
    }
    let mut components = BTreeMap::new();
    for (name, version, root) in chosen {
        let Some(candidate) = candidates.remove(&(name.clone(), version)) else { continue };
        let before = records.configuration_of(&name)?;
        let mut after = before.clone();
        configure(&request.document, &candidate.recipe, &mut after)?;
        components.insert(name, Selected { candidate, root, before, after });
    }
    let removed = desired.keys().filter(|name| !components.contains_key(*name)).cloned().collect();
    Ok(Selection { components, removed })
}

/// Reset, then the recipe's defaults, then merge: in Greengrass's order. A refused reset does not stop it.
fn configure(
    document: &Document,
    recipe: &Recipe,
    configuration: &mut Configuration,
) -> Result<(), PrepareError> {
    let is_root = document.named().contains_key(&recipe.name);
    let update = document.configuration.get(&recipe.name).filter(|_| is_root);
    for pointer in update.iter().flat_map(|update| &update.reset) {
        if let Err(refused) = configuration.reset(pointer) {
            tracing::warn!(component = recipe.name.as_str(), "reset: {refused}");
        }
    }
    configuration.fill(&recipe.default_configuration, &recipe.version);
    if let Some(map) = update.and_then(|update| update.merge.as_ref()) {
        let origin = match document.group {
            Group::Image => Origin::Image,
            Group::Local | Group::Thing(_) | Group::ThingGroup(_) => {
                Origin::Deployment { id: document.id.to_string() }
            }
        };
        let whole: [&str; 0] = [];
        configuration
            .merge(&whole, &Value::Object(map.clone()), document.created, &origin)
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
    progress: &dyn Fn(u32, String),
) -> Result<Prepared, PrepareError> {
    let wanted = wanted(request, &selection, platform)?;
    let imported = packages.import(&wanted, &|percent| {
        progress(10 + percent * 2 / 5, "copying artifacts".to_owned());
        ControlFlow::Continue(())
    })?;
    let names = wanted.iter().map(|wanted| wanted.recipe.name.clone());
    let mut imported: BTreeMap<_, _> = names.zip(imported).collect();
    let mut components = BTreeMap::new();
    for (name, selected) in selection.components {
        let Selected { candidate, root, before, after } = selected;
        if let Some(package) = imported.remove(&name).or(candidate.stored) {
            components.insert(name, Chosen { package, root, before, after });
        }
    }
    Ok(Prepared { components, removed: selection.removed })
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
        wanted.push(Wanted { recipe, text, artifacts, directory });
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

fn roots(
    request: &Request,
    desired: &BTreeMap<ComponentName, Desired>,
) -> Result<BTreeMap<ComponentName, VersionReq>, PrepareError> {
    let mut roots: BTreeMap<_, _> = desired
        .iter()
        .filter(|(_, row)| row.root)
        .map(|(name, row)| (name.clone(), VersionReq::exactly(&row.version)))
        .collect();
    match &request.document.change {
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
    Ok(roots)
}

/// What would only fail after the commit fails here: the definitions of everything selected. Packages that are not
/// in the store yet have no name in them.
pub fn definitions(
    selection: &Selection,
    platform: &Platform,
    settings: &Settings,
) -> Result<BTreeMap<ComponentName, Definition>, PrepareError> {
    let mut all = BTreeMap::new();
    for (name, selected) in &selection.components {
        let stored = selected.candidate.stored.as_ref();
        let ingredients = Ingredients {
            recipe: selected.candidate.recipe.clone(),
            package: stored.map(Package::directory).unwrap_or_default(),
            place: stored.map_or(Place::Store, |package| package.place),
            // Ids are allocated by the commit; nothing here depends on which.
            slot: 0,
            ids: IdRange { first: 0 },
            configuration: selected.after.value(),
        };
        all.insert(name.clone(), ingredients);
    }
    let define = |name: &ComponentName| {
        let definition = define(name, &all, platform, settings)?;
        Ok((name.clone(), definition))
    };
    selection.components.keys().map(define).collect()
}
