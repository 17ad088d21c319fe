//! The example components, ready to deploy: their recipes and artifacts with all that they use, the runtime of their
//! functions among it.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use anyhow::Result;

use crate::needs::Needs;
use crate::parts::{Part, Parts};
use crate::runtimes::Language;
use crate::tree::{copy_tree, fresh};
use crate::{python, workspace};

/// The bundle of the AWS SDK.
const SDK: &str = "awsiotsdk";

/// Functions in Python: the file of this name in the directory of this name.
const FUNCTIONS: [&str; 2] = ["alarm", "classify"];

/// Bundles that are layers of them, and the components' versions.
const LAYERS: [(&str, &str); 2] = [(SDK, "1.31.0"), ("onnxruntime", "1.32.0")];

/// What the model is in.
const MODEL: [&str; 2] = ["model.onnx", "model.weights"];

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
        let source = workspace::root().join("examples");
        let made = workspace::target().join("examples");
        fresh(&made)?;
        let examples =
            Examples { recipes: made.join("recipes"), artifacts: made.join("artifacts") };
        copy_tree(&source.join("recipes"), &examples.recipes)?;
        copy_tree(&source.join("artifacts"), &examples.artifacts)?;
        let sensor = examples.artifacts_of("sensor", "1.0.0")?;
        fs::copy(python::archive(part, &needs, SDK)?, sensor.join("awsiotsdk.zip"))?;
        for (bundle, version) in LAYERS {
            let layer = python::layer(part, &needs, bundle)?;
            fs::copy(layer, examples.artifacts_of(bundle, version)?.join("layer.zip"))?;
        }
        for name in FUNCTIONS {
            let code = tempfile::tempdir()?;
            let file = format!("{name}.py");
            fs::copy(source.join("functions").join(name).join(&file), code.path().join(&file))?;
            let archive = examples.artifacts_of(name, "1.0.0")?.join("lambda-artifact.zip");
            python::pack(part, code.path(), &archive)?;
        }
        let (model, classify) = (model(part, &needs)?, examples.artifacts_of("classify", "1.0.0")?);
        for file in MODEL {
            fs::copy(model.join(file), classify.join(file))?;
        }
        Language::Python.add_to(part, &needs, &made, &tempfile::tempdir()?.path().join("tree"))?;
        Ok(examples)
    })
}

/// Fetches what the examples are made of.
pub fn fetch(part: &Part, needs: &Needs) -> Result<()> {
    python::archive(part, needs, SDK)?;
    for (bundle, _) in LAYERS {
        python::layer(part, needs, bundle)?;
    }
    model(part, needs).map(drop)
}

/// The directory of the inference example's model, from the cache or else trained.
fn model(part: &Part, needs: &Needs) -> Result<PathBuf> {
    let script = workspace::root().join("examples/functions/classify/train.py");
    let packages = python::archive(part, needs, "training")?;
    let mut hasher = DefaultHasher::new();
    (&packages, fs::read(&script)?).hash(&mut hasher);
    let model = workspace::cache()?.join(format!("classify-{:016x}", hasher.finish()));
    if model.exists() {
        return Ok(model);
    }
    let scratch = tempfile::tempdir_in(workspace::cache()?)?;
    let (tree, made) = (scratch.path().join("packages"), scratch.path().join("model"));
    python::unpack(part, &packages, &tree)?;
    fs::create_dir(&made)?;
    python::run(part, &tree, &script, &made)?;
    fs::rename(&made, &model)?;
    Ok(model)
}

impl Examples {
    fn artifacts_of(&self, name: &str, version: &str) -> Result<PathBuf> {
        let directory = self.artifacts.join(format!("com.example.{name}")).join(version);
        fs::create_dir_all(&directory)?;
        Ok(directory)
    }
}
