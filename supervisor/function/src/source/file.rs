//! Changes of a file or of the files in a directory, which may come later than its watcher (inotify(7)).

mod pending;
mod watcher;

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::{Occurrence, Place, SourceFault};
use pending::Pending;
use watcher::{Seen, Watcher};

/// Changes are told when nothing has changed for so long …
const QUIET: Duration = Duration::from_millis(100);

/// … or the first of them is so old.
const LONGEST: Duration = Duration::from_secs(1);

/// `shown`: the path as the function knows it.
pub async fn watch(place: &Place, shown: &Path, heard: mpsc::Sender<Occurrence>) -> SourceFault {
    match run(place, shown, &heard).await {
        Ok(()) => SourceFault::Unusable("nobody listens".to_owned()),
        Err(fault) => fault,
    }
}

async fn run(
    place: &Place,
    shown: &Path,
    heard: &mpsc::Sender<Occurrence>,
) -> Result<(), SourceFault> {
    let mut watcher = Watcher::new(place)?;
    loop {
        let mut pending = Pending::default();
        gather(&mut watcher, &mut pending).await?;
        for (name, kind) in pending.into_changes() {
            let path = match name {
                Some(name) => shown.join(name),
                None => shown.to_owned(),
            };
            let event = json!({ "path": path.to_string_lossy(), "kind": kind.as_str() });
            let payload = event.to_string().into();
            if heard.send(Occurrence { payload, client_context: None }).await.is_err() {
                return Ok(());
            }
        }
    }
}

/// What changes together becomes one event for each file.
async fn gather(watcher: &mut Watcher, pending: &mut Pending) -> Result<(), SourceFault> {
    let mut latest = None;
    loop {
        let seen = match latest {
            None => watcher.next().await?,
            Some(latest) => {
                let quiet = Instant::now() + QUIET;
                match timeout_at(quiet.min(latest), watcher.next()).await {
                    Ok(seen) => seen?,
                    Err(_) => return Ok(()),
                }
            }
        };
        for Seen { name, kind } in seen {
            pending.add(name, kind);
        }
        if !pending.is_empty() {
            latest.get_or_insert_with(|| Instant::now() + LONGEST);
        }
    }
}
