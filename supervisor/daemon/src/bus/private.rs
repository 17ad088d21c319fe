//! A message bus of our own, for a daemon that has its whole world under one directory.
//!
//! `busctl` and every D-Bus library need a broker between the peers, so this runs `dbus-daemon(1)`.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use thiserror::Error;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Why there is no private bus.
#[derive(Debug, Error)]
pub enum PrivateBusError {
    /// The path cannot be named in an address, or is longer than a socket address holds (108 bytes).
    #[error("{0} cannot be the address of a socket: it must be UTF-8 and under 108 bytes")]
    Path(PathBuf),
    /// The configuration could not be written.
    #[error("cannot write {0}: {1}")]
    Configuration(PathBuf, io::Error),
    /// A program is missing or cannot run.
    #[error("cannot start dbus-daemon (packages dbus-daemon and util-linux): {0}")]
    Start(io::Error),
    /// It ended at once; its own words are on the standard error stream.
    #[error("dbus-daemon ended before it listened on {0}")]
    Ended(PathBuf),
}

/// A running dbus-daemon. It is killed when this is dropped, and by the kernel when the thread that
/// started it dies, however that happens.
#[derive(Debug)]
pub struct PrivateBus {
    // Held for its drop, which kills.
    _process: Child,
}

impl PrivateBus {
    /// Listens on `socket`, whose directory exists; its configuration is written beside it. Root and the
    /// users of `uids` may connect. Must be called on a thread that lives as long as the bus shall.
    pub async fn start(socket: &Path, uids: &[u32]) -> Result<Self, PrivateBusError> {
        let address = address(socket).ok_or_else(|| PrivateBusError::Path(socket.to_owned()))?;
        let configuration = socket.with_extension("conf");
        tokio::fs::write(&configuration, policy(&address, uids))
            .await
            .map_err(|error| PrivateBusError::Configuration(configuration.clone(), error))?;
        remove_stale(socket)
            .await
            .map_err(|error| PrivateBusError::Configuration(socket.to_owned(), error))?;
        let mut process = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "dbus-daemon", "--nofork", "--nosyslog"])
            .args(["--nopidfile", "--print-address=1", "--config-file"])
            .arg(&configuration)
            // It would tell our service manager that it is ready, which reads as our own word.
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(PrivateBusError::Start)?;
        let mut line = String::new();
        if let Some(stdout) = process.stdout.take() {
            // It prints its address when it listens.
            BufReader::new(stdout).read_line(&mut line).await.map_err(PrivateBusError::Start)?;
        }
        match line.is_empty() {
            true => Err(PrivateBusError::Ended(socket.to_owned())),
            false => Ok(Self { _process: process }),
        }
    }
}

/// A D-Bus address, escaped as the D-Bus specification's "Server Addresses" asks.
fn address(socket: &Path) -> Option<String> {
    const MAX_SOCKET_PATH: usize = 107;
    let path = socket.to_str().filter(|path| path.len() <= MAX_SOCKET_PATH)?;
    let mut address = "unix:path=".to_owned();
    for byte in path.bytes() {
        match byte {
            b'-' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'/' | b'.' | b'\\' => {
                address.push(char::from(byte));
            }
            other => address.push_str(&format!("%{other:02x}")),
        }
    }
    Some(address)
}

/// `dbus-daemon(1)`, "CONFIGURATION FILE". The address is escaped, so it holds nothing that XML minds.
fn policy(address: &str, uids: &[u32]) -> String {
    let users: String = uids.iter().map(|uid| format!("    <allow user=\"{uid}\"/>\n")).collect();
    format!(
        "<busconfig>
  <listen>{address}</listen>
  <auth>EXTERNAL</auth>
  <policy context=\"default\">
    <allow user=\"0\"/>
{users}    <allow own=\"*\"/>
    <allow send_destination=\"*\"/>
    <allow receive_sender=\"*\"/>
  </policy>
</busconfig>
"
    )
}

/// What a killed predecessor left; nothing listens there, since its bus died with it.
async fn remove_stale(socket: &Path) -> io::Result<()> {
    match tokio::fs::remove_file(socket).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_escapes_what_the_specification_does_not_allow() {
        for (path, expected) in [
            ("/tmp/a-b_c.1/bus.sock", Some("unix:path=/tmp/a-b_c.1/bus.sock")),
            ("/tmp/a b,<ü>", Some("unix:path=/tmp/a%20b%2c%3c%c3%bc%3e")),
            (&format!("/{}", "x".repeat(107)), None),
        ] {
            assert_eq!(address(Path::new(path)).as_deref(), expected);
        }
    }
}
