//! Events over functions that behave well or badly, and a log that keeps what it was given.

mod delivery;
mod line;
mod load;
mod restart;
pub(crate) mod world;
