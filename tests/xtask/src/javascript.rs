//! JavaScript packages of `needs.toml` as archives of `node_modules`, exactly as npm has them: their digests are checked.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::command::{output, quietly};
use crate::needs::{Needs, Tarball};
use crate::parts::{Part, Parts};
use crate::tree::fresh;
use crate::{python, workspace};

/// The SDK of Greengrass v1.
const V1_SDK: &str = "aws-greengrass-core-sdk";

/// Lays the SDKs out where the cases look for them: Greengrass's as `target/sdk/javascript.zip`, the one of Greengrass v1
/// as `target/sdk/aws-greengrass-core-sdk`.
pub fn lay_out(parts: &mut Parts) -> Result<()> {
    let needs = Needs::read()?;
    parts.run("lay out the JavaScript SDKs", |part| {
        let directory = workspace::target().join("sdk");
        let v1 = directory.join(V1_SDK);
        fresh(&v1)?;
        fs::copy(sdk(part, &needs)?, directory.join("javascript.zip"))?;
        python::unpack(part, &archive(part, &needs, V1_SDK, |_| Ok(()))?, &v1)
    })
}

/// The AWS SDK, but for what is for other machines.
pub fn sdk(part: &Part, needs: &Needs) -> Result<PathBuf> {
    archive(part, needs, "aws-iot-device-sdk-v2", |modules| {
        drop_other_machines(&modules.join("aws-crt/dist/bin"))
    })
}

/// The bundle as a zip of `node_modules`, from the cache or else made. `prepare` is given the directory before.
pub fn archive(
    part: &Part,
    needs: &Needs,
    bundle: &str,
    prepare: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let packages: Vec<&Tarball> =
        needs.npm.iter().filter(|package| package.bundle == bundle).collect();
    let zip = workspace::cache()?.join(format!("node-{bundle}-{:016x}.zip", key(&packages)?));
    if zip.exists() {
        return Ok(zip);
    }
    let scratch = tempfile::tempdir()?;
    let tree = scratch.path().join("tree");
    let modules = tree.join("node_modules");
    for package in packages {
        part.say(&format!("npm: {} {}: {}", package.package, package.version, package.why));
        let tarball = fetch(package, scratch.path())?;
        let target = modules.join(&package.package);
        fs::create_dir_all(&target)?;
        let mut tar = Command::new("tar");
        tar.args(["--extract", "--gzip", "--strip-components=1", "--no-same-owner", "--file"]);
        tar.arg(&tarball).arg("--directory").arg(&target);
        quietly(part, "npm-extract", tar)?;
    }
    prepare(&modules)?;
    python::pack(part, &tree, &zip)?;
    Ok(zip)
}

/// As in `nodejs20.x`.
pub fn version() -> Result<String> {
    let mut node = Command::new("node");
    node.args(["--print", "process.versions.node.split('.')[0]"]);
    Ok(output(node)?.trim().to_owned())
}

/// What the zip depends on: the packages and, where they are compiled, the interpreter's version.
fn key(packages: &[&Tarball]) -> Result<u64> {
    let mut hasher = DefaultHasher::new();
    for package in packages {
        (&package.package, &package.integrity).hash(&mut hasher);
    }
    version()?.hash(&mut hasher);
    Ok(hasher.finish())
}

/// Has npm fetch one package, whose content npm says the digest of.
fn fetch(package: &Tarball, directory: &Path) -> Result<PathBuf> {
    let mut npm = Command::new("npm");
    npm.args(["pack", "--silent", "--json", "--pack-destination"]).arg(directory);
    npm.arg(format!("{}@{}", package.package, package.version)).current_dir(directory);
    let packed: Value = serde_json::from_str(&output(npm)?).context("what npm pack says")?;
    let integrity = packed[0]["integrity"].as_str().unwrap_or_default();
    ensure!(
        integrity == package.integrity,
        "{} {} is not the one that needs.toml lists: its digest is {integrity}",
        package.package,
        package.version
    );
    let file = packed[0]["filename"].as_str().context("npm pack names no file")?;
    // A scoped package's file is named with a slash by some versions of npm, and with a dash by all on disk.
    Ok(directory.join(file.trim_start_matches('@').replace('/', "-")))
}

/// Removes the native libraries that this machine does not load: most of the package.
fn drop_other_machines(binaries: &Path) -> Result<()> {
    let own = match env::consts::ARCH {
        "x86_64" => "linux-x64-glibc",
        "aarch64" => "linux-arm64-glibc",
        _ => return Ok(()),
    };
    for entry in fs::read_dir(binaries).with_context(|| binaries.display().to_string())? {
        let entry = entry?;
        if entry.file_name() != own {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}
