//! The example components, ready to deploy: their recipes and artifacts with the Python SDK they use.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use anyhow::{Context, Result};

use crate::command::{output, quietly};
use crate::needs::{Needs, Wheel};
use crate::parts::{Part, Parts};
use crate::workspace;

/// The interpreter of the fences, whose bytecode the SDK is compiled to.
const PYTHON: &str = "/usr/bin/python3";

/// File name of the SDK artifact in the recipes.
const SDK: &str = "awsiotsdk.zip";

/// A recipe directory and an artifact directory, as `hedgerow deploy` takes them.
#[derive(Debug)]
pub struct Examples {
    pub recipes: PathBuf,
    pub artifacts: PathBuf,
}

/// Lays the examples out in `target/examples`.
pub fn lay_out(parts: &mut Parts) -> Result<Examples> {
    let wheels = Needs::read()?.pip;
    parts.run("lay out the examples", |part| {
        let sdk = sdk(part, &wheels)?;
        let source = workspace::root().join("examples");
        let made = workspace::target().join("examples");
        if made.exists() {
            fs::remove_dir_all(&made)?;
        }
        let examples =
            Examples { recipes: made.join("recipes"), artifacts: made.join("artifacts") };
        copy_tree(&source.join("recipes"), &examples.recipes)?;
        copy_tree(&source.join("artifacts"), &examples.artifacts)?;
        for component in fs::read_dir(&examples.artifacts)? {
            for version in fs::read_dir(component?.path())? {
                fs::copy(&sdk, version?.path().join(SDK))?;
            }
        }
        Ok(examples)
    })
}

/// The SDK as a zip, from the cache or else made: the wheels exactly as PyPI has them (their digests are
/// checked), with bytecode beside, which a component cannot write into its artifacts itself.
pub fn sdk(part: &Part, wheels: &[Wheel]) -> Result<PathBuf> {
    let requirements: String = wheels.iter().map(Wheel::requirement).collect();
    let zip = workspace::cache()?.join(format!("awsiotsdk-{:016x}.zip", key(&requirements)?));
    if zip.exists() {
        return Ok(zip);
    }
    for wheel in wheels {
        part.say(&format!("pip: {} {}: {}", wheel.package, wheel.version, wheel.why));
    }
    let scratch = tempfile::tempdir()?;
    let list = scratch.path().join("requirements.txt");
    let tree = scratch.path().join("tree");
    fs::write(&list, requirements)?;
    let mut pip = Command::new(PYTHON);
    pip.args(["-m", "pip", "install", "--no-compile", "--require-hashes", "--no-deps"])
        .args(["--only-binary=:all:", "--disable-pip-version-check", "--root-user-action=ignore"])
        .arg("--requirement")
        .arg(&list)
        .arg("--target")
        .arg(&tree);
    quietly(part, "pip-install", pip)?;
    let mut compile = Command::new(PYTHON);
    compile
        .args(["-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "."])
        .current_dir(&tree);
    quietly(part, "pip-compile", compile)?;
    let unfinished = zip.with_extension("unfinished");
    let mut pack = Command::new(PYTHON);
    pack.args(["-m", "zipfile", "-c"]).arg(&unfinished).arg(".").current_dir(&tree);
    quietly(part, "pip-zip", pack)?;
    fs::rename(&unfinished, &zip)?;
    Ok(zip)
}

/// What the zip depends on: the wheels and the interpreter's version.
fn key(requirements: &str) -> Result<u64> {
    let mut python = Command::new(PYTHON);
    python.arg("--version");
    let mut hasher = DefaultHasher::new();
    requirements.hash(&mut hasher);
    output(python)?.hash(&mut hasher);
    Ok(hasher.finish())
}

/// Copies files and directories, following no link.
pub fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), &target)?;
        } else {
            let reason = format!("{} is neither file nor directory", entry.path().display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason).into());
        }
    }
    Ok(())
}
