//! `hedgerow.toml`: what the administrator says of this device. Every key has a default.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hedgerow_isolation::plan::{Limits, Network};
use serde::Deserialize;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Settings {
    pub device: Device,
    pub log: Log,
    /// Limits and network of components by name pattern; of two that match, the later one's values win.
    pub component: Vec<ComponentRule>,
    /// Read and enforced by the launcher; listed here so that the file is one.
    pub grant: Vec<toml::Table>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Device {
    /// `{iot:thingName}` and `AWS_IOT_THING_NAME`.
    pub thing_name: String,
    /// `AWS_REGION`.
    pub region: String,
    /// Platform attributes beside `os` and `architecture`, or in place of them.
    pub platform: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Log {
    /// Bytes of one log file before it is rotated.
    pub max_size: u64,
    /// Files kept of each component, the current one included.
    pub files: u32,
}

impl Default for Log {
    fn default() -> Self {
        Self { max_size: 1024 * 1024, files: 4 }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ComponentRule {
    /// A component name; `*` stands for any characters.
    pub name: String,
    /// Bytes.
    pub memory: Option<u64>,
    /// CPUs, as in Greengrass: 0.5 is half of one.
    pub cpus: Option<f64>,
    /// Processes and threads.
    pub pids: Option<u32>,
    pub network: Option<Network>,
}

#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: {source}", path.display())]
    Parse { path: PathBuf, source: Box<toml::de::Error> },
    #[error("{}: component {name:?}: cpus must be more than 0 and at most 1024", path.display())]
    Cpus { path: PathBuf, name: String },
}

/// No component starts more than this unless the administrator says so: a fork bomb must not take the device.
const DEFAULT_PIDS: u32 = 512;

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
            merge(&mut merged, toml::from_str(&text).map_err(parse)?);
        }
        merged.try_into().map_err(|source: toml::de::Error| SettingsError::Parse {
            path: directory.join("hedgerow.toml"),
            source: Box::new(source),
        })
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

    pub fn network(&self, component: &str) -> Network {
        self.rules(component).filter_map(|rule| rule.network).last().unwrap_or_default()
    }

    fn rules(&self, component: &str) -> impl Iterator<Item = &ComponentRule> {
        self.component.iter().filter(move |rule| matches_pattern(&rule.name, component))
    }
}

impl ComponentRule {
    fn is_sane(&self) -> bool {
        self.cpus.is_none_or(|cpus| cpus > 0.0 && cpus <= 1024.0)
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn milli_cpus(&self) -> Option<u32> {
        // In range: `is_sane` has been asked.
        self.cpus.map(|cpus| (cpus * 1000.0).ceil() as u32)
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

/// `*` stands for any characters, none included; everything else for itself.
fn matches_pattern(pattern: &str, name: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == name };
    let Some(rest) = name.strip_prefix(head) else { return false };
    (0..=rest.len())
        .filter(|at| rest.is_char_boundary(*at))
        .any(|at| matches_pattern(tail, &rest[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir(directory.path().join("hedgerow.toml.d")).expect("made");
        for (name, text) in files {
            fs::write(directory.path().join(name), text).expect("written");
        }
        Settings::read(directory.path())
    }

    #[test]
    fn later_rules_win_key_by_key() {
        let settings = read(&[
            ("hedgerow.toml", "[[component]]\nname = '*'\nmemory = 1000\ncpus = 0.5\n"),
            (
                "hedgerow.toml.d/10.toml",
                "[[component]]\nname = 'com.example.*'\nmemory = 2000\nnetwork = 'host'\n",
            ),
        ])
        .expect("valid");
        let limits = settings.limits("com.example.a");
        assert_eq!((limits.memory, limits.cpu, limits.pids), (Some(2000), Some(500), Some(512)));
        assert_eq!(settings.limits("org.other").memory, Some(1000));
        assert_eq!(settings.network("com.example.a"), Network::Host);
        assert_eq!(settings.network("org.other"), Network::None);
    }

    #[test]
    fn an_error_names_file_and_line() {
        let error = read(&[("hedgerow.toml", "[log]\nmax-size = 'big'\n")]).expect_err("refused");
        let text = error.to_string();
        assert!(text.contains("hedgerow.toml") && text.contains("line 2"), "{text}");
        let error = read(&[("hedgerow.toml", "[lgo]\n")]).expect_err("refused");
        assert!(error.to_string().contains("lgo"), "{error}");
        read(&[("hedgerow.toml", "[[component]]\nname = 'x'\ncpus = 0.0\n")]).expect_err("refused");
    }

    #[test]
    fn nothing_configured_is_fine() {
        let settings = read(&[]).expect("valid");
        assert_eq!(settings.log.files, 4);
    }
}
