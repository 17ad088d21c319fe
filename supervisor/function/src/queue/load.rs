//! Before anything is stored, what waited must have been read: an event that came in its place would replace it.

use std::pin::pin;

use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::policy::pause;
use super::task::Message;
use super::{EventLog, LogError, Stored};
use crate::InvokeError;

/// What waited when the daemon ended. As long as it cannot be read, events are refused, and it is tried again. `None`:
/// nobody wants it any more.
pub(super) async fn load(
    log: &impl EventLog,
    messages: &mut mpsc::Receiver<Message>,
    fault: &watch::Sender<Option<String>>,
) -> Option<Vec<Stored>> {
    let mut failures = 0;
    loop {
        let error = match log.load().await {
            Ok(stored) => {
                fault.send_replace(None);
                return Some(stored);
            }
            Err(error) => error,
        };
        let why = format!(
            "events of functions are refused until those that wait can be read, which is tried again within 5 min: {error}"
        );
        fault.send_replace(Some(why.clone()));
        failures += 1;
        let mut again = pin!(sleep(pause(failures)));
        loop {
            tokio::select! {
                () = &mut again => break,
                message = messages.recv() => refuse(message?, &why)?,
            }
        }
    }
}

/// `None`: the daemon ends.
fn refuse(message: Message, why: &str) -> Option<()> {
    // Whoever went away does not want to know.
    match message {
        Message::Enqueue(enqueue) => {
            let _ = enqueue.reply.send(Err(InvokeError::Service(why.to_owned())));
        }
        Message::Forget(_, done) => {
            let _ = done.send(Err(LogError::Failed(why.into())));
        }
        Message::Finish(done) => {
            let _ = done.send(());
            return None;
        }
    }
    Some(())
}
