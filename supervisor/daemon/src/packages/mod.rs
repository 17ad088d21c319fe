//! Artifacts of component versions: brought in, kept while something refers to them, removed.

mod error;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hedgerow_component::Recipe;
use hedgerow_component::artifacts::{self, Destination, Limits, Source};
use hedgerow_component::recipe::Manifest;
use sha2::{Digest, Sha256};

pub use error::PackageError;

use crate::deployment::hex;
use crate::records::Package;

/// The directory that holds a directory for each package, named by its content.
#[derive(Debug, Clone)]
pub struct Packages {
    directory: PathBuf,
}

impl Packages {
    pub fn at(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Copies a version's artifacts into a new directory, which gets the name of its content when all is there.
    /// Blocks on files; one at a time. `text` is the recipe's.
    pub fn import(
        &self,
        artifacts: Option<Source<'_>>,
        recipe: &Recipe,
        text: &str,
        manifest: &Manifest,
    ) -> Result<Package, PackageError> {
        let staging = self.directory.join(".new");
        remove_tree(&staging).map_err(disk(&staging))?;
        let destination = Destination {
            artifacts: &staging.join("artifacts"),
            unarchived: &staging.join("unarchived"),
        };
        for directory in [destination.artifacts, destination.unarchived] {
            fs::create_dir_all(directory).map_err(disk(directory))?;
        }
        let mut content = Sha256::new();
        content.update(recipe.name.as_str());
        content.update(text);
        for artifact in &manifest.artifacts {
            let (name, version) = (&recipe.name, &recipe.version);
            let source = artifacts
                .ok_or_else(|| PackageError::NoArtifactDirectory { component: name.clone() })?;
            let limits = Limits::default();
            let imported = artifacts::import(source, name, version, artifact, destination, &limits);
            let imported = imported.map_err(|source| PackageError::Artifact {
                component: name.clone(),
                source: Box::new(source),
            })?;
            content.update(imported.sha256);
        }
        let id = hex(&content.finalize()).chars().take(24).collect::<String>();
        let directory = self.directory.join(&id);
        if directory.exists() {
            remove_tree(&staging).map_err(disk(&staging))?;
        } else {
            sync(&staging).map_err(disk(&staging))?;
            fs::rename(&staging, &directory).map_err(disk(&directory))?;
            sync(&self.directory).map_err(disk(&self.directory))?;
        }
        Ok(Package { id, file: recipe.file.clone(), recipe: text.to_owned() })
    }

    /// Removes packages that nothing refers to: those of failed deployments, and of replaced versions.
    pub fn collect(&self, kept: &BTreeSet<String>) -> io::Result<()> {
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let is_kept = entry.file_name().to_str().is_some_and(|name| kept.contains(name));
            if !is_kept {
                remove_tree(&entry.path())?;
            }
        }
        Ok(())
    }
}

fn disk(path: &Path) -> impl Fn(io::Error) -> PackageError {
    let path = path.to_owned();
    move |source| PackageError::Disk { path: path.clone(), source }
}

fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync(directory: &Path) -> io::Result<()> {
    fs::File::open(directory)?.sync_all()
}
