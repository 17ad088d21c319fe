//! The whole bus surface, on a private bus, over a simulated control: no root, no fence.

mod busctl;
mod callers;
mod contract;
mod deployments;
mod functions;
mod life;
mod messages;
#[path = "../../examples/simulated-daemon/simulated.rs"]
mod simulated;
mod support;
