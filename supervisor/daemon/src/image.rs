//! Components and configuration that are baked into the operating system's image.
//!
//! ```text
//! /usr/lib/hedgerow/deployment.json          the components' versions and configurations; a deployment document
//! /usr/lib/hedgerow/components/recipes/…
//! /usr/lib/hedgerow/components/artifacts/<component>/<version>/<file>
//! ```
//!
//! Without the document every component of the recipes runs, in its newest version. The first daemon that sees an
//! image, or an image that is not the one it saw last, deploys it for the group `image`; artifacts stay where they
//! are. Nobody is there to say what to do with a failure, so there is no rollback to nothing. Recipes that the document
//! does not name are there for every later deployment that needs them, as the runtimes of functions are.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hedgerow_component::artifacts::{Source, UnreadableDirectory, recipes_in};
use hedgerow_component::recipe::Invalid;
use hedgerow_component::{ComponentName, Version, VersionReq};
use sha2::{Digest, Sha256};

use crate::deployment::{
    Change, DeploymentId, DeploymentStatus, DeploymentView, Deployments, DetailedStatus, Document,
    FailurePolicy, Group, InvalidDocument, Request, UpdateAction, hex, now,
};
use crate::driver::Surroundings;
use crate::layout::Image;
use crate::records::RecordsError;

/// The running system's identity: artifacts are told apart by size and time only, and it changes with each image.
const OS_RELEASE: &str = "/etc/os-release";

#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{}: {source}", path.display())]
    Document { path: PathBuf, source: InvalidDocument },
    #[error(transparent)]
    Recipes(#[from] UnreadableDirectory),
    #[error(transparent)]
    Recipe(#[from] Invalid),
    #[error(transparent)]
    Records(#[from] RecordsError),
    #[error("{0}")]
    Refused(#[from] hedgerow_api::Error),
}

/// Deploys the image where it is not the one that was deployed last, and remembers it once that has ended.
pub async fn adopt(around: Arc<Surroundings>, deployments: Deployments) {
    if let Err(error) = try_adopt(&around, &deployments).await {
        tracing::error!("what the image brings along cannot be deployed: {error}");
    }
}

async fn try_adopt(
    around: &Arc<Surroundings>,
    deployments: &Deployments,
) -> Result<(), ImageError> {
    let image = around.layout.image.clone();
    let seen = around.records.image()?;
    let found = tokio::task::spawn_blocking(move || changed(&image, seen.as_deref())).await;
    let Some((fingerprint, request)) = found.unwrap_or(Ok(None))? else { return Ok(()) };
    let id = deployments.submit(request)?;
    let ended = ended(deployments, &id).await;
    // What changed nothing, for want of room say, is tried again at the next start.
    let is_there = ended.is_none_or(|view| {
        view.status != DeploymentStatus::Canceled
            && view.detailed != Some(DetailedStatus::FailedNoStateChange)
    });
    if is_there {
        around.records.set_image(&fingerprint)?;
    }
    Ok(())
}

async fn ended(deployments: &Deployments, id: &DeploymentId) -> Option<DeploymentView> {
    let mut changes = deployments.watch();
    loop {
        changes.mark_unchanged();
        let view = deployments.status(id)?;
        if view.status.is_final() {
            return Some(view);
        }
        changes.changed().await.ok()?;
    }
}

/// What is to be deployed, where the image is not the `seen` one; its name beside.
fn changed(image: &Image, seen: Option<&str>) -> Result<Option<(String, Request)>, ImageError> {
    if !image.recipes().is_dir() {
        return Ok(None);
    }
    let fingerprint = fingerprint(image)?;
    if seen == Some(&fingerprint) {
        return Ok(None);
    }
    let recipes = open(&image.recipes())?;
    let artifact_dir = match image.artifacts() {
        path if path.is_dir() => Some(open(&path)?.into()),
        _ => None,
    };
    let document = document(image, &recipes)?;
    let request =
        Request { document, recipe_dir: Some(recipes.into()), artifact_dir, public_only: true };
    Ok(Some((fingerprint, request)))
}

fn document(image: &Image, recipes: &File) -> Result<Document, ImageError> {
    let path = image.document();
    let mut document = match fs::read_to_string(&path) {
        Ok(text) => {
            Document::parse(&text).map_err(|source| ImageError::Document { path, source })?
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Document::of(Group::Image, Change::Complete { components: newest(recipes)? })
        }
        Err(source) => return Err(ImageError::File { path, source }),
    };
    // An image does not compete with the one before it: an older one, or one whose document has the same id, counts.
    (document.id, document.created) = (DeploymentId::made(), now());
    document.group = Group::Image;
    document.failure_policy = FailurePolicy::DoNothing;
    document.update_policy.action = UpdateAction::SkipNotify;
    Ok(document)
}

fn newest(recipes: &File) -> Result<BTreeMap<ComponentName, VersionReq>, ImageError> {
    let source = Source { directory: recipes.as_fd(), public_only: true };
    let mut newest: BTreeMap<ComponentName, Version> = BTreeMap::new();
    for file in recipes_in(source)? {
        let recipe = file.parsed?.recipe;
        let version = newest.entry(recipe.name).or_insert_with(|| recipe.version.clone());
        *version = recipe.version.max(version.clone());
    }
    let exactly = |(name, version): (_, Version)| (name, VersionReq::exactly(&version));
    Ok(newest.into_iter().map(exactly).collect())
}

/// Changes with the image. Artifacts may be large, and this is read at every start: of them only names, sizes, modes
/// and times count.
fn fingerprint(image: &Image) -> Result<String, ImageError> {
    let mut hasher = Sha256::new();
    let mut add = |part: &[u8]| {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    };
    for path in [Path::new(OS_RELEASE), &image.document()] {
        add(&fs::read(path).unwrap_or_default());
    }
    for path in files(&image.recipes())? {
        add(path.as_os_str().as_encoded_bytes());
        add(&fs::read(&path).map_err(|source| ImageError::File { path, source })?);
    }
    for path in files(&image.artifacts())? {
        add(path.as_os_str().as_encoded_bytes());
        let found = fs::metadata(&path).map_err(|source| ImageError::File { path, source })?;
        let (size, mode, time) = (found.size(), found.mode(), found.mtime());
        add(format!("{size} {mode:o} {time}").as_bytes());
    }
    Ok(hex(&hasher.finalize()))
}

/// All regular files below, in the order of their names. No symbolic link is followed.
fn files(directory: &Path) -> Result<Vec<PathBuf>, ImageError> {
    let mut open = vec![directory.to_owned()];
    let mut files = Vec::new();
    while let Some(directory) = open.pop() {
        let fault = |source| ImageError::File { path: directory.clone(), source };
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries.map_err(fault)?,
        };
        for entry in entries {
            let entry = entry.map_err(fault)?;
            let kind = entry.file_type().map_err(fault)?;
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(files)
}

fn open(path: &Path) -> Result<File, ImageError> {
    File::open(path).map_err(|source| ImageError::File { path: path.to_owned(), source })
}
