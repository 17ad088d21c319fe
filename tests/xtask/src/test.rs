//! `cargo xtask test`: the crates' own tests, the end-to-end cases as root, the booted guest.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::command::{as_root, output, shown};
use crate::needs::Purpose;
use crate::parts::Parts;
use crate::{build, examples, guest, setup, workspace};

/// The crate of the end-to-end cases, which need root and the release binaries.
const CASES: &str = "hedgerow-cases";

pub fn run(parts: &mut Parts, with_guest: bool) -> Result<()> {
    let mut purposes = vec![Purpose::Demo, Purpose::Test];
    if with_guest {
        purposes.push(Purpose::Guest);
    }
    setup::install(parts, &purposes)?;
    parts.run("the crates' own tests", |part| {
        let mut cargo = cargo();
        cargo.args(["test", "--locked", "--workspace", "--exclude", CASES]);
        shown(part, cargo)
    })?;
    let binaries = build::release(parts)?;
    examples::lay_out(parts)?;
    parts.run("the end-to-end cases", |part| {
        for test in case_binaries()? {
            let mut command = as_root("env");
            command.arg(format!("HEDGEROW_BIN={}", binaries.display())).arg(&test);
            shown(part, command)?;
        }
        Ok(())
    })?;
    if with_guest {
        guest::cases(parts, None)?;
    } else {
        parts.left_out("the booted guest", "--no-guest");
    }
    Ok(())
}

/// Builds the cases as the caller and returns their executables, so that root builds nothing.
fn case_binaries() -> Result<Vec<PathBuf>> {
    let mut build = cargo();
    build.args(["test", "--locked", "--package", CASES, "--tests", "--no-run"]);
    build.args(["--message-format", "json-render-diagnostics"]);
    let text = output(build)?;
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let tests: Vec<PathBuf> = messages
        .filter(|message| message["target"]["kind"][0] == "test")
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .collect();
    ensure!(!tests.is_empty(), "{CASES} has no tests");
    Ok(tests)
}

fn cargo() -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(workspace::root());
    command
}
