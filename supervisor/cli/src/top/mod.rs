//! `hedgerow top`.
//!
//! [`source`] looks at the bus, [`figures`] makes rates of it, [`state`] is what the screen shows and what keys do to it,
//! [`paint`] draws that on the [`screen`].

mod batch;
mod canvas;
mod columns;
mod details;
mod figures;
#[cfg(test)]
pub mod fixture;
mod list;
mod paint;
mod screen;
mod source;
mod state;
mod table;

use std::io::{IsTerminal, stdout};
use std::pin::pin;
use std::time::Duration;

use clap::Args;
use crossterm::event::{self, EventStream};
use futures_util::StreamExt;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};

use crate::failure::Failure;
use crate::output::Output;
use crate::session::Session;
use screen::Screen;
use state::{Action, Event, State};

/// News that may wait to be drawn.
const NEWS: usize = 4;

#[derive(Debug, Args)]
pub struct Top {
    /// Between two looks, 1s at least.
    #[arg(short, long, value_name = "TIME", default_value = "2s", value_parser = delay)]
    delay: Duration,
    /// Print tables one after another, as where the output is no terminal.
    #[arg(short, long)]
    batch: bool,
    /// Print them once, after one delay, and end.
    #[arg(short = '1', long)]
    once: bool,
}

fn delay(text: &str) -> Result<Duration, String> {
    let delay = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    match delay >= hedgerow_api::FUNCTION_PACE {
        true => Ok(delay),
        false => Err("what functions do is told once a second".to_owned()),
    }
}

pub async fn run(session: &Session, output: &Output, top: Top) -> Result<(), Failure> {
    let Top { delay, batch, once } = top;
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    match batch || once || output.json || is_dumb || !stdout().is_terminal() {
        true => batch::run(session.clone(), output, delay, once).await,
        false => interactive(session.clone(), delay).await,
    }
}

async fn interactive(session: Session, period: Duration) -> Result<(), Failure> {
    let mut ends = Ends::new().map_err(Failure::Terminal)?;
    let (follow, followed) = watch::channel(None);
    let (news, mut latest) = mpsc::channel(NEWS);
    let mut source = pin!(source::watch(session, period, followed, news));
    let mut screen = Screen::open().map_err(Failure::Terminal)?;
    let mut keys = EventStream::new();
    let mut state = State::new();
    loop {
        screen.draw(&mut state).map_err(Failure::Terminal)?;
        let event = tokio::select! {
            key = keys.next() => match key {
                Some(Ok(event::Event::Key(key))) => Event::Key(key),
                // A screen of another size is drawn anew.
                Some(Ok(_)) => continue,
                Some(Err(error)) => return Err(Failure::Terminal(error)),
                None => return Ok(()),
            },
            Some(event) = latest.recv() => event,
            () = &mut source => return Ok(()),
            () = ends.come() => return Ok(()),
        };
        match state.step(event) {
            Some(Action::Quit) => return Ok(()),
            Some(Action::Follow(whom)) => drop(follow.send_replace(whom)),
            None => {}
        }
    }
}

/// Signals that end the program, with the terminal as it was.
#[derive(Debug)]
struct Ends {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Ends {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn come(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
