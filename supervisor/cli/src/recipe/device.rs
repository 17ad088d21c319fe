//! What the administrator says of this device's platform: `[device.platform]` of `hedgerow.toml`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::{fs, iter};

use serde::Deserialize;

use crate::failure::Failure;

/// The part of the daemon's settings that recipes are chosen by.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Settings {
    device: Device,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Device {
    platform: BTreeMap<String, String>,
}

/// From `hedgerow.toml` and `hedgerow.toml.d/*.toml`, as the daemon reads them: later files win.
pub fn attributes(etc: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let mut attributes = BTreeMap::new();
    for path in files(etc) {
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Failure::Settings { path, reason: error.to_string() }),
        };
        let settings: Settings = toml::from_str(&text)
            .map_err(|error| Failure::Settings { path, reason: error.to_string() })?;
        attributes.extend(settings.device.platform);
    }
    Ok(attributes)
}

fn files(etc: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(etc.join("hedgerow.toml.d")).into_iter().flatten();
    let mut more: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    more.sort();
    iter::once(etc.join("hedgerow.toml")).chain(more)
}
