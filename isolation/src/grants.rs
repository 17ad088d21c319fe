//! `[[grant]]`: what the administrator lets components have beyond the ordinary. The launcher enforces it and the
//! daemon explains it; both read it from the same root-owned files.
//!
//! ```toml
//! [[grant]]
//! component = "com.example.*"
//! ports = ["8080:80/tcp"]
//! devices = ["/dev/serial/by-id/*"]
//! host-paths = [{ path = "/srv/data", access = "rw" }]
//! real-root = ["CAP_SYS_TIME"]
//! host-dbus = { talk = ["org.freedesktop.NetworkManager"] }
//! ```

mod host_dbus;
mod real_root;

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::network::Port;
use crate::pattern;
use crate::plan::{IdRange, Needs};
pub use host_dbus::{HostDbus, HostDbusSettings};
pub use real_root::{BadCapability, Capability, RealRoot};

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Grant {
    /// Names of components; `*` stands for any characters.
    pub component: String,
    /// The host's network in place of a fence's own.
    #[serde(default)]
    pub host_network: bool,
    /// Ports of the host that lead into the fence.
    #[serde(default)]
    pub ports: Vec<Port>,
    /// Paths below `/dev` of devices that `ggc_user` may use; `*` in the last name stands for any characters.
    #[serde(default)]
    pub devices: Vec<DevicePattern>,
    #[serde(default)]
    pub host_paths: Vec<HostPath>,
    /// What the component's root is root of.
    #[serde(default)]
    pub real_root: RealRoot,
    /// What it may have of the host's system bus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_dbus: Option<HostDbus>,
}

impl Grant {
    /// The host's ids that the users of a fence with these ids have: those, or where its root is the host's own, the
    /// host's first. What it writes belongs to its own ids in either case.
    pub fn users(&self, ids: IdRange) -> IdRange {
        if self.real_root.is_granted() { IdRange { first: 0 } } else { ids }
    }

    /// What of the needs of a plan it does not give.
    pub fn lacks(&self, needs: &Needs) -> Vec<Lack> {
        let given = |device: &PathBuf| self.devices.iter().any(|pattern| pattern.matches(device));
        let devices = needs.devices.iter().filter(|device| !given(device)).map(|device| Lack {
            what: format!("the device {}", device.display()),
            line: format!("devices = [{device:?}]"),
        });
        let given = |wanted: &HostPath| self.host_paths.iter().any(|path| path.serves(wanted));
        let paths = needs.host_paths.iter().filter(|path| !given(path)).map(|path| Lack {
            what: format!("{} of the host", path.path.as_path().display()),
            line: format!("host-paths = [{}]", path.to_toml()),
        });
        devices.chain(paths).collect()
    }
}

/// Something of the host that is needed and not granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    pub what: String,
    /// The line of a grant that gives it.
    pub line: String,
}

/// A file or directory of the host. What belongs to its owner is shown as `ggc_user`'s, anything else as nobody's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HostPath {
    /// Without a symbolic link on the way.
    pub path: PlainPath,
    #[serde(default)]
    pub access: HostAccess,
    /// Where it is in the fence; the same path by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<PlainPath>,
}

impl HostPath {
    pub fn target(&self) -> &Path {
        self.target.as_ref().unwrap_or(&self.path).as_path()
    }

    /// Whether who wants `other` has it by this.
    pub fn serves(&self, other: &Self) -> bool {
        let enough = self.access == other.access || other.access == HostAccess::ReadOnly;
        self.path == other.path && self.target() == other.target() && enough
    }

    /// As it is written in a grant.
    pub fn to_toml(&self) -> String {
        let access = match self.access {
            HostAccess::ReadOnly => "ro",
            HostAccess::ReadWrite => "rw",
        };
        let target = match self.target() {
            target if target == self.path.as_path() => String::new(),
            target => format!(", target = {target:?}"),
        };
        format!("{{ path = {:?}, access = {access:?}{target} }}", self.path.as_path())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum HostAccess {
    #[default]
    #[serde(rename = "ro")]
    ReadOnly,
    /// Refused where the path belongs to root or to root's group: who writes as root, and lets others run it, is root.
    #[serde(rename = "rw")]
    ReadWrite,
}

/// An absolute path of names only, and not the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "PathBuf", into = "PathBuf")]
pub struct PlainPath(PathBuf);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} must be an absolute path without \"..\", and not the root")]
pub struct BadPath(PathBuf);

impl PlainPath {
    pub fn as_path(&self) -> &Path {
        &self.0
    }
}

impl TryFrom<PathBuf> for PlainPath {
    type Error = BadPath;

    fn try_from(path: PathBuf) -> Result<Self, BadPath> {
        let mut parts = path.components();
        let absolute = parts.next() == Some(Component::RootDir) && path.file_name().is_some();
        let plain = absolute && parts.all(|part| matches!(part, Component::Normal(_)));
        if plain { Ok(Self(path)) } else { Err(BadPath(path)) }
    }
}

impl From<PlainPath> for PathBuf {
    fn from(path: PlainPath) -> Self {
        path.0
    }
}

/// A path below `/dev` in whose last name `*` stands for any characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "PathBuf", into = "PathBuf")]
pub struct DevicePattern(PlainPath);

impl DevicePattern {
    /// The directory to look in, and the pattern of names there.
    pub fn parts(&self) -> Option<(&Path, &str)> {
        Some((self.0.as_path().parent()?, self.0.as_path().file_name()?.to_str()?))
    }

    pub fn matches(&self, device: &Path) -> bool {
        self.parts().is_some_and(|(directory, names)| {
            let name = device.file_name().and_then(|name| name.to_str());
            device.parent() == Some(directory) && name.is_some_and(|n| pattern::matches(names, n))
        })
    }
}

impl TryFrom<PathBuf> for DevicePattern {
    type Error = BadPath;

    fn try_from(path: PathBuf) -> Result<Self, BadPath> {
        let below_dev = path.starts_with("/dev") && path != Path::new("/dev");
        let plain = PlainPath::try_from(path)?;
        if below_dev { Ok(Self(plain)) } else { Err(BadPath(plain.0)) }
    }
}

impl From<DevicePattern> for PathBuf {
    fn from(pattern: DevicePattern) -> Self {
        pattern.0.into()
    }
}

/// Everything that is granted to `component`, by however many grants.
pub fn granted(grants: &[Grant], component: &str) -> Grant {
    let mut all = Grant { component: component.to_owned(), ..Grant::default() };
    for grant in grants.iter().filter(|grant| pattern::matches(&grant.component, component)) {
        all.host_network |= grant.host_network;
        all.ports.extend(&grant.ports);
        all.devices.extend(grant.devices.iter().cloned());
        all.host_paths.extend(grant.host_paths.iter().cloned());
        all.real_root = all.real_root.and(&grant.real_root);
        if let Some(more) = &grant.host_dbus {
            all.host_dbus.get_or_insert_default().extend(more);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(json: &str) -> Result<Grant, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn what_several_grants_say_adds_up() {
        let some = grant(r#"{"component": "com.*", "ports": ["80"]}"#).unwrap();
        let more = grant(r#"{"component": "*", "host-network": true}"#).unwrap();
        let other = grant(r#"{"component": "org.b", "devices": ["/dev/ttyS0"]}"#).unwrap();
        let all = granted(&[some, more, other], "com.a");
        assert_eq!((all.host_network, all.ports.len(), all.devices.len()), (true, 1, 0));
    }

    #[test]
    fn paths_are_absolute_and_plain() {
        let path = |text: &str| {
            grant(&format!(r#"{{"component": "a", "host-paths": [{{"path": "{text}"}}]}}"#))
        };
        assert_eq!(path("/srv/data").unwrap().host_paths[0].target(), Path::new("/srv/data"));
        for bad in ["srv", "/", "/srv/../etc", ""] {
            assert!(path(bad).is_err(), "{bad}");
        }
        let device = |text: &str| grant(&format!(r#"{{"component": "a", "devices": ["{text}"]}}"#));
        let pattern = device("/dev/serial/by-id/*").unwrap().devices.remove(0);
        assert_eq!(pattern.parts(), Some((Path::new("/dev/serial/by-id"), "*")));
        for bad in ["/dev", "/etc/passwd", "/dev/../etc/passwd", "ttyS0"] {
            assert!(device(bad).is_err(), "{bad}");
        }
    }
}
