//! Which bus the daemon is on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use zbus::Connection;
use zbus::address::Address;
use zbus::address::transport::{Transport, Unix, UnixSocket};
use zbus::connection::Builder;

/// No method of the contract works for long, so a silent peer is a broken one.
pub(crate) const METHOD_TIMEOUT: Duration = Duration::from_secs(25);

/// A message bus on which a daemon may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bus {
    /// The machine's system bus.
    System,
    /// The private bus of a daemon that was started with `--root DIR`.
    Root(PathBuf),
}

impl Bus {
    /// The socket of the private bus under `root`.
    pub fn socket(root: &Path) -> PathBuf {
        root.join("run/bus.sock")
    }

    /// Connects to the bus; the daemon itself may still be absent.
    ///
    /// # Errors
    /// The bus's socket is not there, refuses, or does not let this user in.
    pub async fn connect(&self) -> zbus::Result<Connection> {
        let builder = match self {
            Self::System => Builder::system(),
            Self::Root(root) => {
                let socket = UnixSocket::File(Self::socket(root));
                Builder::address(Address::new(Transport::Unix(Unix::new(socket))))
            }
        };
        builder.method_timeout(METHOD_TIMEOUT).build().await
    }
}

impl std::fmt::Display for Bus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::System => f.write_str("the system bus"),
            Self::Root(root) => write!(f, "{}", Self::socket(root).display()),
        }
    }
}
