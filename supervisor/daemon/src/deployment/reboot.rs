//! Asking for a reboot of the device.

use std::io;
use std::process::ExitStatus;

use tokio::process::Command;
use zbus::Connection;

#[derive(Debug, thiserror::Error)]
pub enum RebootError {
    #[error(
        "a bootstrap step wants a reboot, and logind does not do it: {0}; let user hedgerow do \
         org.freedesktop.login1.reboot, or set deployment.reboot-command"
    )]
    Logind(#[from] zbus::Error),
    #[error(
        "a bootstrap step wants a reboot, and {program} (deployment.reboot-command) does not start: {source}"
    )]
    Start { program: String, source: io::Error },
    #[error(
        "a bootstrap step wants a reboot, and {program} (deployment.reboot-command) ended with {status}"
    )]
    Failed { program: String, status: ExitStatus },
}

/// By `command`, program and arguments, or where it is empty by logind. Dropping the future ends the command.
pub async fn ask(command: &[String]) -> Result<(), RebootError> {
    let Some((program, arguments)) = command.split_first() else { return Ok(logind().await?) };
    let start = |source| RebootError::Start { program: program.clone(), source };
    let status =
        Command::new(program).args(arguments).kill_on_drop(true).status().await.map_err(start)?;
    match status.success() {
        true => Ok(()),
        false => Err(RebootError::Failed { program: program.clone(), status }),
    }
}

/// `org.freedesktop.login1(5)`: not interactive.
async fn logind() -> zbus::Result<()> {
    let (service, path) = ("org.freedesktop.login1", "/org/freedesktop/login1");
    let connection = Connection::system().await?;
    connection
        .call_method(Some(service), path, Some("org.freedesktop.login1.Manager"), "Reboot", &false)
        .await?;
    Ok(())
}
