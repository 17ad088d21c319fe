//! `cargo xtask test`: the crates' own tests, the end-to-end cases as root, the booted guest.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::command::{as_root, output, shown};
use crate::functions::Profile;
use crate::needs::Purpose;
use crate::parts::Parts;
use crate::runtimes::Language;
use crate::{build, examples, functions, guest, javascript, python, runtimes, setup, workspace};

/// Crates whose integration tests need root: the fences' own, and the end-to-end cases with the release binaries.
const AS_ROOT: [&str; 2] = ["hedgerow-launcher", "hedgerow-cases"];

pub fn run(parts: &mut Parts, with_guest: bool) -> Result<()> {
    let mut purposes = vec![Purpose::Demo, Purpose::Runtimes, Purpose::Test];
    if with_guest {
        purposes.push(Purpose::Guest);
    }
    setup::install(parts, &purposes)?;
    runtimes::lay_out(parts, Language::ALL)?;
    functions::lay_out(parts, Profile::Debug)?;
    parts.run("the crates' own tests", |part| {
        let mut cargo = cargo();
        cargo.args(["test", "--locked", "--workspace"]);
        cargo.args(AS_ROOT.iter().flat_map(|package| ["--exclude", package]));
        shown(part, cargo)
    })?;
    let binaries = build::release(parts)?;
    examples::lay_out(parts)?;
    javascript::lay_out(parts)?;
    python::lay_out_sdks(parts)?;
    for package in AS_ROOT {
        parts.run(&format!("{package}, as root"), |part| {
            // The launcher's own tests take the init that lies beside it.
            let mut init = cargo();
            init.args(["build", "--locked", "--package", "hedgerow-init"]);
            shown(part, init)?;
            for test in test_binaries(package)? {
                let mut command = as_root("env");
                command.arg(format!("HEDGEROW_BIN={}", binaries.display())).arg(&test);
                shown(part, command)?;
            }
            Ok(())
        })?;
    }
    if with_guest {
        guest::cases(parts, None)?;
    } else {
        parts.left_out("the booted guest", "--no-guest");
    }
    Ok(())
}

/// Builds a package's tests as the caller and returns their executables, so that root builds nothing.
fn test_binaries(package: &str) -> Result<Vec<PathBuf>> {
    let mut build = cargo();
    build.args(["test", "--locked", "--package", package, "--all-targets", "--no-run"]);
    build.args(["--message-format", "json-render-diagnostics"]);
    let text = output(build)?;
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let tests: Vec<PathBuf> = messages
        .filter(|message| message["profile"]["test"] == true)
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .collect();
    ensure!(!tests.is_empty(), "{package} has no tests");
    Ok(tests)
}

fn cargo() -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(workspace::root());
    command
}
