//! `hedgerow deploy` and `hedgerow plan`.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use hedgerow_api::zbus;
use hedgerow_api::{DeployOptions, JobProperties};
use serde_json::json;

use crate::arguments::Change;
use crate::failure::Failure;
use crate::job;
use crate::output::Output;
use crate::plan::Plan;
use crate::session::Session;

pub async fn run(
    session: &Session,
    output: &Output,
    change: Change,
    no_wait: bool,
) -> Result<(), Failure> {
    let (add, remove) = roots(&change);
    let options = options(change)?;
    let job = session.manager().await?.deploy(&add, &remove, options).await?;
    if !no_wait {
        return job::follow_and_report(session, output, job).await;
    }
    let id = JobProperties::of(&session.connection, &job).await?.result.deployment;
    output.print(&json!({"job": job.as_str(), "deployment": id}), |_| {
        format!("deployment {}", id.as_deref().unwrap_or("without an id"))
    })
}

pub async fn plan(session: &Session, output: &Output, change: Change) -> Result<(), Failure> {
    let (add, remove) = roots(&change);
    let options = options(change)?;
    let text = session.manager().await?.plan(&add, &remove, options).await?;
    let plan: Plan = serde_json::from_str(&text).map_err(Failure::Record)?;
    output.print(&plan, Plan::people)
}

fn roots(change: &Change) -> (std::collections::BTreeMap<String, String>, Vec<String>) {
    (change.add.iter().cloned().collect(), change.remove.clone())
}

fn options(change: Change) -> Result<DeployOptions, Failure> {
    Ok(DeployOptions {
        recipe_dir: change.recipe_dir.map(open).transpose()?,
        artifact_dir: change.artifact_dir.map(open).transpose()?,
        group: change.group,
        configuration: change.update_config.map(text_or_file).transpose()?,
        run_with: change.run_with.map(text_or_file).transpose()?,
        failure_handling_policy: change.failure_handling_policy,
        component_update_policy: change.component_update_policy.map(text_or_file).transpose()?,
        document: change.document.map(text_or_file).transpose()?,
        ..DeployOptions::default()
    })
}

/// Opened here, by the person who asks; the daemon reads beneath it.
pub fn open(path: PathBuf) -> Result<zbus::OwnedFd, Failure> {
    match File::open(&path) {
        Ok(directory) => Ok(OwnedFd::from(directory).into()),
        Err(error) => Err(Failure::Open { path, error }),
    }
}

/// What a file of that name holds, or where there is none, the text itself, as in `greengrass-cli`.
pub fn text_or_file(argument: String) -> Result<String, Failure> {
    if argument.trim_start().starts_with('{') {
        return Ok(argument);
    }
    let path = Path::new(&argument);
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text),
        // Neither a file nor JSON: the daemon will say so of the option.
        Err(error) if error.kind() == io::ErrorKind::InvalidFilename => Ok(argument),
        Err(error) => Err(Failure::Open { path: path.to_owned(), error }),
    }
}
