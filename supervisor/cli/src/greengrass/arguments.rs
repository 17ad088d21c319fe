//! The command line of `greengrass-cli`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::logs::LogsCommand;

/// Greengrass' command line, answered by Hedgerow.
#[derive(Debug, Parser)]
#[command(name = super::NAME, version, rename_all = "camelCase")]
pub struct Arguments {
    /// Accepted; there is nothing to be found there, unless it is the DIR of `hedgerowd --root DIR`.
    #[arg(long, global = true, env = "GGC_ROOT_PATH", value_name = "PATH")]
    pub ggc_root_path: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
#[command(rename_all = "kebab-case")]
pub enum Command {
    /// Create, follow and cancel local deployments.
    #[command(subcommand)]
    Deployment(DeploymentCommand),
    /// Show, restart and stop components.
    #[command(subcommand)]
    Component(ComponentCommand),
    /// Read the components' logs.
    #[command(subcommand)]
    Logs(LogsCommand),
    /// Publish to and listen on local topics.
    #[command(subcommand)]
    Pubsub(PubSubCommand),
    /// Publish to and listen on topics of AWS IoT Core: not provided yet.
    #[command(subcommand)]
    Iotcore(IotCoreCommand),
    /// A password for Greengrass' local debug console: there is no such console.
    GetDebugPassword,
}

#[derive(Debug, Subcommand)]
pub enum DeploymentCommand {
    /// Submit a local deployment, and print its id.
    Create(Box<Creation>),
    /// Print how a deployment stands.
    Status {
        #[arg(short = 'i', long = "deploymentId", value_name = "ID")]
        deployment_id: String,
    },
    /// Print how all deployments stand.
    List,
    /// Cancel a deployment.
    Cancel {
        #[arg(short = 'i', long = "deploymentId", value_name = "ID")]
        deployment_id: String,
    },
}

#[derive(Debug, Args)]
pub struct Creation {
    /// The directory of recipes.
    #[arg(short = 'r', long = "recipeDir", value_name = "DIR")]
    pub recipe_dir: Option<PathBuf>,
    /// The directory of artifacts: `NAME/VERSION/FILE`.
    #[arg(short = 'a', long = "artifactDir", value_name = "DIR")]
    pub artifact_dir: Option<PathBuf>,
    /// A component to add or update; may be repeated.
    #[arg(short = 'm', long, value_name = "NAME=VERSION", value_parser = parse_pair)]
    pub merge: Vec<(String, String)>,
    /// A component to remove; may be repeated.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub remove: Vec<String>,
    /// `{"NAME": {"MERGE": {…}, "RESET": ["/pointer"]}}`.
    #[arg(short = 'c', long = "update-config", value_name = "JSON|FILE")]
    pub update_config: Option<String>,
    /// As whom a component runs; may be repeated.
    #[arg(long = "runWith", value_name = "NAME:posixUser=USER[:GROUP]", value_parser = parse_pair)]
    pub run_with: Vec<(String, String)>,
    /// `{"NAME": {"memory": KB, "cpus": 0.5}}`.
    #[arg(long = "systemLimits", value_name = "JSON|FILE")]
    pub system_limits: Option<String>,
    /// The thing group whose components are changed.
    #[arg(short = 'g', long = "groupId", value_name = "GROUP")]
    pub group_id: Option<String>,
    /// What to do when it fails. In one dash: -fp.
    #[arg(long, value_name = "POLICY", value_parser = ["ROLLBACK", "DO_NOTHING"])]
    pub failure_handling_policy: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum ComponentCommand {
    /// Print all components.
    List,
    /// Print one component.
    Details {
        #[arg(short, long)]
        name: String,
    },
    /// Restart components.
    Restart {
        #[arg(short, long, required = true, value_delimiter = ',', value_name = "NAME,…")]
        names: Vec<String>,
    },
    /// Stop components.
    Stop {
        #[arg(short, long, required = true, value_delimiter = ',', value_name = "NAME,…")]
        names: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum PubSubCommand {
    /// Publish one message.
    Pub {
        #[arg(short, long)]
        topic: String,
        /// The message, or the file that holds it.
        #[arg(short, long, allow_hyphen_values = true)]
        message: String,
    },
    /// Print the messages of a topic filter.
    Sub {
        #[arg(short, long)]
        topic: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum IotCoreCommand {
    /// Publish one message.
    Pub {
        #[arg(short, long)]
        topic: String,
        #[arg(short, long, allow_hyphen_values = true)]
        message: String,
        #[arg(short, long, default_value = "0")]
        qos: String,
    },
    /// Print the messages of a topic filter.
    Sub {
        #[arg(short, long)]
        topic: String,
        #[arg(short, long, default_value = "0")]
        qos: String,
    },
}

/// The original takes several letters after one dash, which no other tool's parser does.
pub fn in_one_dash(argument: OsString) -> OsString {
    const OPTIONS: [(&str, &str); 5] = [
        ("-fp", "--failure-handling-policy"),
        ("-lf", "--log-file"),
        ("-ld", "--log-dir"),
        ("-fol", "--follow"),
        ("-nc", "--no-color"),
    ];
    let Some(text) = argument.to_str() else { return argument };
    let (name, value) =
        text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
    match (OPTIONS.iter().find(|(short, _)| *short == name), value) {
        (Some((_, long)), None) => (*long).into(),
        (Some((_, long)), Some(value)) => format!("{long}={value}").into(),
        (None, _) => argument,
    }
}

fn parse_pair(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err("it takes the form NAME=VALUE"),
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

    #[test]
    fn several_letters_after_one_dash_are_an_option() {
        for (argument, expected) in [
            ("-lf", "--log-file"),
            ("-ld=/greengrass/v2/logs", "--log-dir=/greengrass/v2/logs"),
            ("-fp", "--failure-handling-policy"),
            ("-f", "-f"),
            ("--follow", "--follow"),
        ] {
            assert_eq!(in_one_dash(argument.into()), OsString::from(expected));
        }
    }
}
