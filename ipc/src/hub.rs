//! The device's one authorizer and one broker.

use crate::authorization::{Action, Authorizer, Denied, Permit, PolicyProblem};
use crate::budget::Budget;
use crate::limits::Limits;
use crate::model::Operation;
use crate::principal::Principal;
use crate::pubsub::broker::Dirty;
use crate::pubsub::{
    Broker, Content, Delivered, Filter, MalformedTopic, Message, Published, ReceiveMode,
    Subscriber, SubscriberId, Subscription, TooLarge, topic,
};
use crate::session::Identity;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Authorizer and broker of this device. Clones are handles to the same one.
#[derive(Debug, Clone)]
pub struct Hub(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limits: Arc<Limits>,
    authorizer: Mutex<Authorizer>,
    broker: Mutex<Broker>,
    /// Of the sockets that are served now.
    identities: Mutex<Vec<Arc<Identity>>>,
    /// Memory of frames that are being received.
    received: Arc<Budget>,
    /// Memory of messages that wait for subscribers.
    queued: Arc<Budget>,
}

/// Why a message was not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Topic(#[from] MalformedTopic),
    #[error("a message of {length} bytes on the wire is larger than the {limit} allowed")]
    TooLarge { length: usize, limit: usize },
    #[error("the memory for messages is used up; try again later")]
    NoMemory,
}

impl From<TooLarge> for PublishError {
    fn from(TooLarge { length, limit }: TooLarge) -> PublishError {
        PublishError::TooLarge { length, limit }
    }
}

/// Why there is no subscription.
#[derive(Debug, thiserror::Error)]
pub enum SubscribeError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Filter(#[from] MalformedTopic),
    #[error("{who} has the {limit} subscriptions allowed already")]
    TooMany { who: Principal, limit: usize },
}

impl Hub {
    /// A hub without policies and subscribers.
    pub fn new(limits: Limits) -> Hub {
        Hub(Arc::new(Inner {
            received: Budget::new(limits.received_bytes),
            queued: Budget::new(limits.queued_bytes),
            limits: Arc::new(limits),
            authorizer: Mutex::default(),
            broker: Mutex::default(),
            identities: Mutex::default(),
        }))
    }

    /// Replaces what one component may do by what its configuration's `accessControl` says (`null`
    /// where it has none). Returns the parts that grant nothing; the valid rest applies.
    ///
    /// Subscriptions that it does not allow any more are ended.
    pub fn set_policies(
        &self,
        component: &str,
        access_control: &serde_json::Value,
    ) -> Vec<PolicyProblem> {
        self.change_policies(component, |authorizer| authorizer.set(component, access_control))
    }

    /// Replaces what one component may do because its deployment says so in another place than `accessControl`: exactly
    /// these operations on exactly these resources. A Lambda function's event sources are such.
    pub fn set_deployed(&self, component: &str, allowed: Vec<(Operation, String)>) {
        self.change_policies(component, |authorizer| authorizer.set_deployed(component, allowed));
    }

    /// Takes every right from a component, and the subscriptions that rest on them.
    pub fn remove_policies(&self, component: &str) {
        self.change_policies(component, |authorizer| authorizer.remove(component));
    }

    fn change_policies<T>(&self, component: &str, change: impl FnOnce(&mut Authorizer) -> T) -> T {
        let who = Principal::Component(component.into());
        let mut dirty = Dirty::default();
        let mut authorizer = self.authorizer();
        let changed = change(&mut authorizer);
        let allowed =
            |filter: &str| authorizer.authorize(&who, Operation::SubscribeToTopic, filter).is_ok();
        let ended = self.broker().end_denied(&who, allowed, &mut dirty);
        drop(authorizer);
        dirty.flush();
        if ended > 0 {
            tracing::info!(%who, ended, "subscriptions ended: its policies do not allow them any more");
        }
        changed
    }

    /// Asks whether `who` may do `action` on `resource`.
    ///
    /// # Errors
    /// It may not; the error names the rule that is missing.
    pub fn authorize(
        &self,
        who: &Principal,
        action: impl Into<Action>,
        resource: &str,
    ) -> Result<Permit, Denied> {
        self.authorizer().authorize(who, action, resource)
    }

    /// Publishes a message to whoever is subscribed now. That nobody is, is no error.
    ///
    /// # Errors
    /// `who` may not, the topic is none, or the message is too large for the wire or the memory.
    pub fn publish(
        &self,
        who: &Principal,
        topic: &str,
        message: &Message,
    ) -> Result<Delivered, PublishError> {
        let mut dirty = Dirty::default();
        topic::check(topic, self.0.limits.topic_bytes)?;
        let permit = self.authorize(who, Operation::PublishToTopic, topic)?;
        let delivered = self.publish_permitted(&permit, message.into(), &mut dirty)?;
        dirty.flush();
        Ok(delivered)
    }

    /// Subscribes this process on behalf of `who`. Without a mode, a filter with wildcards does not
    /// get what `who` itself publishes and one without does.
    ///
    /// # Errors
    /// `who` may not, the filter is none, or there are too many subscriptions already.
    pub fn subscribe(
        &self,
        who: &Principal,
        filter: &str,
        mode: Option<ReceiveMode>,
    ) -> Result<Subscription, SubscribeError> {
        let filter = Filter::parse(filter, self.0.limits.topic_bytes)?;
        let permit = self.authorize(who, Operation::SubscribeToTopic, filter.as_str())?;
        let (inbox, sender) = Subscription::inbox(Arc::clone(&self.0.limits));
        let id = self.subscribe_permitted(&permit, &filter, mode, Subscriber::Inbox(sender))?;
        Ok(Subscription { hub: self.clone(), filter, id, inbox })
    }

    /// Whose token it is; `None` where it is nobody's whose socket is served now.
    pub fn holder_of(&self, token: &str) -> Option<Principal> {
        let identities = self.identities();
        let holder = identities.iter().find(|identity| identity.token.matches(token))?;
        Some(holder.principal.clone())
    }

    /// Messages that subscriptions of `who` have lost because they were slow, counted since it last
    /// had no subscription.
    pub fn lost_by(&self, who: &Principal) -> u64 {
        self.broker().lost_by(who)
    }

    /// Publishes on the topic that `permit` is for; the caller flushes `dirty`.
    pub(crate) fn publish_permitted(
        &self,
        permit: &Permit,
        content: Content<'_>,
        dirty: &mut Dirty,
    ) -> Result<Delivered, PublishError> {
        debug_assert_eq!(permit.action(), Operation::PublishToTopic.into());
        let (who, topic) = (permit.who().clone(), Arc::clone(permit.resource()));
        let limit = self.0.limits.frame_bytes;
        let published = Published::encode(topic, who, content, limit, |bytes| {
            loop {
                if let Some(held) = self.0.queued.reserve(bytes) {
                    return Ok(held);
                }
                if !self.broker().drop_longest() {
                    return Err(PublishError::NoMemory);
                }
            }
        })?;
        Ok(self.broker().publish(&Arc::new(published), dirty))
    }

    /// Subscribes to the filter that `permit` is for.
    pub(crate) fn subscribe_permitted(
        &self,
        permit: &Permit,
        filter: &Filter,
        mode: Option<ReceiveMode>,
        subscriber: Subscriber,
    ) -> Result<SubscriberId, SubscribeError> {
        debug_assert_eq!(permit.action(), Operation::SubscribeToTopic.into());
        let others_only = match mode {
            Some(mode) => mode == ReceiveMode::ReceiveMessagesFromOthers,
            None => filter.has_wildcard(),
        };
        let who = permit.who();
        // Held until the subscription can be found, and asked again: the policies may have changed since the permit.
        let authorizer = self.authorizer();
        let _still = authorizer.authorize(who, permit.action(), permit.resource())?;
        let (mut broker, limit) = (self.broker(), self.0.limits.subscriptions);
        if broker.subscriptions_of(who) >= limit {
            return Err(SubscribeError::TooMany { who: who.clone(), limit });
        }
        Ok(broker.subscribe(filter, who.clone(), others_only, subscriber))
    }

    /// Makes a token valid until the result is dropped.
    pub(crate) fn admit(&self, identity: &Arc<Identity>) -> Admitted {
        self.identities().push(Arc::clone(identity));
        Admitted { hub: self.clone(), identity: Arc::clone(identity) }
    }

    pub(crate) fn limits(&self) -> &Arc<Limits> {
        &self.0.limits
    }

    pub(crate) fn received(&self) -> &Arc<Budget> {
        &self.0.received
    }

    pub(crate) fn broker(&self) -> MutexGuard<'_, Broker> {
        self.0.broker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn authorizer(&self) -> MutexGuard<'_, Authorizer> {
        self.0.authorizer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn identities(&self) -> MutexGuard<'_, Vec<Arc<Identity>>> {
        self.0.identities.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The validity of one token.
#[derive(Debug)]
pub(crate) struct Admitted {
    hub: Hub,
    identity: Arc<Identity>,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.hub.identities().retain(|identity| !Arc::ptr_eq(identity, &self.identity));
    }
}
