//! `hedgerow function`: Lambda functions, also without a recipe of one's own.

mod archive;
mod draft;
pub mod show;
mod update;

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use hedgerow_api::{DeployOptions, Error};
use hedgerow_component::{ComponentName, Version};
use serde_json::Value;

use crate::deploy;
use crate::failure::Failure;
use crate::job;
use crate::output::Output;
use crate::session::Session;
use draft::Draft;
pub use update::CannotUpdate;

#[derive(Debug, Subcommand)]
pub enum FunctionCommand {
    /// Make a component of a function's code and deploy it; of one that is there, its next version.
    Create(Box<Create>),
    /// Deploy the next version of a function, with other code and all else as it is. What runs is finished by the version
    /// before.
    UpdateCode(UpdateCode),
    /// All functions, with what they did since the daemon started.
    List,
    /// One function, its settings, instances and figures.
    Show {
        /// Its name or ARN.
        function: String,
    },
    /// Remove a function, its data and its queued events.
    Delete { name: String },
}

#[derive(Debug, Args)]
pub struct Create {
    /// The component's name, by which the function is invoked as well.
    pub name: ComponentName,
    #[command(flatten)]
    pub code: Code,
    /// `module.function`, `file.export`, or whatever a custom runtime makes of it.
    #[arg(long)]
    pub handler: String,
    /// As Lambda names it: python3.11, nodejs20.x, provided.al2023.
    #[arg(long)]
    pub runtime: String,
    /// The component's version; 1.0.0, or the one after that which is deployed, where not given.
    #[arg(long)]
    pub version: Option<Version>,
    /// Seconds of one invocation.
    #[arg(long, value_name = "SECONDS", default_value_t = 3)]
    pub timeout: u32,
    /// MiB of each instance.
    #[arg(long, value_name = "MIB", default_value_t = 128)]
    pub memory: u32,
    /// A variable of the function; may be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = variable)]
    pub env: Vec<(String, String)>,
    /// One instance from the deployment on, which never ends for being idle.
    #[arg(long)]
    pub pinned: bool,
    /// Instances at once.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub max_instances: u32,
    /// A filter of local topics whose messages are events; may be repeated.
    #[arg(long, value_name = "FILTER")]
    pub topic: Vec<String>,
    /// A filter of AWS IoT Core's topics whose messages are events; may be repeated.
    #[arg(long, value_name = "FILTER")]
    pub iot_topic: Vec<String>,
    /// `rate(5 minutes)` or `cron(0 12 * * ? *)`; may be repeated.
    #[arg(long, value_name = "EXPRESSION")]
    pub schedule: Vec<String>,
    /// A component whose archives are seen at /opt, later ones over earlier ones; may be repeated.
    #[arg(long, value_name = "COMPONENT")]
    pub layer: Vec<String>,
    /// Payloads are bytes, not JSON.
    #[arg(long)]
    pub binary: bool,
}

#[derive(Debug, Args)]
pub struct UpdateCode {
    /// Its name.
    pub name: String,
    #[command(flatten)]
    pub code: Code,
    /// Where it is another one.
    #[arg(long)]
    pub handler: Option<String>,
    /// Where it is another one.
    #[arg(long)]
    pub runtime: Option<String>,
    /// The component's version; the one after that which is deployed, where not given.
    #[arg(long)]
    pub version: Option<Version>,
}

/// Where the function's code is.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Code {
    /// An archive, as for Lambda.
    #[arg(long, value_name = "FILE")]
    pub zip: Option<PathBuf>,
    /// What would be in it.
    #[arg(long, value_name = "DIR")]
    pub directory: Option<PathBuf>,
}

fn variable(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("it takes the form KEY=VALUE"),
    }
}

pub async fn run(
    session: &Session,
    output: &Output,
    command: FunctionCommand,
) -> Result<(), Failure> {
    match command {
        FunctionCommand::Create(create) => self::create(session, output, *create).await,
        FunctionCommand::UpdateCode(update) => self::update(session, output, update).await,
        FunctionCommand::List => show::list(session, output).await,
        FunctionCommand::Show { function } => show::show(session, output, &function).await,
        FunctionCommand::Delete { name } => {
            // A component of another kind is none of this command's.
            session.function(&name).await?;
            let manager = session.manager().await?;
            let job = manager.deploy(&BTreeMap::new(), &[name], DeployOptions::default()).await?;
            job::follow_and_report(session, output, job).await
        }
    }
}

async fn create(session: &Session, output: &Output, create: Create) -> Result<(), Failure> {
    let name = create.name.as_str();
    let version = next_version(session, name, create.version.as_ref()).await?;
    let draft = Draft { function: &create, version: &version };
    let (recipe, configuration) = (draft.recipe(), Some(draft.update().to_string()));
    let (archive, code) = (draft::ARCHIVE.to_owned(), &create.code);
    let next = Next { name, version, recipe, configuration, archive, code };
    deploy(session, output, next).await
}

async fn update(session: &Session, output: &Output, update: UpdateCode) -> Result<(), Failure> {
    let UpdateCode { name, code, handler, runtime, version } = update;
    // An error that says so where it is a component of another kind, or none.
    session.function(&name).await?;
    let component = session.component(&name).await?;
    let recipe = component.get_recipe().await?;
    let recipe = serde_json::from_str(&recipe).map_err(Failure::Record)?;
    let version = next_version(session, &name, version.as_ref()).await?;
    let changed = update::recipe(recipe, &version, handler.as_deref(), runtime.as_deref());
    let changed = changed.map_err(|why| Failure::Update { name: name.clone(), why })?;
    let ((recipe, archive), code) = (changed, &code);
    let next = Next { name: &name, version, recipe, configuration: None, archive, code };
    deploy(session, output, next).await
}

/// A version of a function that is to be deployed.
struct Next<'a> {
    name: &'a str,
    version: String,
    recipe: Value,
    /// What changes of its configuration, as a document for `Deploy`; nothing, where not given.
    configuration: Option<String>,
    /// The name of the archive with the code.
    archive: String,
    code: &'a Code,
}

/// By a local deployment, of which the recipe and the archive are made here.
async fn deploy(session: &Session, output: &Output, next: Next<'_>) -> Result<(), Failure> {
    let Next { name, version, recipe, configuration, archive, code } = next;
    let directory = tempfile::tempdir()
        .map_err(|error| Failure::Write { path: std::env::temp_dir(), error })?;
    let (recipes, artifacts) =
        (directory.path().join("recipes"), directory.path().join("artifacts"));
    write(&recipes, &format!("{name}-{version}.json"), recipe.to_string().as_bytes())?;
    pack(code, &artifacts.join(name).join(&version), &archive)?;
    let failed = |error| Failure::Write { path: directory.path().to_owned(), error };
    open_to_all(directory.path()).map_err(failed)?;
    let options = DeployOptions {
        recipe_dir: Some(deploy::open(recipes)?),
        artifact_dir: Some(deploy::open(artifacts)?),
        configuration,
        ..DeployOptions::default()
    };
    let add = [(name.to_owned(), version)].into();
    let job = session.manager().await?.deploy(&add, &[], options).await?;
    job::follow_and_report(session, output, job).await
}

/// In a directory that is made.
fn write(directory: &Path, name: &str, content: &[u8]) -> Result<(), Failure> {
    make(directory)?;
    let path = directory.join(name);
    fs::write(&path, content).map_err(|error| Failure::Write { path, error })
}

fn make(directory: &Path) -> Result<(), Failure> {
    let failed = |error| Failure::Write { path: directory.to_owned(), error };
    fs::create_dir_all(directory).map_err(failed)
}

fn pack(code: &Code, directory: &Path, archive: &str) -> Result<(), Failure> {
    make(directory)?;
    let archive = directory.join(archive);
    match (&code.zip, &code.directory) {
        (Some(zip), _) => fs::copy(zip, &archive)
            .map(drop)
            .map_err(|error| Failure::Open { path: zip.clone(), error }),
        (None, Some(directory)) => archive::pack(directory, &archive),
        // The command line asks for one of them.
        (None, None) => Ok(()),
    }
}

/// The daemon, which is another user, reads what is made here, whatever this user's umask.
fn open_to_all(path: &Path) -> io::Result<()> {
    let is_directory = path.is_dir();
    fs::set_permissions(path, Permissions::from_mode(if is_directory { 0o755 } else { 0o644 }))?;
    if is_directory {
        for entry in fs::read_dir(path)? {
            open_to_all(&entry?.path())?;
        }
    }
    Ok(())
}

/// The one that is given; else the first, or the patch after the one that is deployed.
async fn next_version(
    session: &Session,
    name: &str,
    given: Option<&Version>,
) -> Result<String, Failure> {
    if let Some(given) = given {
        return Ok(given.to_string());
    }
    let deployed = match session.component(name).await {
        Ok(component) => component.version().await.map_err(Failure::from)?,
        Err(Failure::Refused(Error::NoSuchComponent(_))) => return Ok("1.0.0".to_owned()),
        Err(failure) => return Err(failure),
    };
    Ok(draft::after(&deployed).unwrap_or(deployed))
}
