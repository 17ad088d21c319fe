//! The example function that is compiled.

use std::fs;
use std::process::Command;

use anyhow::Result;

use crate::command::quietly;
use crate::parts::Parts;
use crate::workspace;

/// Lays it out as `target/functions/echo-rust/bootstrap`, where the tests look for it.
pub fn lay_out(parts: &mut Parts) -> Result<()> {
    parts.run("lay out the function in Rust", |part| {
        let mut build = Command::new("cargo");
        build.args(["build", "--locked", "--package", "echo-rust"]).current_dir(workspace::root());
        quietly(part, "echo-rust", build)?;
        let directory = workspace::target().join("functions/echo-rust");
        fs::create_dir_all(&directory)?;
        fs::copy(workspace::target().join("debug/echo-rust"), directory.join("bootstrap"))?;
        Ok(())
    })
}
