//! Lambda's HTTP API, where the administrator wants it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hedgerow_function::endpoint::{Access, Credential, Endpoint};
use nix::unistd::geteuid;
use serde::Deserialize;
use tokio::net::{TcpListener, UnixListener};
use tokio::time::sleep;

use crate::bus;
use crate::driver::Surroundings;
use crate::settings::{LambdaEndpoint, Listen, matches_pattern};

/// Where no descriptor is free, one may be soon.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    #[error("lambda-endpoint.listen: cannot listen on {address}: {source}")]
    Listen { address: String, source: io::Error },
    #[error("lambda-endpoint.credentials: it names no file, and over TCP nobody may call without")]
    NoCredentials,
    #[error("lambda-endpoint.credentials: cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error(
        "lambda-endpoint.credentials: others can read {}: `chown root:hedgerow` and `chmod 640` it",
        path.display()
    )]
    Open { path: PathBuf },
    #[error("lambda-endpoint.credentials: {}: {source}", path.display())]
    Parse { path: PathBuf, source: Box<toml::de::Error> },
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Listed {
    #[serde(default)]
    credential: Vec<Key>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Key {
    access_key_id: String,
    secret_access_key: String,
    /// Names, in which `*` stands for any characters.
    functions: Vec<String>,
}

/// Serves it from here on.
///
/// # Errors
/// It is configured, and cannot be as it is.
pub async fn serve(
    around: &Surroundings,
    settings: &LambdaEndpoint,
    callers: bus::Access,
) -> Result<(), EndpointError> {
    let (functions, events) = (around.functions.clone(), around.events.clone());
    match &settings.listen {
        Listen::Loopback(address) => {
            let path = settings.credentials.as_deref().ok_or(EndpointError::NoCredentials)?;
            let access = Access::Keys(credentials(path)?);
            let listener = TcpListener::bind(address)
                .await
                .map_err(|source| EndpointError::Listen { address: address.to_string(), source })?;
            tokio::spawn(Endpoint::new(functions, events, access).serve(listener));
        }
        Listen::Unix(path) => {
            let listener = listen(path).map_err(|source| EndpointError::Listen {
                address: path.display().to_string(),
                source,
            })?;
            let endpoint = Endpoint::new(functions, events, Access::Socket);
            tokio::spawn(serve_peers(listener, endpoint, callers));
        }
    }
    Ok(())
}

/// Who may call every method on the bus may call here, by what the kernel says of the peer (unix(7), SO_PEERCRED).
async fn serve_peers(listener: UnixListener, endpoint: Endpoint, callers: bus::Access) {
    loop {
        endpoint.vacancy().await;
        let Ok((stream, _)) = listener.accept().await else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let endpoint = endpoint.clone();
        tokio::spawn(async move {
            let Ok(peer) = stream.peer_cred() else { return };
            if callers.allows_user(peer.uid(), peer.gid()).await {
                endpoint.serve_connection(stream).await;
            } else {
                tracing::warn!(
                    uid = peer.uid(),
                    pid = peer.pid(),
                    "refused a caller of the Lambda endpoint"
                );
            }
        });
    }
}

/// A socket that every user can connect to: who they are is looked at then.
fn listen(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o666))?;
    Ok(listener)
}

fn credentials(path: &Path) -> Result<BTreeMap<String, Credential>, EndpointError> {
    let read = |source| EndpointError::Read { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(read)?;
    let metadata = file.metadata().map_err(read)?;
    let is_ours = metadata.uid() == 0 || metadata.uid() == geteuid().as_raw();
    if !is_ours || metadata.mode() & 0o007 != 0 {
        return Err(EndpointError::Open { path: path.to_owned() });
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(read)?;
    let parse = |source| EndpointError::Parse { path: path.to_owned(), source: Box::new(source) };
    let file: Listed = toml::from_str(&text).map_err(parse)?;
    let credential = |key: Key| {
        let patterns: Arc<[String]> = key.functions.into();
        let covers =
            move |name: &str| patterns.iter().any(|pattern| matches_pattern(pattern, name));
        (key.access_key_id, Credential { secret: key.secret_access_key, covers: Box::new(covers) })
    };
    Ok(file.credential.into_iter().map(credential).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_nobody_elses_and_are_for_some_functions() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("credentials.toml");
        let text = "[[credential]]\naccess-key-id = 'A'\nsecret-access-key = 's'\nfunctions = ['com.example.*']\n";
        fs::write(&path, text).unwrap();
        let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        mode(0o644);
        assert!(matches!(credentials(&path), Err(EndpointError::Open { .. })));
        mode(0o640);
        let keys = credentials(&path).unwrap();
        assert!((keys["A"].covers)("com.example.F") && !(keys["A"].covers)("org.F"));
        fs::write(&path, text.replace("functions", "function")).unwrap();
        assert!(matches!(credentials(&path), Err(EndpointError::Parse { .. })));
    }
}
