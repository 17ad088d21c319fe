//! Everything about a deployment that can fail before anything is decided: reading recipes, resolving,
//! copying artifacts. What fails here leaves the device as it was.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};

use hedgerow_component::artifacts::{self, Source, UnreadableDirectory};
use hedgerow_component::configuration::Configuration;
use hedgerow_component::platform::Platform;
use hedgerow_component::recipe::Invalid;
use hedgerow_component::resolve::{Conflict, Requirement, Requirer};
use hedgerow_component::{ComponentName, Recipe, Version, VersionReq, resolve};
use hedgerow_isolation::plan::IdRange;

use super::define::{DefineError, Ingredients, define};
use crate::packages::{PackageError, Packages};
use crate::records::{Desired, Package, Records, RecordsError};
use crate::settings::Settings;

/// What was asked for.
#[derive(Debug)]
pub struct Request {
    pub recipe_dir: Option<OwnedFd>,
    pub artifact_dir: Option<OwnedFd>,
    /// The daemon opened the directories, not the caller: only what every user may read is read.
    pub public_only: bool,
    pub add: BTreeMap<ComponentName, VersionReq>,
    pub remove: BTreeSet<ComponentName>,
}

impl Request {
    fn source<'a>(&self, directory: &'a OwnedFd) -> Source<'a> {
        Source { directory: directory.as_fd(), public_only: self.public_only }
    }
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
    #[error("{}", list(.0))]
    NotProvided(Vec<hedgerow_component::Finding>),
    #[error(transparent)]
    Package(#[from] PackageError),
    #[error(transparent)]
    Define(#[from] DefineError),
    #[error(transparent)]
    Records(#[from] RecordsError),
}

fn list(findings: &[hedgerow_component::Finding]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// A recipe that may be chosen, and where it is from.
struct Candidate {
    recipe: Recipe,
    text: String,
    /// Set where its artifacts are in the store already.
    stored: Option<Package>,
}

/// Blocks on files; to be called where that is allowed.
pub fn prepare(
    request: &Request,
    records: &Records,
    packages: &Packages,
    platform: &Platform,
    settings: &Settings,
    progress: &dyn Fn(u32, String),
) -> Result<Prepared, PrepareError> {
    progress(5, "reading recipes".to_owned());
    let desired = records.desired()?;
    let candidates = candidates(request, records)?;
    let roots = roots(request, &desired)?;
    let requirer = Requirer::Group("LOCAL_DEPLOYMENTS".to_owned());
    let running: BTreeMap<_, _> =
        desired.iter().map(|(name, row)| (name.clone(), row.version.clone())).collect();
    let available = |name: &ComponentName| -> Vec<&Recipe> {
        candidates.values().map(|c| &c.recipe).filter(|recipe| recipe.name == *name).collect()
    };
    let required: Vec<_> = roots
        .into_iter()
        .map(|(component, range)| Requirement { component, range, by: requirer.clone() })
        .collect();
    let resolution = resolve(&required, &available, &running, platform)
        .map_err(|conflict| PrepareError::Conflict(Box::new(conflict)))?;

    let total = resolution.components.len().max(1);
    let mut components = BTreeMap::new();
    for (index, resolved) in resolution.components.iter().enumerate() {
        let recipe = resolved.recipe;
        if !resolved.manifest.refusals.is_empty() {
            return Err(PrepareError::NotProvided(resolved.manifest.refusals.clone()));
        }
        let percent = 10 + u32::try_from(40 * index / total).unwrap_or(40);
        progress(percent, format!("copying the artifacts of {}", recipe.name));
        let Some(candidate) = candidates.get(&(recipe.name.clone(), recipe.version.clone())) else {
            continue;
        };
        let package = match &candidate.stored {
            Some(package) => package.clone(),
            None => {
                let artifacts = request.artifact_dir.as_ref().map(|dir| request.source(dir));
                packages.import(artifacts, recipe, &candidate.text, resolved.manifest)?
            }
        };
        let before = records.configuration_of(&recipe.name)?;
        let mut after = before.clone();
        after.fill(&recipe.default_configuration, &recipe.version);
        let chosen = Chosen { package, root: resolved.root, before, after };
        components.insert(recipe.name.clone(), chosen);
    }
    let removed = desired.keys().filter(|name| !components.contains_key(*name)).cloned().collect();
    let prepared = Prepared { components, removed };
    check(&prepared, platform, settings)?;
    Ok(prepared)
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
        let candidate = Candidate { recipe, text, stored: None };
        if let Some(first) = candidates.insert((name.clone(), version.clone()), candidate) {
            let (first, second) = (first.recipe.file, file.file);
            return Err(PrepareError::Twice { name, version, first, second });
        }
    }
    if !findings.is_empty() {
        return Err(Invalid { findings }.into());
    }
    for package in records.packages()? {
        let recipe = package.parse()?;
        candidates.entry((recipe.name.clone(), recipe.version.clone())).or_insert_with(|| {
            Candidate { recipe, text: package.recipe.clone(), stored: Some(package) }
        });
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
    for name in &request.remove {
        if !desired.contains_key(name) {
            return Err(PrepareError::NotDeployed(name.clone()));
        }
        roots.remove(name);
    }
    roots.extend(request.add.clone());
    Ok(roots)
}

/// What would only fail after the commit fails here.
fn check(
    prepared: &Prepared,
    platform: &Platform,
    settings: &Settings,
) -> Result<(), PrepareError> {
    let mut all = BTreeMap::new();
    for (name, chosen) in &prepared.components {
        let ingredients = Ingredients {
            recipe: chosen.package.parse()?,
            package: String::new(),
            // Ids are allocated by the commit; nothing here depends on which.
            slot: 0,
            ids: IdRange { first: 0 },
            configuration: chosen.after.value(),
        };
        all.insert(name.clone(), ingredients);
    }
    for name in prepared.components.keys() {
        define(name, &all, platform, settings)?;
    }
    Ok(())
}
