//! Recipes and artifacts that a case writes for itself.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::hedgerow::Source;

/// A recipe directory and an artifact directory, both empty at first.
#[derive(Debug)]
pub struct Draft {
    directory: TempDir,
}

impl Draft {
    pub fn new() -> Result<Draft> {
        let directory = tempfile::Builder::new().prefix("draft-").tempdir()?;
        for path in ["", "recipes", "artifacts"].map(|name| directory.path().join(name)) {
            fs::create_dir_all(&path)?;
            // The daemon, which is another user, reads what the command line opened.
            fs::set_permissions(&path, Permissions::from_mode(0o755))?;
        }
        Ok(Draft { directory })
    }

    pub fn source(&self) -> Source {
        Source { recipes: self.recipes(), artifacts: Some(self.artifacts()) }
    }

    pub fn recipes(&self) -> PathBuf {
        self.directory.path().join("recipes")
    }

    pub fn artifacts(&self) -> PathBuf {
        self.directory.path().join("artifacts")
    }

    /// Writes a recipe file as it is.
    pub fn recipe(&self, file: &str, text: impl AsRef<[u8]>) -> Result<&Self> {
        write(&self.recipes().join(file), text.as_ref())?;
        Ok(self)
    }

    /// Writes `<name>-<version>.yaml`: `more` are lines at the top level, `lifecycle` those of the only manifest.
    pub fn component(
        &self,
        name: &str,
        version: &str,
        more: &str,
        lifecycle: &str,
    ) -> Result<&Self> {
        let lifecycle: String =
            lifecycle.trim().lines().map(|line| format!("      {line}\n")).collect();
        let text = format!(
            "RecipeFormatVersion: \"2020-01-25\"\nComponentName: {name}\nComponentVersion: \"{version}\"\n{}\n\
             Manifests:\n  - Platform:\n      os: linux\n    Lifecycle:\n{lifecycle}",
            more.trim(),
        );
        self.recipe(&format!("{name}-{version}.yaml"), text)
    }

    /// Writes an artifact where `hedgerow deploy` looks for it; its path.
    pub fn artifact(
        &self,
        name: &str,
        version: &str,
        file: &str,
        bytes: impl AsRef<[u8]>,
    ) -> Result<PathBuf> {
        let path = self.artifacts().join(name).join(version).join(file);
        write(&path, bytes.as_ref())?;
        Ok(path)
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(path, bytes).with_context(|| path.display().to_string())
}
