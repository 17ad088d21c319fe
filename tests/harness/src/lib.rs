//! A Hedgerow of one's own: started in a temporary directory from the built binaries, driven through its
//! command line, and gone without a trace at the end. Needs root.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! let hedgerow = hedgerow_harness::Hedgerow::start("")?;
//! hedgerow.deploy(&hedgerow_harness::components(), &["test.ticker=1.0.0"])?;
//! hedgerow.wait_for("test.ticker", "RUNNING", |component| component.state == "RUNNING")?;
//! hedgerow.finish()?;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod disk;
mod draft;
mod hedgerow;
mod jobs;
mod outside;
mod patience;
mod secret;
mod traces;

use std::path::{Path, PathBuf};

pub use disk::Disk;
pub use draft::Draft;
pub use hedgerow::{Component, Deployment, Hedgerow, Said, Source, Start};
pub use hedgerow_api::{JobKind, JobProperties, JobState};
pub use outside::{Outside, Server};
pub use patience::{PATIENCE, eventually};
pub use secret::give_to_the_daemon;
pub use traces::Traces;

/// The components of `tests/components`.
pub fn components() -> Source {
    let directory = project().join("tests/components");
    Source { recipes: directory.join("recipes"), artifacts: None }
}

/// The examples, as `cargo xtask build` lays them out.
pub fn examples() -> Source {
    let directory = project().join("target/examples");
    Source { recipes: directory.join("recipes"), artifacts: Some(directory.join("artifacts")) }
}

/// The components that run functions in this machine's Python and Node, as `cargo xtask runtimes` lays them out.
pub fn runtimes() -> Source {
    let directory = project().join("target/runtimes");
    Source { recipes: directory.join("recipes"), artifacts: Some(directory.join("artifacts")) }
}

/// What such a component brings at `/var/runtime`: `python` or `node`.
pub fn runtime_client(language: &str) -> PathBuf {
    project().join("target/runtimes").join(language)
}

/// An example function's code, as it stands in `examples/functions`.
pub fn function(name: &str) -> PathBuf {
    project().join("examples/functions").join(name)
}

/// The example function in Rust, as `cargo xtask` lays it out: a directory with its `bootstrap`.
pub fn rust_function() -> PathBuf {
    project().join("target/functions/echo-rust")
}

/// The AWS SDK for JavaScript, as `cargo xtask test` lays it out.
pub fn javascript_sdk() -> PathBuf {
    project().join("target/sdk/javascript.zip")
}

/// The unmodified boto3 and what it needs, for `PYTHONPATH`, as `cargo xtask test` lays it out.
pub fn boto3() -> PathBuf {
    project().join("target/sdk/boto3")
}

/// An unmodified SDK of Greengrass v1 and what it needs, as `cargo xtask test` lays it out: `greengrasssdk`,
/// `greengrasssdk-1.4` or `aws-greengrass-core-sdk`.
pub fn v1_sdk(bundle: &str) -> PathBuf {
    project().join("target/sdk").join(bundle)
}

/// Where the four binaries are: `$HEDGEROW_BIN`, or where `cargo xtask build` collects them.
pub fn binaries() -> PathBuf {
    std::env::var_os("HEDGEROW_BIN")
        .map_or_else(|| project().join("target/hedgerow"), PathBuf::from)
}

fn project() -> &'static Path {
    let harness = Path::new(env!("CARGO_MANIFEST_DIR"));
    harness.ancestors().nth(2).unwrap_or(harness)
}
