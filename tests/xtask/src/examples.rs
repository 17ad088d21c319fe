//! The example components, ready to deploy: their recipes and artifacts with the Python SDK they use.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use crate::needs::Needs;
use crate::parts::{Part, Parts};
use crate::tree::{copy_tree, fresh};
use crate::{python, workspace};

/// File name of the SDK artifact in the recipes.
const SDK: &str = "awsiotsdk.zip";

/// A recipe directory and an artifact directory, as `hedgerow deploy` takes them.
#[derive(Debug)]
pub struct Examples {
    pub recipes: PathBuf,
    pub artifacts: PathBuf,
}

/// Lays the examples out in `target/examples`.
pub fn lay_out(parts: &mut Parts) -> Result<Examples> {
    let needs = Needs::read()?;
    parts.run("lay out the examples", |part| {
        let sdk = sdk(part, &needs)?;
        let source = workspace::root().join("examples");
        let made = workspace::target().join("examples");
        fresh(&made)?;
        let examples =
            Examples { recipes: made.join("recipes"), artifacts: made.join("artifacts") };
        copy_tree(&source.join("recipes"), &examples.recipes)?;
        copy_tree(&source.join("artifacts"), &examples.artifacts)?;
        for component in fs::read_dir(&examples.artifacts)? {
            for version in fs::read_dir(component?.path())? {
                fs::copy(&sdk, version?.path().join(SDK))?;
            }
        }
        Ok(examples)
    })
}

/// The AWS SDK as a zip.
pub fn sdk(part: &Part, needs: &Needs) -> Result<PathBuf> {
    python::archive(part, needs, "awsiotsdk")
}
