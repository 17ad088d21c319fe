//! `hedgerowd`: joins the rooms.
//!
//! [`daemon`] is the whole from start to stop. [`deployment`] decides what is desired, [`driver`] makes it so by
//! way of the pure [`lifecycle`], [`recover`] goes on where a killed daemon was. [`bus`] and [`services`] are how
//! people and components talk to it.

#![forbid(unsafe_code)]

pub mod bus;
pub mod configuration_updates;
pub mod consent;
pub mod daemon;
mod definition;
mod deployment;
mod disk;
mod driver;
mod fault;
#[cfg(test)]
mod fixture;
mod follow;
pub mod function;
mod image;
mod jobs;
mod lambda_manager;
mod launcher;
pub mod layout;
pub mod lifecycle;
mod log;
pub mod metrics;
mod observations;
mod operations;
mod os_release;
mod packages;
mod records;
mod recover;
mod registry;
mod release;
pub mod root;
mod services;
mod settings;
mod supervisor;
