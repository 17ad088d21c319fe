//! Local publish/subscribe: topics, messages, and the broker between them.
//!
//! A message goes to whoever is subscribed at that moment; nothing is kept. Each subscriber gets
//! the messages of its filter in the order in which they were published, from a bounded queue of
//! its own: when it is slow it loses its oldest ones, counted, and nobody else notices.

pub(crate) mod broker;
mod delivery;
mod message;
mod published;
mod queue;
#[cfg(test)]
mod tests;
pub mod topic;

pub use self::broker::Delivered;
pub use self::delivery::{Delivery, Subscription};
pub use self::message::{JsonText, MalformedJson, Message};
pub use self::topic::{Filter, MalformedTopic};
pub use crate::model::ReceiveMode;

pub(crate) use self::broker::{Broker, Subscriber, SubscriberId};
pub(crate) use self::message::Content;
pub(crate) use self::published::{Published, TooLarge};
pub(crate) use self::queue::Queue;
