//! What `needs.toml` lists.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Deserialize;

/// What something is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    Build,
    Demo,
    Runtimes,
    Test,
    Guest,
    Bench,
}

impl Purpose {
    pub const ALL: &[Purpose] = &[
        Purpose::Build,
        Purpose::Demo,
        Purpose::Runtimes,
        Purpose::Test,
        Purpose::Guest,
        Purpose::Bench,
    ];
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Needs {
    /// Debian packages.
    pub apt: Vec<Need>,
    /// What archives of Python packages are made of.
    pub pip: Vec<Wheel>,
    /// What archives of JavaScript packages are made of.
    pub npm: Vec<Tarball>,
    /// Cargo's subcommands.
    pub cargo: Vec<Need>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Need {
    pub package: String,
    #[serde(rename = "for")]
    pub purpose: Purpose,
    pub why: String,
    /// What it is needed for. Where it is there already, from wherever, the package is not.
    pub program: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wheel {
    /// The archive that it becomes a part of.
    pub bundle: String,
    pub package: String,
    pub version: String,
    pub why: String,
    /// Digests of the files that may be installed, in hexadecimal.
    pub sha256: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tarball {
    /// The archive that it becomes a part of.
    pub bundle: String,
    pub package: String,
    pub version: String,
    pub why: String,
    /// As npm writes it: `sha512-` and the digest in base64.
    pub integrity: String,
}

impl Needs {
    pub fn read() -> Result<Needs> {
        toml::from_str(include_str!("../needs.toml")).context("needs.toml")
    }
}

impl Wheel {
    /// A line of pip's requirements file that accepts these files only.
    pub fn requirement(&self) -> String {
        let hashes: String =
            self.sha256.iter().map(|digest| format!(" --hash=sha256:{digest}")).collect();
        format!("{}=={}{hashes}\n", self.package, self.version)
    }
}
