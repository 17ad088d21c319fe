//! The queue as those have it who make events.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::event::Event;
use super::load::load;
use super::task::{Enqueue, Message, Task};
use super::{DeadLetters, EventLog, LogError};
use crate::{Clock, Functions, Invocation, InvokeError, RequestId, Target};

/// Messages that were not looked at yet: senders wait.
const MESSAGES: usize = 64;

/// A disk that takes longer to store an event is broken.
const PATIENCE: Duration = Duration::from_secs(30);

/// A handle: cheap to clone.
#[derive(Debug, Clone)]
pub struct Events {
    functions: Functions,
    messages: mpsc::Sender<Message>,
    fault: watch::Receiver<Option<String>>,
}

/// The other end of the handles, not at work yet: until it is, who makes an event waits.
#[derive(Debug)]
pub struct EventQueue {
    functions: Functions,
    messages: mpsc::Receiver<Message>,
    fault: watch::Sender<Option<String>>,
}

/// An event that is on its way to the disk.
#[derive(Debug)]
pub struct Receipt {
    request_id: RequestId,
    stored: oneshot::Receiver<Result<(), InvokeError>>,
}

impl EventQueue {
    /// Takes up what waited when the daemon ended, and stores and delivers events from here on. Until what waited can be
    /// read, events are refused, and it is tried again. `max_size`: bytes of all events that wait.
    pub fn start<L: EventLog, D: DeadLetters, C: Clock>(
        self,
        log: Arc<L>,
        dead_letters: Arc<D>,
        clock: C,
        max_size: u64,
    ) {
        let Self { functions, mut messages, fault } = self;
        tokio::spawn(async move {
            if let Some(stored) = load(&*log, &mut messages, &fault).await {
                let world = (log, dead_letters, clock);
                Task::new(functions, world, messages, fault, max_size).run(stored).await;
            }
        });
    }
}

impl Events {
    pub fn new(functions: Functions) -> (Self, EventQueue) {
        let (sender, messages) = mpsc::channel(MESSAGES);
        let (told, fault) = watch::channel(None);
        let queue = EventQueue { functions: functions.clone(), messages, fault: told };
        (Self { functions, messages: sender, fault }, queue)
    }

    /// Why events are not stored at the moment, for people.
    pub fn fault(&self) -> Option<String> {
        self.fault.borrow().clone()
    }

    /// The event is durable when this returns, and is delivered at least once. Dropping the future does not take it
    /// back.
    pub async fn enqueue(
        &self,
        target: &Target,
        invocation: Invocation,
    ) -> Result<RequestId, InvokeError> {
        self.submit(target, invocation).await?.stored().await
    }

    /// Puts the event in its place in the line; it is durable when [`Receipt::stored`] says so.
    pub async fn submit(
        &self,
        target: &Target,
        invocation: Invocation,
    ) -> Result<Receipt, InvokeError> {
        let invocation = self.functions.admit_event(target, invocation)?;
        let spec = self.functions.find(target)?;
        let request_id = invocation.request_id.clone();
        let event = Event { qualifier: target.qualifier.clone(), invocation };
        let (reply, stored) = oneshot::channel();
        let message = Message::Enqueue(Box::new(Enqueue { spec, event, reply }));
        match timeout(PATIENCE, self.messages.send(message)).await {
            Ok(Ok(())) => Ok(Receipt { request_id, stored }),
            Ok(Err(_)) => Err(ended()),
            Err(_) => Err(slow()),
        }
    }

    /// Removes every event of a function that is gone for good. Where it fails, they may still be stored.
    pub async fn forget(&self, function: &str) -> Result<(), LogError> {
        let (done, forgotten) = oneshot::channel();
        let message = Message::Forget(function.into(), done);
        let forget = async {
            self.messages.send(message).await.map_err(|_| ended())?;
            forgotten.await.map_err(|_| ended())
        };
        match timeout(PATIENCE, forget).await {
            Ok(Ok(forgotten)) => forgotten,
            Ok(Err(error)) => Err(LogError::Failed(error.into())),
            Err(_) => Err(LogError::Failed(slow().into())),
        }
    }

    /// Delivers nothing more; returns when what is being delivered and stored is done, or after `grace`.
    pub async fn finish(&self, grace: Duration) {
        let (done, finished) = oneshot::channel();
        let finish = async {
            if self.messages.send(Message::Finish(done)).await.is_ok() {
                let _ = finished.await;
            }
        };
        // What is not done by then is delivered again after the next start.
        let _ = timeout(grace, finish).await;
    }
}

impl Receipt {
    pub async fn stored(self) -> Result<RequestId, InvokeError> {
        match timeout(PATIENCE, self.stored).await {
            Ok(Ok(stored)) => stored.map(|()| self.request_id),
            Ok(Err(_)) => Err(ended()),
            Err(_) => Err(slow()),
        }
    }
}

fn ended() -> InvokeError {
    InvokeError::Service("the daemon is stopping; try again when it is back".to_owned())
}

fn slow() -> InvokeError {
    InvokeError::Service(format!(
        "the event was not stored within {} s: the disk does not answer; it may still be delivered",
        PATIENCE.as_secs()
    ))
}
