//! Who is subscribed to what, and handing messages to them.

use super::delivery::InboxSender;
use super::{Filter, Published};
use crate::outbox::Outbox;
use crate::principal::Principal;
use std::collections::HashMap;
use std::sync::Arc;

/// What became of a published message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delivered {
    /// Subscribers that it went to.
    pub subscribers: usize,
    /// Older messages that slow ones among them lost to it, itself included.
    pub dropped: u64,
}

/// Tells apart the subscriptions of one filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SubscriberId(u64);

/// Where messages go.
#[derive(Debug)]
pub(crate) enum Subscriber {
    /// A stream of an IPC session.
    Stream(Arc<Outbox>, i32),
    /// A subscription of this process.
    Inbox(InboxSender),
}

#[derive(Debug)]
struct Entry {
    id: SubscriberId,
    who: Principal,
    /// Does not get what its own principal publishes.
    others_only: bool,
    subscriber: Subscriber,
}

/// Outboxes that have something to write, to be flushed when a batch is through: one write then
/// carries all that the batch brought.
#[derive(Debug, Default)]
pub(crate) struct Dirty(Vec<Arc<Outbox>>);

impl Dirty {
    pub fn flush(&mut self) {
        for outbox in self.0.drain(..) {
            outbox.flush();
        }
    }
}

/// What one principal has of the broker.
#[derive(Debug, Default)]
struct Account {
    subscriptions: usize,
    lost: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Broker {
    /// By topic: filters without wildcards.
    exact: HashMap<Box<str>, Vec<Entry>>,
    /// Each distinct filter is tried once per message; their number is bounded by [`Limits`].
    ///
    /// [`Limits`]: crate::Limits
    wildcard: HashMap<Filter, Vec<Entry>>,
    accounts: HashMap<Principal, Account>,
    last_id: u64,
}

impl Broker {
    /// Subscriptions that `who` has.
    pub fn subscriptions_of(&self, who: &Principal) -> usize {
        self.accounts.get(who).map_or(0, |account| account.subscriptions)
    }

    /// Messages that the subscriptions of `who` have lost since it had none.
    pub fn lost_by(&self, who: &Principal) -> u64 {
        self.accounts.get(who).map_or(0, |account| account.lost)
    }

    pub fn subscribe(
        &mut self,
        filter: &Filter,
        who: Principal,
        others_only: bool,
        subscriber: Subscriber,
    ) -> SubscriberId {
        self.last_id += 1;
        let id = SubscriberId(self.last_id);
        self.accounts.entry(who.clone()).or_default().subscriptions += 1;
        let entry = Entry { id, who, others_only, subscriber };
        if filter.has_wildcard() {
            self.wildcard.entry(filter.clone()).or_default().push(entry);
        } else {
            self.exact.entry(filter.as_str().into()).or_default().push(entry);
        }
        id
    }

    pub fn unsubscribe(&mut self, filter: &Filter, id: SubscriberId) {
        let removed = if filter.has_wildcard() {
            remove(&mut self.wildcard, filter, id)
        } else {
            remove(&mut self.exact, filter.as_str(), id)
        };
        if let Some(entry) = removed {
            self.discharge(&entry.who);
        }
    }

    /// Takes one subscription off the account of `who`.
    fn discharge(&mut self, who: &Principal) {
        if let Some(account) = self.accounts.get_mut(who) {
            account.subscriptions -= 1;
            if account.subscriptions == 0 {
                self.accounts.remove(who);
            }
        }
    }

    /// Ends the subscriptions of `who` to the filters that are not `allowed`; returns how many.
    pub fn end_denied(
        &mut self,
        who: &Principal,
        allowed: impl Fn(&str) -> bool,
        dirty: &mut Dirty,
    ) -> usize {
        let mut ended = Vec::new();
        if self.subscriptions_of(who) > 0 {
            take_denied(&mut self.exact, |topic| topic, who, &allowed, &mut ended);
            take_denied(&mut self.wildcard, Filter::as_str, who, &allowed, &mut ended);
        }
        for entry in &ended {
            self.discharge(&entry.who);
            if let Subscriber::Stream(outbox, stream) = &entry.subscriber {
                outbox.end_queue(*stream);
                dirty.0.push(Arc::clone(outbox));
            }
        }
        ended.len()
    }

    /// Queues a message for every subscriber; what must be flushed is added to `dirty`.
    pub fn publish(&mut self, published: &Arc<Published>, dirty: &mut Dirty) -> Delivered {
        let mut delivered = Delivered::default();
        let topic = published.topic.as_ref();
        let exact = self.exact.get(topic).into_iter();
        let wildcard = self.wildcard.iter().filter(|(filter, _)| filter.matches(topic));
        for entry in exact.chain(wildcard.map(|(_, entries)| entries)).flatten() {
            if entry.others_only && entry.who == published.source {
                continue;
            }
            delivered.subscribers += 1;
            let dropped = match &entry.subscriber {
                Subscriber::Inbox(inbox) => inbox.push(published),
                Subscriber::Stream(outbox, stream) => {
                    let pushed = outbox.push(*stream, published);
                    if pushed.newly_dirty {
                        dirty.0.push(Arc::clone(outbox));
                    }
                    pushed.dropped
                }
            };
            if dropped > 0 {
                delivered.dropped += dropped;
                note_loss(&mut self.accounts, &entry.who, dropped);
            }
        }
        delivered
    }

    /// Takes the queue of whoever has the longest, because memory is short. `false` when there is
    /// nothing to take.
    pub fn drop_longest(&mut self) -> bool {
        let entries = self.exact.values().chain(self.wildcard.values()).flatten();
        let lengths = entries.map(|entry| (entry.subscriber.queued_bytes(), entry));
        match lengths.max_by_key(|(bytes, _)| *bytes) {
            Some((bytes, entry)) if bytes > 0 => {
                let dropped = entry.subscriber.clear();
                note_loss(&mut self.accounts, &entry.who, dropped);
                true
            }
            _ => false,
        }
    }
}

impl Subscriber {
    fn queued_bytes(&self) -> usize {
        match self {
            Subscriber::Stream(outbox, _) => outbox.queued_bytes(),
            Subscriber::Inbox(inbox) => inbox.queued_bytes(),
        }
    }

    fn clear(&self) -> u64 {
        match self {
            Subscriber::Stream(outbox, _) => outbox.give_up_queue(),
            Subscriber::Inbox(inbox) => inbox.clear(),
        }
    }
}

fn note_loss(accounts: &mut HashMap<Principal, Account>, who: &Principal, dropped: u64) {
    if let Some(account) = accounts.get_mut(who) {
        account.lost += dropped;
    }
    tracing::debug!(%who, dropped, "a slow subscriber loses messages");
}

/// Moves the entries of `who` in groups that are not `allowed` to `taken`.
fn take_denied<K: std::hash::Hash + Eq>(
    groups: &mut HashMap<K, Vec<Entry>>,
    text: impl Fn(&K) -> &str,
    who: &Principal,
    allowed: impl Fn(&str) -> bool,
    taken: &mut Vec<Entry>,
) {
    groups.retain(|key, entries| {
        if entries.iter().any(|entry| entry.who == *who) && !allowed(text(key)) {
            taken.extend(entries.extract_if(.., |entry| entry.who == *who));
        }
        !entries.is_empty()
    });
}

fn remove<K, Q>(groups: &mut HashMap<K, Vec<Entry>>, filter: &Q, id: SubscriberId) -> Option<Entry>
where
    K: std::hash::Hash + Eq + std::borrow::Borrow<Q>,
    Q: std::hash::Hash + Eq + ?Sized,
{
    let entries = groups.get_mut(filter)?;
    let index = entries.iter().position(|entry| entry.id == id)?;
    let entry = entries.swap_remove(index);
    if entries.is_empty() {
        groups.remove(filter);
    }
    Some(entry)
}
