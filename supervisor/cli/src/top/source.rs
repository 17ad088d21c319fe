//! Looks at the bus, again and again.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::time::Duration;

use hedgerow_api::Objects;
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use super::details::Details;
use super::figures::{History, Look};
use super::state::Event;
use crate::clock::Clock;
use crate::doctor;
use crate::failure::Failure;
use crate::session::Session;

/// Of a log.
const LINES: u32 = 40;
const BYTES: u64 = 64 * 1024;

/// One call for everything. A daemon that has gone is found again when it is back, and is not started.
pub async fn look(session: &mut Session) -> Result<Look, Failure> {
    if session.connection.is_closed() {
        *session = session.again().await?;
    }
    let objects = Objects::of_running(&session.connection).await;
    let objects = objects.map_err(|error| session.explain(error.into()))?;
    Ok(Look { clock: Clock::now(), objects })
}

/// Tells what there is once a period, and the details of whom `followed` names, until nobody listens.
pub async fn watch(
    mut session: Session,
    period: Duration,
    mut followed: watch::Receiver<Option<String>>,
    news: mpsc::Sender<Event>,
) {
    let mut history = History::default();
    let mut tick = interval(period);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {
                let event = match look(&mut session).await {
                    Ok(look) => Event::Figures(history.add(look)),
                    Err(failure) => Event::Away(failure.to_string()),
                };
                if news.send(event).await.is_err() {
                    return;
                }
            }
            changed = followed.changed() => if changed.is_err() {
                return;
            },
        }
        let name = followed.borrow_and_update().clone();
        if let Some(name) = name
            && news.send(Event::Details(details(&session, name).await)).await.is_err()
        {
            return;
        }
    }
}

/// As far as they can be had: one that has just been removed has none.
async fn details(session: &Session, name: String) -> Details {
    let limits = doctor::limits(session, &name).await.ok().flatten();
    let log = log(session, &name).await.unwrap_or_default();
    Details { name, limits, log }
}

async fn log(session: &Session, name: &str) -> Result<Vec<String>, Failure> {
    let component = session.component(name).await?;
    let stream = File::from(OwnedFd::from(component.open_log(false, LINES).await?));
    let read = spawn_blocking(move || {
        let mut text = Vec::new();
        stream.take(BYTES).read_to_end(&mut text).map(|_| text)
    });
    let text = read.await.map_err(std::io::Error::from).flatten().map_err(Failure::Stream)?;
    Ok(String::from_utf8_lossy(&text).lines().map(str::to_owned).collect())
}
