//! `hedgerow`: what people type. It speaks the contract of `hedgerow_api` and knows nothing else of the daemon.
//!
//! Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 the daemon cannot be reached.

#![forbid(unsafe_code)]

mod arguments;
mod deploy;
mod failure;
mod job;
mod logs;
mod output;
mod session;
mod status;
mod topic;

use std::process::ExitCode;

use arguments::{Arguments, Command, TopicCommand};
use clap::Parser;
use failure::Failure;
use job::Change;
use output::Output;
use session::Session;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has seen enough, e.g. `hedgerow logs x | head`.
        Err(Failure::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("hedgerow: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let output = Output { json: arguments.json };
    let session = Session::open(arguments.root).await?;
    let answer = match arguments.command {
        Command::Deploy(deployment) => deploy::run(&session, &output, deployment).await,
        Command::Status { name } => status::run(&session, &output, name.as_deref()).await,
        Command::Logs { follow, lines, name } => logs::run(&session, &name, follow, lines).await,
        Command::Start { name } => job::change(&session, &output, Change::Start, &name).await,
        Command::Stop { name } => job::change(&session, &output, Change::Stop, &name).await,
        Command::Restart { name } => job::change(&session, &output, Change::Restart, &name).await,
        Command::Topic(TopicCommand::Pub { json_payload, topic, payload }) => {
            topic::publish(&session, &topic, &payload, json_payload).await
        }
        Command::Topic(TopicCommand::Sub { count, filter }) => {
            topic::subscribe(&session, &output, &filter, count).await
        }
    };
    answer.map_err(|failure| session.explain(failure))
}
