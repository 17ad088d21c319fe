//! What can go wrong, by name.

use std::fmt;

use zbus::DBusError;

use crate::JobError;

/// An error of the contract, on the bus as `io.hedgerow.Edge1.Error.<variant>`.
///
/// Each carries a sentence for people that says what was refused and, where there is one, what would help.
#[derive(Debug, Clone, PartialEq, DBusError)]
#[zbus(prefix = "io.hedgerow.Edge1.Error", impl_display = false)]
pub enum Error {
    /// The bus, a standard interface, or the connection failed. Never sent by the daemon.
    #[zbus(error)]
    Bus(zbus::Error),
    /// The caller is neither root nor in group `hedgerow`, nor does polkit allow it.
    NotAuthorized(String),
    /// No component of this name is deployed.
    NoSuchComponent(String),
    /// No function goes by this name, or not by this qualifier.
    NoSuchFunction(String),
    /// There is no such job, or it finished too long ago.
    NoSuchJob(String),
    /// There is no such deployment, or it was forgotten since.
    NoSuchDeployment(String),
    /// A recipe or an artifact is wrong; the message names file and place. Nothing was changed.
    InvalidRecipe(String),
    /// An argument or option is out of its limits. Nothing was changed.
    InvalidArgument(String),
    /// Another job is at work on the same thing; try again when it has finished.
    Busy(String),
    /// The function's concurrency or its queue is used up; try again later.
    TooManyRequests(String),
    /// The function is stopped, or was while it ran.
    NotRunning(String),
    /// A deployment was accepted and then did not come up.
    DeploymentFailed(String),
    /// The deployment was cancelled.
    Cancelled(String),
    /// The deployment cannot be cancelled any more: it has ended.
    NotCancellable(String),
    /// A component did not do what a job asked of it (start, stop, restart).
    ComponentFailed(String),
    /// The authorizer refused; the message names the rule.
    Denied(String),
    /// The daemon's own fault or its machine's: storage, launcher, memory.
    Internal(String),
}

impl Error {
    /// The error behind a job's `Error` property; `None` where it is empty. A name that this version
    /// does not know becomes [`Error::Internal`] with the name in its message.
    pub fn from_job(error: &JobError) -> Option<Self> {
        let message = error.message.clone();
        let variant = error.name.strip_prefix("io.hedgerow.Edge1.Error.");
        Some(match variant.unwrap_or_default() {
            "NotAuthorized" => Self::NotAuthorized(message),
            "NoSuchComponent" => Self::NoSuchComponent(message),
            "NoSuchFunction" => Self::NoSuchFunction(message),
            "TooManyRequests" => Self::TooManyRequests(message),
            "NotRunning" => Self::NotRunning(message),
            "NoSuchJob" => Self::NoSuchJob(message),
            "NoSuchDeployment" => Self::NoSuchDeployment(message),
            "InvalidRecipe" => Self::InvalidRecipe(message),
            "InvalidArgument" => Self::InvalidArgument(message),
            "Busy" => Self::Busy(message),
            "DeploymentFailed" => Self::DeploymentFailed(message),
            "Cancelled" => Self::Cancelled(message),
            "NotCancellable" => Self::NotCancellable(message),
            "ComponentFailed" => Self::ComponentFailed(message),
            "Denied" => Self::Denied(message),
            "Internal" => Self::Internal(message),
            _ if error.name.is_empty() => return None,
            _ => Self::Internal(format!("{}: {message}", error.name)),
        })
    }

    /// As a job's `Error` property shows it.
    pub fn to_job(&self) -> JobError {
        JobError { name: DBusError::name(self).to_string(), message: self.message().to_owned() }
    }

    /// The sentence for people, without the error's name.
    pub fn message(&self) -> &str {
        DBusError::description(self).unwrap_or("no description")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // A method error of the bus prints as "name: message"; other errors know their own words.
            Self::Bus(error) => error.fmt(f),
            other => f.write_str(other.message()),
        }
    }
}

impl From<zbus::fdo::Error> for Error {
    fn from(error: zbus::fdo::Error) -> Self {
        Self::from(zbus::Error::from(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_error_keeps_its_name_and_message() {
        for error in [
            Error::NotAuthorized("a".into()),
            Error::NoSuchComponent("b".into()),
            Error::NoSuchJob("c".into()),
            Error::NoSuchDeployment("k".into()),
            Error::Cancelled("l".into()),
            Error::NotCancellable("m".into()),
            Error::InvalidRecipe("d".into()),
            Error::InvalidArgument("e".into()),
            Error::Busy("f".into()),
            Error::DeploymentFailed("g".into()),
            Error::ComponentFailed("h".into()),
            Error::Denied("i".into()),
            Error::Internal("j".into()),
            Error::NoSuchFunction("n".into()),
            Error::TooManyRequests("o".into()),
            Error::NotRunning("p".into()),
        ] {
            assert_eq!(Error::from_job(&error.to_job()), Some(error));
        }
        assert_eq!(Error::from_job(&JobError::default()), None);
        let foreign = JobError { name: "org.example.New".into(), message: "later".into() };
        assert_eq!(
            Error::from_job(&foreign),
            Some(Error::Internal("org.example.New: later".into()))
        );
    }
}
