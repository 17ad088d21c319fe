//! What the Runtime API's server of one instance and the function's pool say to each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};

use crate::task::Message;
use crate::{Answer, FunctionError, InstanceId, RequestId};

/// The pool, as one instance reaches it. Once the function is gone, every call says so and the server may end.
#[derive(Debug, Clone)]
pub struct InstanceLink {
    id: InstanceId,
    messages: mpsc::Sender<Message>,
    /// Nothing is ever sent: the other end goes with the instance.
    instance: watch::Receiver<()>,
}

/// An invocation on its way to a runtime: the answer to `next`.
#[derive(Debug)]
pub struct Work {
    pub request_id: RequestId,
    pub payload: Bytes,
    /// Milliseconds since 1970.
    pub deadline: u64,
    /// As it was invoked: with the qualifier, where one was named.
    pub arn: String,
    pub client_context: Option<String>,
    pub trace_id: Option<String>,
    delivered: Arc<AtomicBool>,
}

/// What a runtime asks or says.
#[derive(Debug)]
pub(crate) enum Asked {
    Next(oneshot::Sender<Work>),
    Answered(Box<Answered>),
    InitFailed(Box<FunctionError>),
}

#[derive(Debug)]
pub(crate) struct Answered {
    pub request_id: String,
    pub answer: Answer,
    pub accepted: oneshot::Sender<bool>,
}

impl InstanceLink {
    /// What is returned beside it is to be dropped when the instance has been closed.
    pub(crate) fn new(
        id: InstanceId,
        messages: mpsc::Sender<Message>,
    ) -> (Self, watch::Sender<()>) {
        let (present, instance) = watch::channel(());
        (Self { id, messages, instance }, present)
    }

    pub fn id(&self) -> InstanceId {
        self.id
    }

    /// Returns when the instance has been closed: nobody connects any more.
    pub async fn closed(&self) {
        let mut instance = self.instance.clone();
        while instance.changed().await.is_ok() {}
    }

    /// Waits for work, for ever if need be. `None`: this poll is not wanted, because another one of the same
    /// runtime waits already or the instance is to end. Dropping the future ends the poll and loses no work.
    pub async fn next(&self) -> Option<Work> {
        let (work, given) = oneshot::channel();
        self.say(Asked::Next(work)).await?;
        given.await.ok()
    }

    /// Whether it was the answer to what the instance works on. The caller has it when this returns.
    pub async fn answer(&self, request_id: String, answer: Answer) -> bool {
        let (accepted, verdict) = oneshot::channel();
        let answered = Box::new(Answered { request_id, answer, accepted });
        match self.say(Asked::Answered(answered)).await {
            Some(()) => verdict.await.unwrap_or(false),
            None => false,
        }
    }

    /// The runtime gives up before its first `next`.
    pub async fn init_failed(&self, error: FunctionError) {
        // A function that is gone needs no telling.
        let _ = self.say(Asked::InitFailed(Box::new(error))).await;
    }

    async fn say(&self, asked: Asked) -> Option<()> {
        self.messages.send(Message::Asked(self.id, asked)).await.ok()
    }
}

impl Work {
    pub(crate) fn new(
        invocation: &crate::Invocation,
        arn: String,
        deadline: u64,
    ) -> (Self, Arc<AtomicBool>) {
        let delivered = Arc::new(AtomicBool::new(false));
        let work = Self {
            request_id: invocation.request_id.clone(),
            payload: invocation.payload.clone(),
            deadline,
            arn,
            client_context: invocation.client_context.clone(),
            trace_id: invocation.trace_id.clone(),
            delivered: Arc::clone(&delivered),
        };
        (work, delivered)
    }

    /// To be called as soon as the runtime may have seen it. Work that never was delivered is given to another
    /// instance, or again, if the runtime polls anew or ends.
    pub fn delivered(&self) {
        self.delivered.store(true, Ordering::Release);
    }
}
