//! `bench sizes`: the stripped release binaries, as `cargo xtask build` collects them.

use std::fs;

use anyhow::{Context, Result};

use crate::figure::{Figure, Target};

const BINARIES: [&str; 5] =
    ["hedgerowd", "hedgerow-launch", "hedgerow-builder", "hedgerow-init", "hedgerow"];

/// Megabytes of all together.
const LIMIT: f64 = 14.0;

pub fn measure() -> Result<Vec<Figure>> {
    let directory = hedgerow_harness::binaries();
    let mut figures = Vec::new();
    let mut sum = 0.0;
    for name in BINARIES {
        let path = directory.join(name);
        let found = fs::metadata(&path).with_context(|| path.display().to_string())?;
        let megabytes = found.len() as f64 / 1e6;
        sum += megabytes;
        figures.push(Figure::new(format!("sizes.{name}"), megabytes, "MB"));
    }
    figures.push(Figure::new("sizes.together", sum, "MB").held_to(Target::Under(LIMIT)));
    Ok(figures)
}
