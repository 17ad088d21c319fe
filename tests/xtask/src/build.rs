//! The release binaries, collected in `target/hedgerow`.

use std::path::PathBuf;
use std::process::Command;
use std::{env, fs, iter};

use anyhow::{Context, Result};

use crate::command::{output, quietly};
use crate::parts::Parts;
use crate::{shipped, workspace};

/// Crate and binary of everything that is installed, but for `hedgerow-init`.
const BINARIES: [(&str, &str); 4] = [
    ("hedgerow-daemon", "hedgerowd"),
    ("hedgerow-launcher", "hedgerow-launch"),
    ("hedgerow-launcher", "hedgerow-builder"),
    ("hedgerow-cli", "hedgerow"),
];

/// PID 1 of every fence. Linked statically: the fence's root may be any image.
const INIT: &str = "hedgerow-init";

/// Builds as the caller and returns `target/hedgerow` with the five binaries, stripped; builds nothing where
/// `HEDGEROW_BIN` names a directory that has them.
pub fn release(parts: &mut Parts) -> Result<PathBuf> {
    if let Some(directory) = env::var_os("HEDGEROW_BIN") {
        parts.left_out("build the binaries", "HEDGEROW_BIN names others");
        return Ok(directory.into());
    }
    let target = workspace::target();
    let collected = target.join("hedgerow");
    parts.run("build the binaries (release)", |part| {
        let mut cargo = cargo_build();
        cargo.arg("--target-dir").arg(&target);
        cargo.args(BINARIES.iter().flat_map(|(package, _)| ["--package", package]));
        quietly(part, "build", cargo)?;

        let host = host()?;
        let mut cargo = cargo_build();
        cargo
            .args(["--package", INIT, "--target", &host, "--target-dir"])
            .arg(target.join("static"))
            .env("RUSTFLAGS", "-C target-feature=+crt-static");
        quietly(part, "build-init", cargo)?;

        fs::create_dir_all(&collected)?;
        let built = BINARIES.map(|(_, name)| target.join("release").join(name));
        let init = target.join("static").join(&host).join("release").join(INIT);
        let mut sum = 0;
        for path in built.into_iter().chain(iter::once(init)) {
            let name = path.file_name().context("a binary without a name")?;
            let to = collected.join(name);
            // A copy over a running binary fails; a new file in its place does not.
            let fresh = to.with_extension("new");
            let size = fs::copy(&path, &fresh).with_context(|| path.display().to_string())?;
            fs::rename(&fresh, &to)?;
            sum += size;
            part.say(&format!("{:>10.2} MB  {}", megabytes(size), name.to_string_lossy()));
        }
        part.say(&format!("{:>10.2} MB  together", megabytes(sum)));
        shipped::make(part, &collected)
    })?;
    Ok(collected)
}

fn cargo_build() -> Command {
    let mut command = Command::new("cargo");
    command.args(["build", "--release", "--locked"]).current_dir(workspace::root());
    command
}

/// The triple of the machine that builds.
fn host() -> Result<String> {
    let mut rustc = Command::new("rustc");
    rustc.arg("-vV").current_dir(workspace::root());
    let text = output(rustc)?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc -vV names no host")?.to_owned())
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
