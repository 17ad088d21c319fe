//! The habits of `greengrass-cli`: this program under that name takes that tool's commands.
//!
//! Options, output lines and exit codes are those of the tool's public documentation; what it says beside them
//! is ours. It speaks D-Bus like the rest of this program: there is no token and no root path to be found.

mod arguments;
mod component;
mod deployment;
mod logs;
mod pubsub;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub use arguments::Arguments;
use arguments::{Command, ComponentCommand, DeploymentCommand, IotCoreCommand, PubSubCommand};
use clap::Parser;
use hedgerow_api::Bus;

use crate::failure::Failure;
use crate::session::Session;

/// The name under which packages link this program.
pub const NAME: &str = "greengrass-cli";

/// Whether the program was called by that name.
pub fn is_meant(program: Option<&OsString>) -> bool {
    program.and_then(|path| Path::new(path).file_name()).is_some_and(|name| name == NAME)
}

pub async fn run(command_line: impl Iterator<Item = OsString>) -> Result<(), Failure> {
    let arguments = Arguments::parse_from(command_line.map(arguments::in_one_dash));
    let session = Session::open(root(arguments.ggc_root_path)).await?;
    let done = obey(&session, arguments.command).await;
    done.map_err(|failure| session.explain(failure))
}

/// Greengrass' root path says nothing here, unless it is the directory of a `hedgerowd --root`.
fn root(given: Option<PathBuf>) -> Option<PathBuf> {
    given.filter(|path| Bus::socket(path).exists())
}

async fn obey(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::Deployment(command) => match command {
            DeploymentCommand::Create(creation) => deployment::create(session, creation).await,
            DeploymentCommand::Status { deployment_id } => {
                deployment::status(session, &deployment_id).await
            }
            DeploymentCommand::List => deployment::list(session).await,
            DeploymentCommand::Cancel { deployment_id } => {
                deployment::cancel(session, &deployment_id).await
            }
        },
        Command::Component(command) => match command {
            ComponentCommand::List => component::list(session).await,
            ComponentCommand::Details { name } => component::details(session, &name).await,
            ComponentCommand::Restart { names } => component::restart(session, &names).await,
            ComponentCommand::Stop { names } => component::stop(session, &names).await,
        },
        Command::Logs(command) => logs::run(session, command).await,
        Command::Pubsub(command) => match command {
            PubSubCommand::Pub { topic, message } => {
                pubsub::publish(session, &topic, message).await
            }
            PubSubCommand::Sub { topic } => pubsub::subscribe(session, &topic).await,
        },
        Command::Iotcore(IotCoreCommand::Pub { .. } | IotCoreCommand::Sub { .. }) => Err(
            Failure::NotProvided("there is no link to AWS IoT Core yet; `pubsub` has local topics"),
        ),
        Command::GetDebugPassword => Err(Failure::NotProvided(
            "there is no local debug console, hence no password for it; see `hedgerow status`",
        )),
    }
}
