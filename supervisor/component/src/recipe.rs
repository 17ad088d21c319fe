//! Recipes: what an author says about a component.
//!
//! [`Recipe::parse`] reads JSON or YAML. Keys of the format and its enumerated words are compared
//! without regard to case, as Greengrass compares them; unknown keys are warnings. Values keep
//! their types. What is wrong inside one manifest's `Lifecycle` or `Artifacts` counts only if that
//! manifest is the one that a device uses ([`Manifest::refusals`]): an author's mistake on Windows
//! is no reason to refuse a component on Linux.

mod artifact;
mod fields;
mod identity;
mod image;
mod lifecycle;
mod places;
mod read;
mod selection;
mod step;
mod texts;

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use crate::document::{self, Document, Format, Position, Remark};
use crate::finding::{Finding, Severity};
use crate::name::ComponentName;
use crate::platform::{Mismatch, Platform, Requirements};
use crate::version::{Version, VersionReq};

pub use artifact::{Access, Artifact, Permission, Unarchive};
pub use image::{Image, InvalidImage};
pub use lifecycle::{Lifecycle, StepName};
pub(crate) use places::{Place, Places};
pub use step::{
    Condition, ConditionTest, InvalidPrivilege, InvalidSkipIf, InvalidTimeout, Privilege, SkipIf,
    Step, Timeout,
};

/// The only value of `RecipeFormatVersion`.
pub const FORMAT_VERSION: &str = "2020-01-25";

/// Largest recipe that is read, in bytes.
pub const MAX_BYTES: usize = 1024 * 1024;

#[derive(Clone, Debug)]
pub struct Recipe {
    /// The file it was read from, for messages.
    pub file: String,
    pub name: ComponentName,
    pub version: Version,
    pub description: Option<String>,
    pub publisher: Option<String>,
    pub kind: ComponentType,
    /// `ComponentSource`: the ARN of the Lambda function that the component was made from.
    pub source: Option<String>,
    /// `ComponentConfiguration.DefaultConfiguration`, `accessControl` included.
    pub default_configuration: Map<String, Value>,
    pub dependencies: BTreeMap<ComponentName, Dependency>,
    /// In order of preference; at least one.
    pub manifests: Vec<Manifest>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    pub requirement: VersionReq,
    pub kind: DependencyKind,
}

/// What runs a component.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ComponentType {
    /// Its own lifecycle steps.
    #[default]
    Generic,
    /// A Lambda function's runtime.
    Lambda,
    /// The Java virtual machine of AWS's own nucleus.
    Plugin,
    /// It is itself the runtime.
    Nucleus,
}

/// As recipes name it.
impl fmt::Display for ComponentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Generic => "aws.greengrass.generic",
            Self::Lambda => "aws.greengrass.lambda",
            Self::Plugin => "aws.greengrass.plugin",
            Self::Nucleus => "aws.greengrass.nucleus",
        })
    }
}

/// Whether a component waits for, and restarts with, what it depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DependencyKind {
    /// It starts when the dependency is ready, and restarts when that ceases.
    Hard,
    /// The dependency has to be present.
    Soft,
}

#[derive(Clone, Debug)]
pub struct Manifest {
    pub name: Option<String>,
    /// Where it begins in the file, counted from 1.
    pub line: u32,
    pub platform: Requirements,
    /// Its own; where that is empty, what its `Selections` take from the recipe's.
    pub lifecycle: Lifecycle,
    /// Files.
    pub artifacts: Vec<Artifact>,
    /// Container images: the artifacts whose scheme is `docker:`.
    pub images: Vec<Image>,
    /// Why this manifest cannot be deployed; empty if it can.
    pub refusals: Vec<Finding>,
}

/// A recipe, and what its author should know though it is valid.
#[derive(Clone, Debug)]
pub struct Parsed {
    pub recipe: Recipe,
    pub warnings: Vec<Finding>,
}

/// A file that is not a recipe. At least one of the findings is an error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Invalid {
    pub findings: Vec<Finding>,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, finding) in self.findings.iter().enumerate() {
            write!(f, "{}{finding}", if i == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl Recipe {
    /// Reads a recipe. A name that ends in `.json` is JSON, `.yaml` and `.yml` are YAML; any
    /// other is JSON if it begins with a brace. At most [`MAX_BYTES`].
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Parsed, Invalid> {
        let document = document(file, bytes)?;
        let mut reader = fields::Reader::new(file);
        for remark in &document.remarks {
            reader.remark(remark);
        }
        let recipe = read::recipe(&mut reader, &document.root);
        let findings = reader.finish();
        match recipe {
            Some(recipe) if findings.iter().all(|f| f.severity == Severity::Warning) => {
                Ok(Parsed { recipe, warnings: findings })
            }
            _ => Err(Invalid { findings }),
        }
    }

    /// A recipe as it stands, whatever it is written in, for who makes another one of it.
    pub fn to_json(file: &str, bytes: &[u8]) -> Result<Value, Invalid> {
        Ok(document(file, bytes)?.root.to_value())
    }

    /// The first manifest that is for this device, or why each is not.
    pub fn manifest_for(&self, platform: &Platform) -> Result<&Manifest, Vec<Mismatch>> {
        let mut mismatches = Vec::new();
        for manifest in &self.manifests {
            match manifest.platform.check(platform) {
                Ok(()) => return Ok(manifest),
                Err(mismatch) => mismatches.push(mismatch),
            }
        }
        Err(mismatches)
    }
}

fn document(file: &str, bytes: &[u8]) -> Result<Document, Invalid> {
    let one = |finding| Invalid { findings: vec![finding] };
    let text = text(file, bytes).map_err(one)?;
    document::read(format(file, text), text).map_err(|remark| {
        let Remark { at: Position { line, column }, message } = remark;
        one(Finding { line, column, ..Finding::of_file(file, message, "") })
    })
}

fn text<'b>(file: &str, bytes: &'b [u8]) -> Result<&'b str, Finding> {
    if bytes.len() > MAX_BYTES {
        let message = format!("the file has {} bytes, a recipe at most {MAX_BYTES}", bytes.len());
        return Err(Finding::of_file(file, message, "move bulky data into an artifact"));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let message = format!("byte {} is not UTF-8", error.valid_up_to());
        Finding::of_file(file, message, "save the file as UTF-8")
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

fn format(file: &str, text: &str) -> Format {
    let extension = file.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    match extension.as_deref() {
        Some("json") => Format::Json,
        Some("yaml" | "yml") => Format::Yaml,
        _ if text.trim_start().starts_with('{') => Format::Json,
        _ => Format::Yaml,
    }
}

#[cfg(test)]
mod tests;
