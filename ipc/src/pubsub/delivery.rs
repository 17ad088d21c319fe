//! Subscribers within this process: D-Bus, the cloud link, the command line's live view.

use super::{Filter, Message, Published, Queue, SubscriberId};
use crate::budget::Budget;
use crate::hub::Hub;
use crate::limits::Limits;
use crate::principal::Principal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// A message as a subscriber gets it.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    pub topic: Arc<str>,
    pub message: Message,
    /// Who published it.
    pub source: Principal,
    /// Messages that this subscriber lost just before this one, because it was slow.
    pub lost: u64,
}

/// A subscription of this process. Dropping it unsubscribes.
#[derive(Debug)]
pub struct Subscription {
    pub(crate) hub: Hub,
    pub(crate) filter: Filter,
    pub(crate) id: SubscriberId,
    pub(crate) inbox: Arc<Inbox>,
}

impl Subscription {
    /// The next message; `None` when the subscription has been ended from the other side. May be
    /// cancelled without losing one.
    pub async fn next(&mut self) -> Option<Delivery> {
        loop {
            match self.inbox.take() {
                Taken::Message(delivery) => return Some(delivery),
                Taken::Nothing => self.inbox.wake.notified().await,
                Taken::End => return None,
            }
        }
    }

    pub(crate) fn inbox(limits: Arc<Limits>) -> (Arc<Inbox>, InboxSender) {
        Inbox::new(limits)
    }

    /// The filter's text.
    pub fn filter(&self) -> &str {
        self.filter.as_str()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.hub.broker().unsubscribe(&self.filter, self.id);
    }
}

/// The queue between the broker and one [`Subscription`].
#[derive(Debug)]
pub(crate) struct Inbox {
    queue: Mutex<Queue>,
    limits: Arc<Limits>,
    memory: Arc<Budget>,
    ended: AtomicBool,
    wake: Notify,
}

enum Taken {
    Message(Delivery),
    Nothing,
    End,
}

/// The broker's end of an inbox. Dropping it ends the subscription.
#[derive(Debug)]
pub(crate) struct InboxSender(Arc<Inbox>);

impl Inbox {
    pub fn new(limits: Arc<Limits>) -> (Arc<Inbox>, InboxSender) {
        let memory = Budget::new(limits.peer_bytes);
        let queue = Mutex::default();
        let (ended, wake) = (AtomicBool::new(false), Notify::new());
        let inbox = Arc::new(Inbox { queue, limits, memory, ended, wake });
        (Arc::clone(&inbox), InboxSender(inbox))
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Taken {
        let Some((waiting, lost)) = self.queue().pop() else {
            let ended = self.ended.load(Ordering::Acquire);
            return if ended { Taken::End } else { Taken::Nothing };
        };
        let (published, _) = waiting.into_parts();
        Taken::Message(Delivery {
            topic: Arc::clone(&published.topic),
            message: published.message(),
            source: published.source.clone(),
            lost,
        })
    }
}

impl InboxSender {
    pub fn push(&self, published: &Arc<Published>) -> u64 {
        let dropped = self.0.queue().push(published, &self.0.limits, &self.0.memory);
        self.0.wake.notify_one();
        dropped
    }

    pub fn queued_bytes(&self) -> usize {
        self.0.queue().bytes()
    }

    pub fn clear(&self) -> u64 {
        self.0.queue().clear()
    }
}

impl Drop for InboxSender {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Release);
        self.0.wake.notify_one();
    }
}
