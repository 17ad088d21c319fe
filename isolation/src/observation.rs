//! What an observed fence denied its component, and what would give it.

use serde::{Deserialize, Serialize};

use crate::grants::{Capability, HostAccess, HostPath, PlainPath};
use crate::network::Port;

/// Most different findings of one observation; what comes later is counted in [`Told::more`].
pub const MAX_FINDINGS: usize = 256;

/// Bytes of a finding's subject; what is longer is cut.
pub const MAX_SUBJECT: usize = 512;

/// Something that the component wanted and did not get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The system call, by its name.
    pub call: String,
    /// What it was called for: a path, an address. Chosen by the component.
    pub subject: String,
    pub remedy: Remedy,
}

/// What would give it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remedy {
    /// `devices`, by a name that stays where the device has one.
    Device(PlainPath),
    /// `host-paths`.
    HostPath(HostPath),
    /// `host-network`.
    HostNetwork,
    /// `ports`.
    Port(Port),
    /// `link-local` of `[network]`.
    LinkLocal,
    /// `real-root`.
    RealRoot(Capability),
    /// `host-dbus`, with names that only the component knows.
    HostBus,
    /// Nothing that an administrator can write.
    None,
}

/// From the observer of a fence to the daemon: what has come since the last time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Told {
    /// How often each, since the last time.
    pub findings: Vec<(Finding, u64)>,
    /// How often something else, for which there was no room.
    pub more: u64,
}

impl Remedy {
    /// The line of `[[grant]]`, where it is one.
    pub fn grant(&self) -> Option<String> {
        match self {
            Self::Device(path) => Some(format!("devices = [{}]", quoted(path))),
            Self::HostPath(path) => Some(format!("host-paths = [{}]", host_path(path))),
            Self::HostNetwork => Some("host-network = true".to_owned()),
            Self::Port(port) => Some(format!("ports = [\"{port}\"]")),
            Self::RealRoot(capability) => {
                Some(format!("real-root = [\"{}\"]", capability.as_str()))
            }
            Self::LinkLocal | Self::HostBus | Self::None => None,
        }
    }

    /// What else there is to be said.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Device(_)
            | Self::HostPath(_)
            | Self::HostNetwork
            | Self::Port(_)
            | Self::RealRoot(_) => "",
            Self::LinkLocal => "link-local = true in [network], for all components",
            Self::HostBus => "host-dbus = { talk = [NAMES] } in a [[grant]]",
            Self::None => "no grant can give this",
        }
    }
}

fn host_path(granted: &HostPath) -> String {
    let access = match granted.access {
        HostAccess::ReadOnly => "ro",
        HostAccess::ReadWrite => "rw",
    };
    let target = granted.target.as_ref().map(|target| format!(", target = {}", quoted(target)));
    let path = quoted(&granted.path);
    format!("{{ path = {path}, access = \"{access}\"{} }}", target.unwrap_or_default())
}

/// A basic string of TOML.
fn quoted(path: &PlainPath) -> String {
    let mut text = String::from('"');
    for c in path.as_path().to_string_lossy().chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            c if c.is_control() => text.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => text.push(c),
        }
    }
    text + "\""
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn path(text: &str) -> PlainPath {
        PlainPath::try_from(PathBuf::from(text)).unwrap()
    }

    /// `toml` is not among this crate's dependencies: what its reader takes is tried end to end.
    #[test]
    fn each_remedy_has_its_line_or_a_word_about_it() {
        let socket = HostPath {
            path: path("/run/log \"x\"\n"),
            access: HostAccess::ReadWrite,
            target: Some(path("/dev/log")),
        };
        let line = r#"host-paths = [{ path = "/run/log \"x\"\u000A", access = "rw", target = "/dev/log" }]"#;
        for (remedy, line) in [
            (Remedy::Device(path("/dev/i2c-1")), r#"devices = ["/dev/i2c-1"]"#),
            (Remedy::HostPath(socket), line),
            (Remedy::HostNetwork, "host-network = true"),
            (
                Remedy::RealRoot(Capability::try_from("CAP_SYS_TIME".to_owned()).unwrap()),
                r#"real-root = ["CAP_SYS_TIME"]"#,
            ),
            (Remedy::Port("8080:80/udp".parse().unwrap()), r#"ports = ["8080:80/udp"]"#),
        ] {
            assert_eq!(remedy.grant().as_deref(), Some(line));
            assert_eq!(remedy.advice(), "");
        }
        for remedy in [Remedy::LinkLocal, Remedy::HostBus, Remedy::None] {
            assert!(remedy.grant().is_none() && !remedy.advice().is_empty(), "{remedy:?}");
        }
    }
}
