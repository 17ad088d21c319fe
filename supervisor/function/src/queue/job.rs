//! What takes time, and runs beside the task that has the lines.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

use super::age::Note;
use super::dead_letter::Condition;
use super::event::Event;
use super::policy::Outcome;
use super::{DeadLetter, DeadLetters, EventKey, EventLog, LogError};
use crate::{
    Answer, Completed, FunctionError, FunctionSpec, Functions, Health, InvokeError, ResponseStream,
    StreamFault, Target,
};

/// The end of a job.
#[derive(Debug)]
pub(super) enum Done {
    Stored {
        key: EventKey,
        note: Note,
        size: usize,
        result: Result<(), LogError>,
        reply: Reply,
    },
    Tried {
        key: EventKey,
        outcome: Outcome,
    },
    Removed(EventKey),
    /// Nothing follows from it.
    Other,
}

pub(super) type Reply = oneshot::Sender<Result<(), InvokeError>>;

pub(super) async fn store<L: EventLog>(
    log: Arc<L>,
    key: EventKey,
    row: Vec<u8>,
    note: Note,
    reply: Reply,
) -> Done {
    let size = row.len();
    let result = log.append(key.clone(), row, note.to_row()).await;
    Done::Stored { key, note, size, result, reply }
}

/// `room`: bytes of events that are in memory at once.
pub(super) async fn deliver<L: EventLog>(
    functions: Functions,
    log: Arc<L>,
    room: Arc<Semaphore>,
    key: EventKey,
    (size, patience): (usize, Duration),
) -> Done {
    let size = u32::try_from(size).unwrap_or(u32::MAX);
    // It is never closed.
    let _room = room.acquire_many(size).await;
    let outcome = match log.read(key.clone()).await {
        Ok(Some(row)) => match Event::from_row(row) {
            Some(event) => attempt(&functions, &key.function, event, patience).await,
            None => Outcome::Unreadable,
        },
        Ok(None) => Outcome::Missing,
        Err(error) => Outcome::Refused(InvokeError::Service(error.to_string())),
    };
    Done::Tried { key, outcome }
}

async fn attempt(
    functions: &Functions,
    function: &str,
    event: Event,
    patience: Duration,
) -> Outcome {
    let target = Target { function: function.to_owned(), qualifier: event.qualifier };
    match functions.deliver(&target, event.invocation, patience).await {
        Ok(Completed { answer, executed_version, .. }) => match answer {
            Answer::Success(_) => Outcome::Answered,
            Answer::Failure(error) => Outcome::Failed { error, executed_version },
            Answer::Stream(stream) => match read_out(stream).await {
                Ok(()) => Outcome::Answered,
                Err(error) => Outcome::Failed { error, executed_version },
            },
        },
        // Which version it has shows when it is back.
        Err(InvokeError::ResourceNotFound(_)) if is_away(functions, function) => {
            Outcome::Refused(InvokeError::ResourceConflict(format!("{function} was removed")))
        }
        Err(error) => Outcome::Refused(error),
    }
}

fn is_away(functions: &Functions, function: &str) -> bool {
    let overview = functions.watch(function);
    overview.is_none_or(|overview| overview.borrow().health == Health::Stopped)
}

/// Nobody wants the response of an event, but whether the function came to its end.
async fn read_out(mut stream: ResponseStream) -> Result<(), FunctionError> {
    while let Some(part) = stream.body.recv().await {
        part.map_err(|fault| match fault {
            StreamFault::Function(error) => error,
            StreamFault::Cut(why) => {
                let body = serde_json::json!({
                    "errorType": "Runtime.TruncatedResponse",
                    "errorMessage": why,
                });
                FunctionError {
                    error_type: "Runtime.TruncatedResponse".to_owned(),
                    body: body.to_string().into(),
                }
            }
        })?;
    }
    Ok(())
}

pub(super) async fn note<L: EventLog>(log: Arc<L>, key: EventKey, note: Note) -> Done {
    // Where that fails, the event has a try more after a crash.
    let _ = log.note(key, note.to_row()).await;
    Done::Other
}

pub(super) async fn remove<L: EventLog>(log: Arc<L>, key: EventKey) -> Done {
    // The log makes up for a failure.
    let _ = log.remove(key.clone()).await;
    Done::Removed(key)
}

pub(super) async fn bury<L: EventLog, D: DeadLetters>(
    log: Arc<L>,
    dead_letters: Arc<D>,
    burials: Arc<Semaphore>,
    functions: Functions,
    whose: (Arc<FunctionSpec>, EventKey, Note),
    death: (Condition, Option<Outcome>),
) -> Done {
    let ((spec, key, note), (condition, outcome)) = (whose, death);
    // It is never closed.
    let _turn = burials.acquire().await;
    // By now it may tell another topic.
    let spec = functions.get(&key.function).unwrap_or(spec);
    let row = log.read(key.clone()).await.ok().flatten();
    let event = row.and_then(Event::from_row);
    let letter = DeadLetter::new(&spec, &note, event.as_ref(), condition, outcome.as_ref());
    drop(event);
    dead_letters.publish(&spec, letter).await;
    remove(log, key).await
}

pub(super) async fn await_start(functions: Functions, function: Arc<str>) -> Arc<str> {
    if let Some(mut overview) = functions.watch(&function) {
        // It fails when the function is gone, of which the task is told otherwise.
        let _ = overview.wait_for(|overview| overview.health != Health::Stopped).await;
    }
    function
}

pub(super) async fn clear<L: EventLog>(
    log: Arc<L>,
    (function, before): (Arc<str>, u64),
    done: oneshot::Sender<Result<(), LogError>>,
) -> Done {
    // Who does not wait for it any more forgets the function again.
    let _ = done.send(log.clear(function, before).await);
    Done::Other
}
