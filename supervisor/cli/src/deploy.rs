//! `hedgerow deploy`.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use hedgerow_api::DeployOptions;
use hedgerow_api::zbus;

use crate::arguments::Deployment;
use crate::failure::Failure;
use crate::job;
use crate::output::Output;
use crate::session::Session;

pub async fn run(
    session: &Session,
    output: &Output,
    deployment: Deployment,
) -> Result<(), Failure> {
    let options = DeployOptions {
        recipe_dir: deployment.recipe_dir.map(open).transpose()?,
        artifact_dir: deployment.artifact_dir.map(open).transpose()?,
        ..DeployOptions::default()
    };
    let add = deployment.add.into_iter().collect();
    let job = session.manager().await?.deploy(&add, &deployment.remove, options).await?;
    job::follow_and_report(session, output, job).await
}

/// Opened here, by the person who asks; the daemon reads beneath it.
fn open(path: PathBuf) -> Result<zbus::OwnedFd, Failure> {
    match File::open(&path) {
        Ok(directory) => Ok(OwnedFd::from(directory).into()),
        Err(error) => Err(Failure::Directory { path, error }),
    }
}
