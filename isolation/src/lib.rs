//! Fences: what one is ([`plan`]), how the unprivileged daemon asks the privileged launcher for it
//! ([`protocol`] over a [`connection`]), and how the launcher drives the init inside ([`control`]).

#![forbid(unsafe_code)]

pub mod connection;
pub mod control;
pub mod grants;
pub mod moment;
pub mod network;
pub mod observation;
pub mod pattern;
pub mod plan;
pub mod protocol;
