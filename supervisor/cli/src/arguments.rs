//! The command line.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand};

/// Deploys, watches and drives the components of this device.
#[derive(Debug, Parser)]
#[command(name = "hedgerow", version)]
#[command(
    after_help = "Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 the daemon cannot be reached."
)]
pub struct Arguments {
    /// Speak to the daemon that was started with `hedgerowd --root DIR`, not to the system's.
    #[arg(long, global = true, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Print data as JSON.
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Add, update or remove components, and wait until that is done.
    Deploy(Deployment),
    /// Show all components, or one in detail.
    Status { name: Option<String> },
    /// Print a component's log.
    Logs {
        /// Go on printing what is written from now on.
        #[arg(short, long)]
        follow: bool,
        /// Begin with this many last lines; all that is kept where not given.
        #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        lines: Option<u32>,
        name: String,
    },
    /// Start a component and wait until it runs.
    Start { name: String },
    /// Stop a component and wait until it has stopped.
    Stop { name: String },
    /// Stop and start a component.
    Restart { name: String },
    /// Publish to and listen on local topics.
    #[command(subcommand)]
    Topic(TopicCommand),
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("change").args(["add", "remove"]).required(true).multiple(true))]
pub struct Deployment {
    /// The directory of recipes: `<name>-<version>.yaml` or `.json`.
    #[arg(long, value_name = "D")]
    pub recipe_dir: Option<PathBuf>,
    /// The directory of artifacts: `<name>/<version>/<file>`.
    #[arg(long, value_name = "D")]
    pub artifact_dir: Option<PathBuf>,
    /// A component that shall run in this version; may be repeated.
    #[arg(long, value_name = "NAME=VERSION", value_parser = parse_addition)]
    pub add: Vec<(String, String)>,
    /// A component that shall be gone; may be repeated.
    #[arg(long, value_name = "NAME")]
    pub remove: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub enum TopicCommand {
    /// Publish one message.
    Pub {
        /// The payload is JSON and is published as such.
        #[arg(long)]
        json_payload: bool,
        topic: String,
        #[arg(allow_hyphen_values = true)]
        payload: String,
    },
    /// Print the messages of a topic filter, in which `+` and `#` are wildcards.
    Sub {
        /// End after this many messages.
        #[arg(long, value_name = "N")]
        count: Option<u64>,
        filter: String,
    },
}

fn parse_addition(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((name, version)) if !name.is_empty() && !version.is_empty() => {
            Ok((name.to_owned(), version.to_owned()))
        }
        _ => Err("it takes the form NAME=VERSION"),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
