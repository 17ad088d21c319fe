//! Lambda's HTTP API, where the administrator wants it.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hedgerow_api::GROUP;
use hedgerow_function::endpoint::{Access, Credential, Endpoint};
use nix::unistd::{Group, getegid, geteuid};
use serde::Deserialize;
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::time::sleep;

use crate::bus;
use crate::driver::Surroundings;
use crate::settings::{LambdaEndpoint, Listen, matches_pattern};

/// What prevents it may pass.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// Where no descriptor is free, one may be soon.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    #[error("lambda-endpoint.listen: cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error(
        "lambda-endpoint.listen: cannot listen on {}: {source}; the service may make sockets in /run/hedgerow/lambda only",
        path.display()
    )]
    ListenAt { path: PathBuf, source: io::Error },
    #[error("lambda-endpoint.listen: another process listens on {}", path.display())]
    InUse { path: PathBuf },
    #[error(
        "lambda-endpoint.listen: what is at {} is no socket: remove it, or listen elsewhere",
        path.display()
    )]
    NotASocket { path: PathBuf },
    #[error("lambda-endpoint.credentials: it names no file, and over TCP nobody may call without")]
    NoCredentials,
    #[error("lambda-endpoint.credentials: cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error(
        "lambda-endpoint.credentials: others can read {}: {}", path.display(), advice()
    )]
    Open { path: PathBuf },
    #[error("lambda-endpoint.credentials: the daemon may not read {}: {}", path.display(), advice())]
    Closed { path: PathBuf },
    #[error("lambda-endpoint.credentials: {}: {source}", path.display())]
    Parse { path: PathBuf, source: Box<toml::de::Error> },
    #[error(
        "lambda-endpoint.credentials: {}: access key {key:?} is there twice, or it or its secret is empty",
        path.display()
    )]
    Key { path: PathBuf, key: String },
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

/// Serves it from here on, or as soon as it can: the program that has its port may go. Until then everything else goes on,
/// and [`Surroundings::endpoint_fault`] says why.
pub async fn serve(around: &Arc<Surroundings>, settings: LambdaEndpoint, callers: bus::Access) {
    if tries_in_vain(around, &settings, callers).await {
        let around = Arc::clone(around);
        tokio::spawn(async move {
            loop {
                sleep(TRY_AGAIN).await;
                if !tries_in_vain(&around, &settings, callers).await {
                    return;
                }
            }
        });
    }
}

async fn tries_in_vain(
    around: &Surroundings,
    settings: &LambdaEndpoint,
    callers: bus::Access,
) -> bool {
    let fault = try_serve(around, settings, callers).await.err().map(|error| error.to_string());
    let is_in_vain = fault.is_some();
    around.endpoint_fault.send_if_modified(|last| {
        let is_news = *last != fault;
        if let Some(fault) = fault.as_ref().filter(|_| is_news) {
            tracing::error!("{fault}");
        }
        *last = fault;
        is_news
    });
    is_in_vain
}

async fn try_serve(
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
                .map_err(|source| EndpointError::Listen { address: *address, source })?;
            tokio::spawn(Endpoint::new(functions, events, access).serve(listener));
        }
        Listen::Unix(path) => {
            let listener = listen(path).await?;
            let endpoint = Endpoint::new(functions, events, Access::Socket);
            tokio::spawn(serve_peers(listener, endpoint, callers));
        }
    }
    Ok(())
}

/// Who may call every method on the bus may call here, by what the kernel says of the peer (unix(7), SO_PEERCRED).
async fn serve_peers(listener: UnixListener, endpoint: Endpoint, callers: bus::Access) {
    loop {
        let place = endpoint.vacancy().await;
        let Ok((stream, _)) = listener.accept().await else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let endpoint = endpoint.clone();
        tokio::spawn(async move {
            let Ok(peer) = stream.peer_cred() else { return };
            let (uid, pid) = (peer.uid(), peer.pid());
            if callers.allows_user(uid, peer.gid()).await {
                return endpoint.serve_connection(stream, place).await;
            }
            // It is told why, and may come as often as it likes.
            tracing::debug!(uid, pid, "refused a caller of the Lambda endpoint");
            let why = format!("user {uid} is neither root nor in group {GROUP}: add it to that");
            endpoint.refuse_connection(stream, place, why).await;
        });
    }
}

/// A socket that every user can connect to: who they are is looked at then. It takes the place of one that a daemon
/// before this has left.
async fn listen(path: &Path) -> Result<UnixListener, EndpointError> {
    let cannot = |source| EndpointError::ListenAt { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(EndpointError::NotASocket { path: path.to_owned() });
        }
        Ok(_) => match UnixStream::connect(path).await {
            Ok(_) => return Err(EndpointError::InUse { path: path.to_owned() }),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                fs::remove_file(path).map_err(cannot)?;
            }
            Err(error) => return Err(cannot(error)),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(cannot(error)),
    }
    let listener = UnixListener::bind(path).map_err(cannot)?;
    fs::set_permissions(path, Permissions::from_mode(0o666)).map_err(cannot)?;
    Ok(listener)
}

fn credentials(path: &Path) -> Result<BTreeMap<String, Credential>, EndpointError> {
    let read = |source: io::Error| match source.kind() {
        io::ErrorKind::PermissionDenied => EndpointError::Closed { path: path.to_owned() },
        _ => EndpointError::Read { path: path.to_owned(), source },
    };
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
    let mut keys = BTreeMap::new();
    for (key, credential) in file.credential.into_iter().map(credential) {
        let is_usable = !key.is_empty() && !credential.secret.is_empty();
        if !is_usable || keys.insert(key.clone(), credential).is_some() {
            return Err(EndpointError::Key { path: path.to_owned(), key });
        }
    }
    Ok(keys)
}

/// For the group in which this daemon is.
fn advice() -> String {
    let group = Group::from_gid(getegid()).ok().flatten();
    let group = group.map_or_else(|| getegid().to_string(), |group| group.name);
    format!("`chown root:{group}` and `chmod 640` it")
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
        for wrong in [text.repeat(2), text.replace("'s'", "''"), text.replace("'A'", "''")] {
            fs::write(&path, wrong).unwrap();
            assert!(matches!(credentials(&path), Err(EndpointError::Key { .. })));
        }
    }

    #[tokio::test]
    async fn a_socket_takes_the_place_of_one_that_was_left_and_of_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lambda.sock");
        let listener = listen(&path).await.unwrap();
        assert!(matches!(listen(&path).await, Err(EndpointError::InUse { .. })));
        drop(listener);
        listen(&path).await.unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "mine").unwrap();
        assert!(matches!(listen(&file).await, Err(EndpointError::NotASocket { .. })));
        assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
        let nowhere = directory.path().join("nowhere/lambda.sock");
        assert!(matches!(listen(&nowhere).await, Err(EndpointError::ListenAt { .. })));
    }
}
