//! The AWS SDK for JavaScript, as one artifact of the test components.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::command::{output, quietly};
use crate::needs::{Needs, Tarball};
use crate::parts::{Part, Parts};
use crate::workspace;

/// Lays the SDK out as `target/sdk/javascript.zip`, where the cases look for it.
pub fn lay_out(parts: &mut Parts) -> Result<()> {
    let packages = Needs::read()?.npm;
    parts.run("lay out the JavaScript SDK", |part| {
        let sdk = sdk(part, &packages)?;
        let directory = workspace::target().join("sdk");
        fs::create_dir_all(&directory)?;
        fs::copy(&sdk, directory.join("javascript.zip"))?;
        Ok(())
    })
}

/// The SDK as a zip of `node_modules`, from the cache or else made: the packages exactly as npm has them (their
/// digests are checked), but for what is for other machines.
pub fn sdk(part: &Part, packages: &[Tarball]) -> Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    for package in packages {
        (&package.package, &package.integrity).hash(&mut hasher);
    }
    let name = format!("aws-iot-device-sdk-v2-{:016x}.zip", hasher.finish());
    let zip = workspace::cache()?.join(name);
    if zip.exists() {
        return Ok(zip);
    }
    let scratch = tempfile::tempdir()?;
    let tree = scratch.path().join("tree");
    for package in packages {
        part.say(&format!("npm: {} {}: {}", package.package, package.version, package.why));
        let tarball = fetch(package, scratch.path())?;
        let target = tree.join("node_modules").join(&package.package);
        fs::create_dir_all(&target)?;
        let mut tar = Command::new("tar");
        tar.args(["--extract", "--gzip", "--strip-components=1", "--no-same-owner", "--file"]);
        tar.arg(&tarball).arg("--directory").arg(&target);
        quietly(part, "npm-extract", tar)?;
    }
    drop_other_machines(&tree.join("node_modules/aws-crt/dist/bin"))?;
    let unfinished = zip.with_extension("unfinished");
    let mut pack = Command::new("python3");
    pack.args(["-m", "zipfile", "-c"]).arg(&unfinished).arg("node_modules").current_dir(&tree);
    quietly(part, "npm-zip", pack)?;
    fs::rename(&unfinished, &zip)?;
    Ok(zip)
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
