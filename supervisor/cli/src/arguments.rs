//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Parser, Subcommand};
use clap_complete::Shell;
use serde_json::Value;

use crate::function::FunctionCommand;
use crate::grants::GrantsCommand;
use crate::invoke::Invoke;
use crate::recipe::RecipeCommand;
use crate::shipped::Program;
use crate::top::Top;

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
    #[command(flatten)]
    Online(Box<OnlineCommand>),
    #[command(flatten)]
    Offline(OfflineCommand),
}

/// What is asked of the daemon.
#[derive(Debug, Subcommand)]
pub enum OnlineCommand {
    /// Add, update, remove or configure components, and wait until that is done.
    Deploy {
        #[command(flatten)]
        change: Change,
        /// Print the deployment's id and leave it to itself.
        #[arg(long)]
        no_wait: bool,
    },
    /// Show what `deploy` with the same arguments would do, and do nothing.
    Plan(Change),
    /// Look after deployments.
    #[command(subcommand)]
    Deployment(DeploymentCommand),
    /// Make, list and remove Lambda functions.
    #[command(subcommand)]
    Function(FunctionCommand),
    /// Show and change the configuration of a component.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Show all components, or one in detail.
    Status { name: Option<String> },
    /// Watch components and functions at work.
    Top(Top),
    /// Explain what this machine offers to components, and what one of them sees and may do.
    Doctor { name: Option<String> },
    /// Restart a component for a while in a fence that tells what it denies, and show that.
    Observe {
        name: String,
        /// How long at most, up to an hour; it ends sooner where the component does.
        #[arg(long = "for", value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
        period: Duration,
    },
    /// Find what an administrator may have to grant.
    #[command(subcommand)]
    Grants(GrantsCommand),
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
    /// Freeze a component: its processes stay, and do nothing.
    Pause { name: String },
    /// Let a paused component go on.
    Resume { name: String },
    /// Forget a component's failures, and try it again at once.
    Reset { name: String },
    /// Run a Lambda function, and print what it answers.
    Invoke(Invoke),
    /// Publish to and listen on local topics.
    #[command(subcommand)]
    Topic(TopicCommand),
}

/// What needs no daemon.
#[derive(Debug, Subcommand)]
pub enum OfflineCommand {
    /// Print what makes a shell complete this program's arguments.
    Completions {
        shell: Shell,
        /// Under which name the program is called.
        #[arg(long, value_enum, default_value_t)]
        program: Program,
    },
    /// Write the manual pages of all commands, as packages ship them.
    #[command(hide = true)]
    Manual {
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
    /// Check recipes.
    #[command(subcommand)]
    Recipe(RecipeCommand),
}

/// What a deployment changes, and how.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("change")
    .args(["add", "remove", "update_config", "run_with", "document"]).required(true).multiple(true))]
pub struct Change {
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
    /// Whose components are changed; `LOCAL_DEPLOYMENTS` where not given.
    #[arg(long, value_name = "THING-GROUP")]
    pub group: Option<String>,
    /// Configuration: `{"NAME": {"MERGE": {…}, "RESET": ["/pointer"]}}`.
    #[arg(long, value_name = "JSON|FILE")]
    pub update_config: Option<String>,
    /// `{"NAME": {"posixUser": "user:group", "systemResourceLimits": {"memory": KB, "cpus": 0.5}}}`.
    #[arg(long, value_name = "JSON|FILE")]
    pub run_with: Option<String>,
    /// What to do when it fails.
    #[arg(long, value_name = "POLICY", value_parser = ["ROLLBACK", "DO_NOTHING"])]
    pub failure_handling_policy: Option<String>,
    /// `{"timeout": SECONDS, "action": "NOTIFY_COMPONENTS"}` or `"SKIP_NOTIFY_COMPONENTS"`.
    #[arg(long, value_name = "JSON|FILE")]
    pub component_update_policy: Option<String>,
    /// A complete Greengrass deployment document, in place of the options above but the directories.
    #[arg(long, value_name = "JSON|FILE", conflicts_with_all = ["add", "remove", "group",
        "update_config", "run_with", "failure_handling_policy", "component_update_policy"])]
    pub document: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum DeploymentCommand {
    /// Show all deployments that are remembered, the newest first.
    List,
    /// Show how one went.
    Status { id: String },
    /// End one at the next point that leaves a whole state.
    Cancel { id: String },
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print a configuration, or the part of it at a JSON pointer such as `/mqtt/port`.
    Show {
        name: String,
        #[arg(default_value = "")]
        pointer: String,
        /// For each value: where it came from, and when.
        #[arg(long)]
        origin: bool,
    },
    /// Set values by a local deployment, and wait until that is done.
    Set {
        name: String,
        /// A JSON pointer and a value, which is JSON where it can be read as such, else a text.
        #[arg(value_name = "POINTER=VALUE", required = true, value_parser = parse_setting)]
        settings: Vec<(String, Value)>,
    },
    /// Give values back to the recipe's defaults by a local deployment, and wait until that is done.
    Reset {
        name: String,
        #[arg(required = true)]
        pointer: Vec<String>,
    },
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

fn parse_setting(text: &str) -> Result<(String, Value), &'static str> {
    match text.split_once('=') {
        Some((pointer, value)) if pointer.starts_with('/') => {
            let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
            Ok((pointer.to_owned(), value))
        }
        _ => Err("it takes the form /POINTER=VALUE"),
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
