//! What this device is, and which devices a manifest is for.

use std::collections::BTreeMap;
use std::env;
use std::fmt;

use regex_lite::Regex;
use serde::Serialize;

/// A device's attributes: `os`, `architecture`, `architecture.detail`, and whatever the
/// administrator adds (`runtime`, for one). Keys are compared exactly.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Platform(BTreeMap<String, String>);

impl Platform {
    /// Recipes that were made for the nucleus in C ask for this runtime, or for `*`; all others
    /// ask for none. With this value all of them match.
    pub const RUNTIME: &str = "aws_nucleus_lite";

    /// The attributes Greengrass derives from `uname -s` and `uname -m`.
    pub fn from_uname(sysname: &str, machine: &str) -> Self {
        let os = match sysname {
            "Linux" | "linux" => "linux",
            "Darwin" => "darwin",
            _ => "unknown",
        };
        let architecture = match machine {
            "x86_64" | "amd64" => "amd64",
            "x86" | "i386" | "i486" | "i586" | "i686" => "x86",
            "aarch64" | "arm64" => "aarch64",
            arm if arm.starts_with("arm") => "arm",
            _ => "unknown",
        };
        let attributes = Self::default().with("os", os).with("architecture", architecture);
        match machine {
            "armv6l" | "armv7l" | "armv8l" | "armv6b" | "armv7b" | "armv8b" => {
                attributes.with("architecture.detail", machine)
            }
            _ => attributes,
        }
    }

    /// The attributes of the machine that this runs on, as Hedgerow claims them: `runtime` is
    /// [`Platform::RUNTIME`].
    pub fn of_this_machine() -> Self {
        let (system, machine) = match nix::sys::utsname::uname() {
            Ok(name) => (
                name.sysname().to_string_lossy().into_owned(),
                name.machine().to_string_lossy().into_owned(),
            ),
            Err(_) => (env::consts::OS.to_owned(), env::consts::ARCH.to_owned()),
        };
        Self::from_uname(&system, &machine).with("runtime", Self::RUNTIME)
    }

    /// The same device with one attribute set or replaced.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.insert(key.into(), value.into());
        self
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }
}

/// `os=linux architecture=amd64`
impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (key, value)) in self.0.iter().enumerate() {
            write!(f, "{}{key}={value}", if i == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

/// A manifest's `Platform`: every key listed must match; none listed matches every device.
#[derive(Clone, Debug, Default)]
pub struct Requirements(BTreeMap<String, Pattern>);

/// One value of a manifest's `Platform`.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// `*`, null, and for `os` and `architecture` also `all` and `any`: any value, or none.
    Any,
    Exactly(String),
    /// `/regular expression/`, which must match the whole value.
    Expression {
        written: String,
        regex: Regex,
    },
}

/// The first key of a manifest's `Platform` that this device does not satisfy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    pub key: String,
    pub wanted: String,
    pub found: Option<String>,
}

/// A `/…/` that is not a regular expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{written} is not a regular expression: {reason}")]
pub struct InvalidExpression {
    pub written: String,
    pub reason: String,
}

impl Requirements {
    /// Longest `/…/` that is compiled, in bytes.
    pub const MAX_EXPRESSION: usize = 512;

    /// A `/…/` that is not a regular expression is kept as a label, which matches no device: the
    /// manifests after it have their turn, as in Greengrass.
    pub(crate) fn insert(
        &mut self,
        key: String,
        value: Option<&str>,
    ) -> Result<(), InvalidExpression> {
        let parsed = Pattern::parse(&key, value);
        let (pattern, outcome) = match parsed {
            Ok(pattern) => (pattern, Ok(())),
            Err(error) => (Pattern::Exactly(error.written.clone()), Err(error)),
        };
        self.0.insert(key, pattern);
        outcome
    }

    /// `Err` names the first key that does not match.
    pub fn check(&self, platform: &Platform) -> Result<(), Mismatch> {
        for (key, pattern) in &self.0 {
            let found = platform.get(key);
            if !pattern.matches(found) {
                return Err(Mismatch {
                    key: key.clone(),
                    wanted: pattern.to_string(),
                    found: found.map(str::to_owned),
                });
            }
        }
        Ok(())
    }
}

impl Pattern {
    fn parse(key: &str, value: Option<&str>) -> Result<Self, InvalidExpression> {
        let Some(value) = value else { return Ok(Self::Any) };
        let wildcard = matches!(key, "os" | "architecture") && matches!(value, "all" | "any");
        if value == "*" || wildcard {
            return Ok(Self::Any);
        }
        let body = value.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
        let Some(body) = body else { return Ok(Self::Exactly(value.to_owned())) };
        let written = || value.chars().take(80).collect();
        if body.len() > Requirements::MAX_EXPRESSION {
            let reason = format!("it is longer than {} bytes", Requirements::MAX_EXPRESSION);
            return Err(InvalidExpression { written: written(), reason });
        }
        Regex::new(&format!("^(?:{body})$"))
            .map(|regex| Self::Expression { written: value.to_owned(), regex })
            .map_err(|error| InvalidExpression { written: written(), reason: error.to_string() })
    }

    fn matches(&self, found: Option<&str>) -> bool {
        let found = found.filter(|value| !value.trim().is_empty());
        match (self, found) {
            (Self::Any, _) => true,
            (_, None) => false,
            // Greengrass: a label that does not begin with a letter or digit never matches.
            (Self::Exactly(label), Some(value)) => {
                label == value && label.starts_with(|c: char| c.is_ascii_alphanumeric())
            }
            (Self::Expression { regex, .. }, Some(value)) => regex.is_match(value),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "*",
            Self::Exactly(label) => label,
            Self::Expression { written, .. } => written,
        })
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wants {}={}, this device has ", self.key, self.wanted)?;
        match &self.found {
            Some(value) => write!(f, "{value}"),
            None => f.write_str("none"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uname_becomes_greengrass_attributes() {
        let cases = [
            ("x86_64", "amd64", None),
            ("i686", "x86", None),
            ("aarch64", "aarch64", None),
            ("armv7l", "arm", Some("armv7l")),
            ("armv5tel", "arm", None),
            ("riscv64", "unknown", None),
        ];
        for (machine, architecture, detail) in cases {
            let platform = Platform::from_uname("Linux", machine);
            assert_eq!(platform.get("os"), Some("linux"));
            assert_eq!(platform.get("architecture"), Some(architecture), "{machine}");
            assert_eq!(platform.get("architecture.detail"), detail, "{machine}");
        }
    }

    #[test]
    fn patterns_match_as_greengrass_matches() {
        let device = Platform::from_uname("Linux", "x86_64").with("board", "pi").with("blank", " ");
        let cases = [
            ("os", Some("linux"), true),
            ("os", Some("Linux"), false),
            ("os", Some("windows"), false),
            ("os", Some("all"), true),
            ("os", Some("any"), true),
            ("os", Some("*"), true),
            ("os", None, true),
            ("architecture", Some("/amd64|aarch64/"), true),
            ("architecture", Some("/amd/"), false),
            ("board", Some("all"), false),
            ("runtime", Some("*"), true),
            ("runtime", Some("aws_nucleus_lite"), false),
            ("OS", Some("linux"), false),
            ("blank", Some("/.*/"), false),
        ];
        for (key, value, expected) in cases {
            let mut requirements = Requirements::default();
            requirements.insert(key.to_owned(), value).unwrap();
            assert_eq!(requirements.check(&device).is_ok(), expected, "{key}: {value:?}");
        }
        assert!(Requirements::default().check(&device).is_ok());
    }

    #[test]
    fn what_is_not_an_expression_matches_no_device() {
        let device = Platform::from_uname("Linux", "x86_64").with("board", "/(/");
        for key in ["os", "board"] {
            let mut requirements = Requirements::default();
            assert!(requirements.insert(key.into(), Some("/(/")).is_err());
            assert_eq!(requirements.check(&device).unwrap_err().wanted, "/(/");
        }
    }
}
