//! The components that bring the clients of Lambda's Runtime API, for the interpreters of this machine:
//! `io.hedgerow.runtime.python3.x` and `io.hedgerow.runtime.nodejs<version>.x`.

use std::env::consts;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::command::quietly;
use crate::needs::Needs;
use crate::parts::{Part, Parts};
use crate::tree::{copy_tree, fresh};
use crate::{javascript, python, workspace};

/// The components' version: they are a part of Hedgerow.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The bundle of `needs.toml`.
const BUNDLE: &str = "runtime";

/// File name of the only artifact.
const ARCHIVE: &str = "runtime.zip";

#[derive(Debug, Clone, Copy)]
pub enum Language {
    Python,
    Node,
}

/// Lays the components out in `target/runtimes`: `recipes` and `artifacts`, as `hedgerow deploy` takes them and as an
/// image has them in `/usr/lib/hedgerow/components`; beside them, in `python` and `node`, what is in the archives.
pub fn lay_out(parts: &mut Parts, languages: &[Language]) -> Result<()> {
    let needs = Needs::read()?;
    parts.run("lay out the runtimes of functions", |part| {
        let target = workspace::target().join("runtimes");
        fresh(&target)?;
        for language in languages {
            language.add_to(part, &needs, &target, &target.join(language.directory()))?;
        }
        Ok(())
    })
}

impl Language {
    pub const ALL: &[Language] = &[Language::Python, Language::Node];

    /// Of `packaging/runtimes` and of `target/runtimes`.
    const fn directory(self) -> &'static str {
        match self {
            Language::Python => "python",
            Language::Node => "node",
        }
    }

    /// Adds the component to `recipes` and `artifacts` in `target`. In `tree` is then what is in its archive.
    pub fn add_to(self, part: &Part, needs: &Needs, target: &Path, tree: &Path) -> Result<()> {
        let name = format!("io.hedgerow.runtime.{}", self.runtime()?);
        let recipes = target.join("recipes");
        let artifacts = target.join("artifacts").join(&name).join(VERSION);
        self.unpack(part, needs, tree)?;
        fs::create_dir_all(&recipes)?;
        fs::create_dir_all(&artifacts)?;
        python::pack(part, tree, &artifacts.join(ARCHIVE))?;
        fs::write(recipes.join(format!("{name}-{VERSION}.yaml")), self.recipe(&name)?)?;
        part.say(&format!("{name} {VERSION}"));
        Ok(())
    }

    /// What Lambda calls this machine's interpreter.
    fn runtime(self) -> Result<String> {
        Ok(match self {
            Language::Python => format!("python{}", python::version()?),
            Language::Node => format!("nodejs{}.x", javascript::version()?),
        })
    }

    /// Lambda's client of its Runtime API, from the cache or else made.
    pub fn client(self, part: &Part, needs: &Needs) -> Result<PathBuf> {
        match self {
            Language::Python => python::archive(part, needs, BUNDLE),
            Language::Node => {
                javascript::archive(part, needs, BUNDLE, |modules| compile_client(part, modules))
            }
        }
    }

    /// Puts into `tree` what a function has at `/var/runtime`: Lambda's client, and what is ours.
    fn unpack(self, part: &Part, needs: &Needs, tree: &Path) -> Result<()> {
        python::unpack(part, &self.client(part, needs)?, tree)?;
        copy_tree(&workspace::root().join("packaging/runtimes").join(self.directory()), tree)?;
        match self {
            Language::Python => python::compile(part, tree),
            Language::Node => Ok(()),
        }
    }

    fn recipe(self, name: &str) -> Result<String> {
        let architecture = match consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "aarch64",
            "arm" => "arm",
            other => bail!("Greengrass has no name for the architecture {other}"),
        };
        let lines = [
            "RecipeFormatVersion: \"2020-01-25\"",
            &format!("ComponentName: {name}"),
            &format!("ComponentVersion: \"{VERSION}\""),
            &format!("ComponentDescription: Runs Lambda functions in {}.", self.runtime()?),
            "ComponentPublisher: Hedgerow",
            "Manifests:",
            "  - Platform:",
            "      os: linux",
            &format!("      architecture: {architecture}"),
            "    Artifacts:",
            &format!("      - URI: greengrass:{ARCHIVE}"),
            "        Unarchive: ZIP",
        ];
        Ok(lines.map(|line| format!("{line}\n")).concat())
    }
}

/// Compiles the native half of the client for Node, and leaves what is needed to run it: its scripts compile curl and
/// Lambda's library for C++ from the sources that they bring. Takes a minute or two.
fn compile_client(part: &Part, modules: &Path) -> Result<()> {
    let client = modules.join("aws-lambda-ric");
    for script in ["preinstall", "postinstall"] {
        let mut npm = Command::new("npm");
        // The interpreter's headers are the system's: none are fetched.
        npm.args(["run", script]).env("npm_config_nodedir", "/usr").current_dir(&client);
        quietly(part, &format!("npm-{script}"), npm)?;
    }
    for unneeded in ["deps", "src", "scripts", "node-addon-api"] {
        fs::remove_dir_all(client.join(unneeded))?;
    }
    Ok(fs::remove_dir_all(modules.join("node-addon-api"))?)
}
