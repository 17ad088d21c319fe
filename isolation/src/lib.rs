//! Fences: what one is ([`plan`]), and how the unprivileged daemon asks the privileged launcher for it ([`protocol`]).

pub mod moment;
pub mod plan;
pub mod protocol;
