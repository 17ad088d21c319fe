//! Greengrass IPC for components: event-stream RPC on one Unix socket per component, local
//! publish/subscribe, and the authorization of both.
//!
//! - [`serve`] speaks the protocol on a component's own listening socket.
//! - [`Hub`] is the device's one authorizer and one broker; host programs publish and subscribe
//!   through it under their own [`Principal`].
//! - [`Services`] is what the daemon answers; [`model`] has the types, generated from the public
//!   model of the service.
//! - [`client`] is a small client for tests and benchmarks.
//!
//! Identity is the socket: whoever holds a connection is the component that the socket was made for,
//! provided that the token and the uid are right. Every queue and buffer is bounded by [`Limits`].

#![forbid(unsafe_code)]

pub mod authorization;
mod budget;
pub mod client;
mod hub;
mod limits;
pub mod model;
mod outbox;
mod principal;
pub mod pubsub;
mod services;
mod session;
mod token;
pub mod wire;

pub use self::authorization::{Action, Denied, Permit, PolicyProblem};
pub use self::hub::{Hub, PublishError, SubscribeError};
pub use self::limits::Limits;
pub use self::principal::Principal;
pub use self::pubsub::{
    Delivered, Delivery, JsonText, MalformedJson, Message, ReceiveMode, Subscription,
};
pub use self::services::{Answer, Services};
pub use self::session::{Identity, serve};
pub use self::token::{MalformedToken, NoRandomness, Token};
