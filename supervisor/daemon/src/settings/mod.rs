//! `hedgerow.toml`: what the administrator says of this device. Every key has a default.

mod compat;
mod component;
mod deployment;
mod device;
mod function;
mod lambda_endpoint;
mod log;
mod restart;
mod run_with;
mod stop;
mod store;
#[cfg(test)]
mod tests;
mod thing_name;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hedgerow_isolation::grants::{Grant, HostDbusSettings, granted};
use hedgerow_isolation::network::NetworkSettings;
pub use hedgerow_isolation::pattern::matches as matches_pattern;
use hedgerow_isolation::plan::{Limits, Network};
use serde::Deserialize;

pub use compat::Compat;
pub use component::ComponentRule;
pub use deployment::Deployment;
pub use device::{Device, Proxy};
pub use function::Function;
pub use lambda_endpoint::{LambdaEndpoint, Listen};
pub use log::Log;
pub use restart::RestartRule;
pub use run_with::RunWithDefault;
pub use stop::Stop;
pub use store::Store;

use crate::lifecycle::RestartPolicy;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Settings {
    pub deployment: Deployment,
    pub device: Device,
    pub function: Function,
    /// None: there is no such endpoint.
    pub lambda_endpoint: Option<LambdaEndpoint>,
    pub log: Log,
    pub store: Store,
    pub compat: Compat,
    pub run_with_default: RunWithDefault,
    pub stop: Stop,
    /// How components that fail are tried again, by name pattern; of two that match, the later one's values win.
    pub restart: Vec<RestartRule>,
    /// Limits and network of components by name pattern; of two that match, the later one's values win.
    pub component: Vec<ComponentRule>,
    /// The launcher's to read and to keep to, as are the grants.
    pub network: NetworkSettings,
    pub grant: Vec<Grant>,
    pub host_dbus: HostDbusSettings,
}

#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: {source}", path.display())]
    Parse { path: PathBuf, source: Box<toml::de::Error> },
    #[error("{}: component {name:?}: cpus must be more than 0 and at most 1024", path.display())]
    Cpus { path: PathBuf, name: String },
    #[error(
        "{}: restart of {component:?}: window, initial-backoff and max-backoff are seconds, from 0.001 to {}",
        path.display(),
        RestartRule::LONGEST
    )]
    Restart { path: PathBuf, component: String },
    #[error(
        "{}: device.thing-name {name:?}: 1 to 128 letters, digits and \":\", \"_\", \"-\"",
        path.display()
    )]
    ThingName { path: PathBuf, name: String },
}

/// No component starts more than this unless the administrator says so: a fork bomb must not take the device.
const DEFAULT_PIDS: u32 = 512;

/// Bytes.
const DEFAULT_LAYER: u64 = 512 << 20;

impl Settings {
    /// Reads `hedgerow.toml` and then `hedgerow.toml.d/*.toml` in the order of their names. Tables of a later
    /// file replace keys of an earlier one; lists are joined. A missing file is an empty one.
    pub fn read(directory: &Path) -> Result<Self, SettingsError> {
        let mut merged = toml::Table::new();
        for path in files(directory)? {
            let text = fs::read_to_string(&path)
                .map_err(|source| SettingsError::Read { path: path.clone(), source })?;
            let parse = |source: toml::de::Error| SettingsError::Parse {
                path: path.clone(),
                source: Box::new(source),
            };
            // Each file is checked for itself, so that an error names the file and the line.
            let part: Self = toml::from_str(&text).map_err(parse)?;
            if let Some(rule) = part.component.iter().find(|rule| !rule.is_sane()) {
                return Err(SettingsError::Cpus { path, name: rule.name.clone() });
            }
            if let Some(rule) = part.restart.iter().find(|rule| !rule.is_sane()) {
                return Err(SettingsError::Restart { path, component: rule.component.clone() });
            }
            let name = &part.device.thing_name;
            if !name.is_empty() && !thing_name::is_valid(name) {
                return Err(SettingsError::ThingName { path, name: name.clone() });
            }
            merge(&mut merged, toml::from_str(&text).map_err(parse)?);
        }
        let read = merged.try_into().map_err(|source: toml::de::Error| SettingsError::Parse {
            path: directory.join("hedgerow.toml"),
            source: Box::new(source),
        });
        let mut settings: Self = read?;
        if settings.device.thing_name.is_empty() {
            settings.device.thing_name = thing_name::of_this_host();
        }
        Ok(settings)
    }

    pub fn limits(&self, component: &str) -> Limits {
        let mut limits = Limits { pids: Some(DEFAULT_PIDS), ..Limits::default() };
        for rule in self.rules(component) {
            limits.memory = rule.memory.or(limits.memory);
            limits.cpu = rule.milli_cpus().or(limits.cpu);
            limits.pids = rule.pids.or(limits.pids);
        }
        limits
    }

    pub fn restart_policy(&self, component: &str) -> RestartPolicy {
        let mut policy = RestartPolicy {
            greengrass: self.compat.greengrass_restart,
            ..RestartPolicy::default()
        };
        for rule in &self.restart {
            if matches_pattern(&rule.component, component) {
                rule.apply(&mut policy);
            }
        }
        policy
    }

    /// Bytes; `None`: as many as the disk has.
    pub fn work_quota(&self, component: &str) -> Option<u64> {
        self.rules(component).filter_map(|rule| rule.work).last()
    }

    pub fn layer_quota(&self, component: &str) -> u64 {
        self.rules(component).filter_map(|rule| rule.layer).last().unwrap_or(DEFAULT_LAYER)
    }

    pub fn network(&self, component: &str) -> Network {
        let host = granted(&self.grant, component).host_network;
        let default = if host { Network::Host } else { Network::default() };
        self.rules(component).filter_map(|rule| rule.network).last().unwrap_or(default)
    }

    fn rules(&self, component: &str) -> impl Iterator<Item = &ComponentRule> {
        self.component.iter().filter(move |rule| matches_pattern(&rule.name, component))
    }
}

fn files(directory: &Path) -> Result<Vec<PathBuf>, SettingsError> {
    let mut found = Vec::new();
    let main = directory.join("hedgerow.toml");
    if main.exists() {
        found.push(main);
    }
    let drop_ins = directory.join("hedgerow.toml.d");
    let entries = match fs::read_dir(&drop_ins) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(source) => return Err(SettingsError::Read { path: drop_ins, source }),
    };
    let mut more: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    more.sort();
    found.extend(more);
    Ok(found)
}

fn merge(into: &mut toml::Table, from: toml::Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) => merge(old, new),
            (Some(toml::Value::Array(old)), toml::Value::Array(new)) => old.extend(new),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}
