//! `[lambda-endpoint]`: Lambda's HTTP API for programs of this device; off where it is not configured.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LambdaEndpoint {
    pub listen: Listen,
    /// Who may call what over TCP: a file that only root, or the daemon's user, may read.
    pub credentials: Option<PathBuf>,
}

/// `127.0.0.1:3001`, `[::1]:3001` or `unix:/run/hedgerow/lambda/lambda.sock`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Listen {
    Loopback(SocketAddr),
    Unix(PathBuf),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListenError {
    #[error("{0:?} is neither unix:/PATH nor ADDRESS:PORT")]
    Form(String),
    #[error(
        "{0} is not an address of the loopback: the endpoint is for programs of this device only"
    )]
    NotLoopback(SocketAddr),
}

impl TryFrom<String> for Listen {
    type Error = ListenError;

    fn try_from(text: String) -> Result<Self, ListenError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match path.starts_with('/') {
                true => Ok(Self::Unix(path.into())),
                false => Err(ListenError::Form(text)),
            };
        }
        let address: SocketAddr = text.parse().map_err(|_| ListenError::Form(text))?;
        match address.ip().is_loopback() {
            true => Ok(Self::Loopback(address)),
            false => Err(ListenError::NotLoopback(address)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_listens_on_this_device_alone() {
        for (text, is_right) in [
            ("127.0.0.1:3001", true),
            ("[::1]:3001", true),
            ("unix:/run/hedgerow/lambda.sock", true),
            ("0.0.0.0:3001", false),
            ("192.168.1.4:3001", false),
            ("[::]:3001", false),
            ("unix:lambda.sock", false),
            ("localhost", false),
        ] {
            assert_eq!(Listen::try_from(text.to_owned()).is_ok(), is_right, "{text}");
        }
    }
}
