//! `cargo xtask bench`: the figures, measured as root by `tests/bench` on the release binaries.

use std::process::Command;

use anyhow::Result;
use clap::ValueEnum;

use crate::command::{as_root, quietly, shown};
use crate::functions::Profile;
use crate::needs::Purpose;
use crate::parts::Parts;
use crate::runtimes::Language;
use crate::{build, examples, functions, runtimes, setup, workspace};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Bench {
    /// Publish to subscriber, beside a bare echo
    Ipc,
    /// A whole fence, beside runc and crun
    Start,
    /// Command to RUNNING, bytes written, and the same where nothing changes
    Deploy,
    /// Memory, exec to ready, bytes written
    Footprint,
    /// Lambda functions, beside a bare echo, bare runtimes and a fence
    Invoke,
    /// The stripped binaries
    Sizes,
}

/// Runs `wanted`, or all; with `json` a line of JSON for each figure instead of tables.
pub fn run(parts: &mut Parts, wanted: Option<Bench>, json: bool) -> Result<()> {
    setup::install(parts, &[Purpose::Demo, Purpose::Runtimes, Purpose::Bench])?;
    let binaries = build::release(parts)?;
    examples::lay_out(parts)?;
    runtimes::lay_out(parts, Language::ALL)?;
    functions::lay_out(parts, Profile::Release)?;
    parts.run("build the benchmarks (release)", |part| {
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--release", "--locked", "--package", "hedgerow-bench"]);
        cargo.arg("--target-dir").arg(workspace::target()).current_dir(workspace::root());
        quietly(part, "build-bench", cargo)
    })?;
    let program = workspace::target().join("release/hedgerow-bench");
    for bench in Bench::value_variants() {
        if wanted.is_some_and(|wanted| wanted != *bench) {
            continue;
        }
        let name = bench.to_possible_value().map(|value| value.get_name().to_owned());
        let name = name.unwrap_or_default();
        parts.run(&format!("bench {name}"), |part| {
            let mut command = as_root("env");
            command.arg(format!("HEDGEROW_BIN={}", binaries.display())).arg(&program).arg(&name);
            command.args(json.then_some("--json"));
            shown(part, command)
        })?;
    }
    Ok(())
}
