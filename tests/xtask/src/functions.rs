//! The example function that is compiled.

use std::fs;
use std::process::Command;

use anyhow::Result;

use crate::command::quietly;
use crate::parts::Parts;
use crate::workspace;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    Debug,
    /// What benchmarks measure.
    Release,
}

/// Cargo's profile of functions, which are not built as we are.
const FUNCTION: &str = "function";

/// Lays it out as `target/functions/echo-rust/bootstrap`, where the tests look for it.
pub fn lay_out(parts: &mut Parts, profile: Profile) -> Result<()> {
    parts.run("lay out the function in Rust", |part| {
        let mut build = Command::new("cargo");
        build.args(["build", "--locked", "--package", "echo-rust"]).current_dir(workspace::root());
        let built = match profile {
            Profile::Debug => "debug",
            Profile::Release => {
                build.args(["--profile", FUNCTION]);
                FUNCTION
            }
        };
        quietly(part, "echo-rust", build)?;
        let directory = workspace::target().join("functions/echo-rust");
        fs::create_dir_all(&directory)?;
        let program = workspace::target().join(built).join("echo-rust");
        fs::copy(program, directory.join("bootstrap"))?;
        Ok(())
    })
}
