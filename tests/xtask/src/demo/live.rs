//! What the components are doing, as it happens: redrawn lines on a terminal, plain lines elsewhere.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hedgerow_harness::Hedgerow;
use indicatif::ProgressBar;
use serde_json::Value;

use crate::parts::Part;

const READINGS: &str = "sensors/host";
const ALARMS: &str = "alarms/host";
const CLASSES: &str = "classes/host";

/// Between two looks at the components' states.
const LOOK: Duration = Duration::from_millis(500);

#[derive(Debug, Default)]
pub struct Seen {
    pub readings: u32,
    pub alarms: u32,
    pub classes: u32,
}

/// Shows states and messages for as long as `watched`.
pub fn watch(part: &Part, hedgerow: &Hedgerow, watched: Duration) -> Result<Seen> {
    let (sender, messages) = sync_channel(64);
    let mut subscriptions = Vec::new();
    for topic in [READINGS, ALARMS, CLASSES] {
        subscriptions.push(subscribe(hedgerow, topic, sender.clone())?);
    }
    drop(sender);
    let mut view = View::new(part);
    let seen = follow(part, hedgerow, &mut view, &messages, watched);
    for mut subscription in subscriptions {
        subscription.kill()?;
        subscription.wait()?;
    }
    seen
}

fn follow(
    part: &Part,
    hedgerow: &Hedgerow,
    view: &mut View,
    messages: &Receiver<Message>,
    watched: Duration,
) -> Result<Seen> {
    let mut seen = Seen::default();
    let end = Instant::now() + watched;
    let mut look = Instant::now();
    loop {
        let now = Instant::now();
        if now >= end {
            return Ok(seen);
        }
        if now >= look {
            view.components(part, hedgerow)?;
            look = now + LOOK;
        }
        match messages.recv_timeout(look.min(end).saturating_duration_since(now)) {
            Ok(message) => view.message(part, &mut seen, &message),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(anyhow::anyhow!("the subscriptions ended"));
            }
        }
    }
}

struct Message {
    topic: &'static str,
    payload: String,
}

/// A subscriber through the command line, as a person would have it.
fn subscribe(
    hedgerow: &Hedgerow,
    topic: &'static str,
    sender: SyncSender<Message>,
) -> Result<Child> {
    let mut child = hedgerow
        .command()
        .args(["--json", "topic", "sub", topic])
        .stdout(Stdio::piped())
        .spawn()
        .context("hedgerow topic sub")?;
    let stdout = child.stdout.take().context("no pipe from hedgerow topic sub")?;
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let record: Value = serde_json::from_str(&line).unwrap_or_default();
            let payload = record["payload"].as_str().unwrap_or(&line).to_owned();
            if sender.send(Message { topic, payload }).is_err() {
                return;
            }
        }
    });
    Ok(child)
}

/// A line for each component and for the last message of each topic.
struct View {
    components: Vec<ComponentLine>,
    readings: ProgressBar,
    alarms: ProgressBar,
    classes: ProgressBar,
}

struct ComponentLine {
    name: &'static str,
    line: ProgressBar,
    /// State and process that were shown last.
    shown: (String, i32),
}

impl View {
    fn new(part: &Part) -> View {
        let line = |name: &&'static str| ComponentLine {
            name,
            line: part.line(),
            shown: (String::new(), 0),
        };
        let components = [super::SENSOR].iter().chain(&super::FUNCTIONS).map(line).collect();
        View { components, readings: part.line(), alarms: part.line(), classes: part.line() }
    }

    fn components(&mut self, part: &Part, hedgerow: &Hedgerow) -> Result<()> {
        for one in hedgerow.components()? {
            // The runtime and the layers of the functions are components as well, and do nothing.
            let Some(place) = self.components.iter_mut().find(|place| place.name == one.name)
            else {
                continue;
            };
            let text = match one.pid {
                0 => format!("{:<20} {}", one.name, one.state),
                pid => {
                    let memory = one.memory as f64 / 1e6;
                    format!("{:<20} {:<9} process {pid:<7} {memory:>5.1} MB", one.name, one.state)
                }
            };
            let news = (one.state, one.pid);
            // The memory always is another: no reason for another plain line.
            if !part.is_live() && news != place.shown {
                part.say(&text);
            }
            place.line.set_message(text);
            place.shown = news;
        }
        Ok(())
    }

    fn message(&self, part: &Part, seen: &mut Seen, message: &Message) {
        let (line, count) = match message.topic {
            READINGS => (&self.readings, &mut seen.readings),
            ALARMS => (&self.alarms, &mut seen.alarms),
            _ => (&self.classes, &mut seen.classes),
        };
        *count += 1;
        let text = format!("{:<14} {:>3}  {}", message.topic, count, message.payload);
        if part.is_live() {
            line.set_message(text);
        } else {
            part.say(&text);
        }
    }
}
