//! `hedgerowd`: joins the rooms.
#![forbid(unsafe_code)]

pub mod bus;
pub mod lifecycle;
