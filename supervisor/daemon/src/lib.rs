//! `hedgerowd`: joins the rooms.
#![forbid(unsafe_code)]

pub mod lifecycle;
