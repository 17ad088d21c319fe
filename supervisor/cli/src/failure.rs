//! How a command can fail, in words for the person at the terminal.

use std::io;
use std::path::PathBuf;

use hedgerow_api::zbus;
use hedgerow_api::{Bus, Error};
use thiserror::Error as ThisError;

use crate::function::CannotUpdate;

#[derive(Debug, ThisError)]
pub enum Failure {
    #[error("no daemon answers at {bus}: is {} running? ({reason})", daemon_of(.bus))]
    Unreachable { bus: Bus, reason: String },
    #[error("the daemon went away before it had finished; `hedgerow status` shows how it goes on")]
    Gone,
    #[error("you may not: run this as root, join group hedgerow, or have polkit allow it ({0})")]
    NotAuthorized(String),
    /// A command of `greengrass-cli` for something that is not here.
    #[error("{0}")]
    NotProvided(&'static str),
    #[error("{0}")]
    Refused(Error),
    #[error("{0}")]
    Job(Box<JobFailure>),
    /// It has said how, on the standard output.
    #[error("the function failed: {error_type}")]
    Function { error_type: String },
    #[error("cannot read the standard input: {0}")]
    Input(io::Error),
    #[error("cannot open {}: {error}", .path.display())]
    Open { path: PathBuf, error: io::Error },
    #[error("cannot pack {}: it is {why}", .path.display())]
    Code { path: PathBuf, why: &'static str },
    #[error("cannot write {}: {error}", .path.display())]
    Write { path: PathBuf, error: io::Error },
    #[error("the log or message stream broke: {0}")]
    Stream(io::Error),
    #[error("the daemon sent what this program does not understand: {0}")]
    Record(serde_json::Error),
    #[error("the daemon sent what is not base64: {0}")]
    Base64(base64::DecodeError),
    #[error("{}: {reason}", .path.display())]
    Settings { path: PathBuf, reason: String },
    #[error("{bad} of {all} recipes cannot be deployed here")]
    Recipes { bad: usize, all: usize },
    #[error("{name} cannot be updated here, deploy a recipe of your own: {why}")]
    Update { name: String, why: CannotUpdate },
    #[error("the terminal: {0}")]
    Terminal(io::Error),
    #[error("cannot write: {0}")]
    Output(io::Error),
}

/// A job that was accepted and went wrong.
#[derive(Debug, ThisError)]
pub struct JobFailure {
    pub error: Error,
    pub deployment: Option<String>,
    pub component: Option<String>,
    pub step: Option<String>,
    pub log: Vec<String>,
    /// The grant that would give it what its last lines say was not there.
    pub missed: Option<String>,
}

impl std::fmt::Display for JobFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.error)?;
        let place = [
            ("component", &self.component),
            ("step", &self.step),
            ("deployment", &self.deployment),
        ];
        for (what, name) in place {
            if let Some(name) = name {
                write!(f, "\n  {what}: {name}")?;
            }
        }
        if !self.log.is_empty() {
            write!(f, "\n  its last lines:")?;
        }
        self.log.iter().try_for_each(|line| write!(f, "\n    {line}"))?;
        let Some(missed) = &self.missed else { return Ok(()) };
        write!(f, "\n  it may miss a grant in hedgerow.toml:")?;
        missed.lines().try_for_each(|line| write!(f, "\n    {line}"))
    }
}

impl Failure {
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Unreachable { .. } | Self::Gone => 3,
            _ => 1,
        }
    }

    /// The failure that a connection error of this bus is.
    pub fn of(bus: &Bus, error: zbus::Error) -> Self {
        Self::Unreachable { bus: bus.clone(), reason: error.to_string() }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::NotAuthorized(why) => Self::NotAuthorized(why),
            other => Self::Refused(other),
        }
    }
}

impl From<zbus::Error> for Failure {
    fn from(error: zbus::Error) -> Self {
        Error::from(error).into()
    }
}

fn daemon_of(bus: &Bus) -> String {
    match bus {
        Bus::System => "hedgerow.service".to_owned(),
        Bus::Root(root) => {
            let root = root.display();
            format!("`hedgerowd --root {root}`, whose bus is root's and its own,")
        }
    }
}
