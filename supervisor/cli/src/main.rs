//! `hedgerow`: what people type. It speaks the contract of `hedgerow_api` and knows nothing else of the daemon;
//! recipes it checks by itself.
//!
//! Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 the daemon cannot be reached.

#![forbid(unsafe_code)]

mod arguments;
mod clock;
mod config;
mod deploy;
mod deployment;
mod doctor;
mod failure;
mod function;
mod grants;
mod greengrass;
mod histogram;
mod invoke;
mod job;
mod logs;
mod observe;
mod output;
mod plan;
mod recipe;
mod session;
mod shipped;
mod status;
mod top;
mod topic;
mod units;

use std::process::ExitCode;

use arguments::{
    Arguments, Command, ConfigCommand, DeploymentCommand, OfflineCommand, OnlineCommand,
    TopicCommand,
};
use clap::Parser;
use failure::Failure;
use job::Change;
use output::Output;
use session::Session;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let is_greengrass = greengrass::is_meant(std::env::args_os().next().as_ref());
    let (name, done) = match is_greengrass {
        true => (greengrass::NAME, greengrass::run(std::env::args_os()).await),
        false => ("hedgerow", run(Arguments::parse()).await),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has seen enough, e.g. `hedgerow logs x | head`.
        Err(Failure::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("{name}: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { root, json, command } = arguments;
    match command {
        Command::Offline(OfflineCommand::Completions { shell, program }) => {
            shipped::completions(shell, program)
        }
        Command::Offline(OfflineCommand::Manual { directory }) => shipped::manual(&directory),
        Command::Offline(OfflineCommand::Recipe(command)) => {
            recipe::run(root.as_deref(), &Output { json }, command)
        }
        Command::Online(command) => {
            let session = Session::open(root).await?;
            let done = obey(&session, &Output { json }, *command).await;
            done.map_err(|failure| session.explain(failure))
        }
    }
}

async fn obey(session: &Session, output: &Output, command: OnlineCommand) -> Result<(), Failure> {
    match command {
        OnlineCommand::Deploy { change, no_wait } => {
            deploy::run(session, output, change, no_wait).await
        }
        OnlineCommand::Plan(change) => deploy::plan(session, output, change).await,
        OnlineCommand::Deployment(command) => match command {
            DeploymentCommand::List => deployment::list(session, output).await,
            DeploymentCommand::Status { id } => deployment::status(session, output, &id).await,
            DeploymentCommand::Cancel { id } => deployment::cancel(session, output, &id).await,
        },
        OnlineCommand::Function(command) => function::run(session, output, command).await,
        OnlineCommand::Config(command) => match command {
            ConfigCommand::Show { name, pointer, origin } => {
                config::show(session, output, &name, &pointer, origin).await
            }
            ConfigCommand::Set { name, settings } => {
                config::set(session, output, &name, settings).await
            }
            ConfigCommand::Reset { name, pointer } => {
                config::reset(session, output, &name, &pointer).await
            }
        },
        OnlineCommand::Status { name } => status::run(session, output, name.as_deref()).await,
        OnlineCommand::Top(top) => top::run(session, output, top).await,
        OnlineCommand::Doctor { name } => doctor::run(session, output, name.as_deref()).await,
        OnlineCommand::Grants(command) => grants::run(session, output, command).await,
        OnlineCommand::Observe { name, period } => {
            observe::run(session, output, &name, period).await
        }
        OnlineCommand::Logs { follow, lines, name } => {
            logs::run(session, &name, follow, lines).await
        }
        OnlineCommand::Start { name } => job::change(session, output, Change::Start, &name).await,
        OnlineCommand::Stop { name } => job::change(session, output, Change::Stop, &name).await,
        OnlineCommand::Restart { name } => {
            job::change(session, output, Change::Restart, &name).await
        }
        OnlineCommand::Pause { name } => job::change(session, output, Change::Pause, &name).await,
        OnlineCommand::Resume { name } => job::change(session, output, Change::Resume, &name).await,
        OnlineCommand::Reset { name } => job::change(session, output, Change::Reset, &name).await,
        OnlineCommand::Invoke(arguments) => invoke::run(session, arguments).await,
        OnlineCommand::Topic(TopicCommand::Pub { json_payload, topic, payload }) => {
            topic::publish(session, &topic, &payload, json_payload).await
        }
        OnlineCommand::Topic(TopicCommand::Sub { count, filter }) => {
            topic::subscribe(session, output, &filter, count).await
        }
    }
}
