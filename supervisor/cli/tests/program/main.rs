//! The program against the daemon's own bus code over a simulated control, on a private bus.

mod commands;
mod greengrass;
mod invoke;
#[path = "../../../daemon/examples/simulated-daemon/simulated.rs"]
mod simulated;
mod support;
