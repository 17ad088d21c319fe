//! The Greengrass IPC service: its operations, their messages and errors.
//!
//! `enums`, `error`, `messages`, `operation` and `shapes` are generated from `model/ipc_model.json`.

#[rustfmt::skip]
mod enums;
#[rustfmt::skip]
mod error;
#[rustfmt::skip]
mod messages;
#[rustfmt::skip]
mod operation;
mod reply;
mod scalar;
#[rustfmt::skip]
mod shapes;

pub use self::{enums::*, error::*, messages::*, operation::*, scalar::*, shapes::*};
