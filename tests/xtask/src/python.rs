//! Python packages of `needs.toml` as archives, exactly as PyPI has them: their digests are checked.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::command::{output, quietly};
use crate::needs::{Needs, Wheel};
use crate::parts::{Part, Parts};
use crate::tree::fresh;
use crate::workspace;

/// The interpreter of the fences.
const PYTHON: &str = "/usr/bin/python3";

/// Where a layer has its packages.
const LAYER: &str = "python";

/// Bundles that the cases look for in `target/sdk`.
const SDKS: [&str; 3] = ["boto3", "greengrasssdk", "greengrasssdk-1.4"];

/// Lays the SDKs out as `target/sdk/<bundle>`.
pub fn lay_out_sdks(parts: &mut Parts) -> Result<()> {
    let needs = Needs::read()?;
    parts.run("lay out the Python SDKs", |part| {
        for bundle in SDKS {
            let tree = workspace::target().join("sdk").join(bundle);
            fresh(&tree)?;
            unpack(part, &archive(part, &needs, bundle)?, &tree)?;
        }
        Ok(())
    })
}

/// The bundle as a zip, from the cache or else made, with bytecode beside.
pub fn archive(part: &Part, needs: &Needs, bundle: &str) -> Result<PathBuf> {
    archive_in(part, needs, bundle, "")
}

/// The same as a layer of functions.
pub fn layer(part: &Part, needs: &Needs, bundle: &str) -> Result<PathBuf> {
    archive_in(part, needs, bundle, LAYER)
}

/// The packages are in `directory` of the archive.
fn archive_in(part: &Part, needs: &Needs, bundle: &str, directory: &str) -> Result<PathBuf> {
    let wheels: Vec<&Wheel> = needs.pip.iter().filter(|wheel| wheel.bundle == bundle).collect();
    let requirements: String = wheels.iter().map(|wheel| wheel.requirement()).collect();
    let key = key(&requirements)?;
    let zip = workspace::cache()?.join(format!("python-{bundle}-{directory}{key:016x}.zip"));
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
        .arg(tree.join(directory));
    quietly(part, "pip-install", pip)?;
    compile(part, &tree)?;
    pack(part, &tree, &zip)?;
    Ok(zip)
}

/// Puts the bytecode beside each file, which a component cannot write into its artifacts itself.
pub fn compile(part: &Part, tree: &Path) -> Result<()> {
    let mut compile = Command::new(PYTHON);
    compile
        .args(["-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "."])
        .current_dir(tree);
    quietly(part, "pip-compile", compile)
}

/// Zips what is in `tree`. The archive is there whole or not at all.
pub fn pack(part: &Part, tree: &Path, zip: &Path) -> Result<()> {
    let unfinished = zip.with_extension("unfinished");
    let mut pack = Command::new(PYTHON);
    pack.args(["-m", "zipfile", "-c"]).arg(&unfinished).arg(".").current_dir(tree);
    quietly(part, "zip", pack)?;
    fs::rename(&unfinished, zip)?;
    Ok(())
}

/// Unpacks an archive of ours into a directory.
pub fn unpack(part: &Part, zip: &Path, tree: &Path) -> Result<()> {
    let mut unpack = Command::new(PYTHON);
    unpack.args(["-m", "zipfile", "-e"]).arg(zip).arg(tree);
    quietly(part, "unzip", unpack)
}

/// Runs a script with a directory of packages.
pub fn run(part: &Part, packages: &Path, script: &Path, argument: &Path) -> Result<()> {
    let mut python = Command::new(PYTHON);
    python.arg(script).arg(argument).env("PYTHONPATH", packages);
    quietly(part, "python", python)
}

/// As in `python3.11`.
pub fn version() -> Result<String> {
    let mut python = Command::new(PYTHON);
    python.args(["-c", "import sys; print('%d.%d' % sys.version_info[:2])"]);
    Ok(output(python)?.trim().to_owned())
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
