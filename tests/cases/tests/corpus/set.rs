//! The set as files: `tests/corpus`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use hedgerow_harness::{Draft, Source, examples};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub struct Set {
    pub component: Vec<Entry>,
}

/// One component and what is expected of it.
#[derive(Debug, Deserialize)]
pub struct Entry {
    pub name: String,
    /// Its state when all is well.
    pub ends: String,
    /// A line of its log then holds this.
    pub says: Option<String>,
    /// The kind of grant without which it fails.
    pub grant: Option<String>,
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus")
}

impl Set {
    pub fn read() -> Result<Set> {
        let set: Set = toml::from_str(&fs::read_to_string(directory().join("set.toml"))?)?;
        let folders = fs::read_dir(directory())?.filter_map(|entry| {
            let entry = entry.ok()?;
            entry.path().is_dir().then(|| entry.file_name().to_string_lossy().into_owned())
        });
        let mut found: Vec<String> = folders.collect();
        found.sort();
        let listed: Vec<&str> = set.component.iter().map(|entry| entry.name.as_str()).collect();
        ensure!(listed == found, "set.toml lists {listed:?}, and there is {found:?}");
        Ok(set)
    }

    pub fn without_grant(&self) -> impl Iterator<Item = &Entry> {
        self.component.iter().filter(|entry| entry.grant.is_none())
    }
}

/// What the set finds in the world: see `tests/corpus/world.py`.
pub fn make_world(out: &Path) -> Result<()> {
    let script = directory().join("world.py");
    let status = Command::new("/usr/bin/python3").arg(script).arg(out).status()?;
    ensure!(status.success(), "world.py ended with {status}");
    Ok(())
}

/// The whole set in one version, as a person has it on disk.
pub fn lay_out(draft: &Draft, set: &Set, world: &Path, version: &str) -> Result<()> {
    for Entry { name, .. } in &set.component {
        let folder = directory().join(name);
        for file in ["recipe.yaml", "recipe.json"].map(|file| folder.join(file)) {
            let Ok(text) = fs::read_to_string(&file) else { continue };
            let extension = file.extension().unwrap_or_default().to_string_lossy();
            let text = text.replace("1.0.0", version);
            draft.recipe(&format!("{name}-{version}.{extension}"), text)?;
        }
        for entry in fs::read_dir(folder.join("artifacts")).into_iter().flatten() {
            let path = entry?.path();
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let bytes = if path.is_dir() { zipped(&path, world)? } else { fs::read(&path)? };
            draft.artifact(name, version, &file, bytes)?;
        }
    }
    for name in ["AptPrivileged", "SudoApt", "Bootstrap"].map(|name| format!("com.acme.{name}")) {
        draft.artifact(&name, version, "acme-tool.deb", fs::read(world.join("acme-tool.deb"))?)?;
    }
    let sdk = sdk().context("the examples' SDK: run `cargo xtask test`")?;
    for name in ["com.acme.Thermometer", "com.acme.Thermostat"] {
        draft.artifact(name, version, "awsiotsdk.zip", fs::read(&sdk)?)?;
    }
    Ok(())
}

fn zipped(folder: &Path, world: &Path) -> Result<Vec<u8>> {
    let archive = world.join("made.zip");
    let _ = fs::remove_file(&archive);
    let status = Command::new("/usr/bin/python3")
        .args(["-m", "zipfile", "-c"])
        .arg(&archive)
        .args(fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())))
        .status()?;
    ensure!(status.success(), "zipping {} ended with {status}", folder.display());
    Ok(fs::read(archive)?)
}

fn sdk() -> Option<PathBuf> {
    let Source { artifacts, .. } = examples();
    Some(artifacts?.join("com.example.sensor/1.0.0/awsiotsdk.zip"))
}
