//! `bench invoke`: Lambda functions.
//!
//! What an invocation costs is measured on the function room itself, pools and Runtime API, with bare processes as
//! instances: see [`room`]. What fences add (cold starts, thawing), and what many functions cost, is measured on the
//! shipped daemon over D-Bus: see [`deployed`].

mod bare;
mod deployed;
mod fence;
mod idle;
mod load;
mod nothing;
mod room;
pub mod runtimes;
pub mod warm;

use anyhow::Result;
use clap::ValueEnum;

use crate::figure::Figure;

/// What every event is and every function of ours answers: a JSON text of 100 bytes.
const EVENT: &str = concat!(
    "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\""
);

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// A function in Rust that waits for events, beside a bare echo
    Warm,
    /// Unmodified runtimes, beside the same on a server that does nothing
    Runtimes,
    /// Thawed and cold instances, beside warm ones, a fence and a bare runtime
    Deployed,
    /// Many functions, invoked a thousand times per second
    Load,
    /// More functions with nothing to do
    Idle,
}

/// Measures `wanted`, or all.
pub fn measure(wanted: Option<Part>, rounds: usize, seconds: u64) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for part in Part::value_variants() {
        if wanted.is_none_or(|wanted| wanted == *part) {
            figures.extend(match part {
                Part::Warm => warm::measure(rounds)?,
                Part::Runtimes => runtimes::measure(rounds)?,
                Part::Deployed => deployed::measure(rounds)?,
                Part::Load => load::measure(seconds)?,
                Part::Idle => idle::measure(seconds)?,
            });
        }
    }
    Ok(figures)
}
