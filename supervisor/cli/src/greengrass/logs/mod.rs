//! `greengrass-cli logs get|list-log-files|list-keywords`.
//!
//! The logs are the daemon's and come over D-Bus. A path of Greengrass' names them: a directory is all
//! components, `…/NAME.log` is component NAME.

mod entry;
mod filter;
mod window;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::SystemTime;

use clap::{Args, Subcommand};
use hedgerow_api::components;

use crate::failure::Failure;
use crate::output::print;
use crate::session::Session;
use entry::Entry;
use filter::Filter;
use window::Window;

/// Lines that wait to be printed, while following.
const QUEUE: usize = 256;

#[derive(Debug, Subcommand)]
pub enum LogsCommand {
    /// Print log entries that match.
    Get(Box<Get>),
    /// Print the log files of a directory.
    ListLogFiles {
        /// Where Greengrass has its logs. In one dash: -ld.
        #[arg(long, value_name = "DIR", default_value = "/greengrass/v2/logs")]
        log_dir: PathBuf,
    },
    /// Print the keys that `--filter` knows.
    ListKeywords {
        /// Accepted; there is no other format.
        #[arg(short, long)]
        syslog: bool,
    },
}

#[derive(Debug, Args)]
pub struct Get {
    /// All components' logs; the path does not matter. In one dash: -ld.
    #[arg(long, value_name = "DIR")]
    log_dir: Vec<PathBuf>,
    /// `NAME.log` is the log of component NAME, whatever the path before it. In one dash: -lf.
    #[arg(long, value_name = "FILE")]
    log_file: Vec<PathBuf>,
    /// `BEGIN,END`: times in UTC (2026-01-31, 2026-01-31T08:00:00, 08:00:00) or offsets (-2h15min); may be repeated.
    #[arg(short, long, value_name = "BEGIN,END", allow_hyphen_values = true,
        value_parser = Window::parse)]
    time_window: Vec<Window>,
    /// Keywords, regular expressions and `key=value`, of which one must match; of several options each.
    #[arg(short, long, value_name = "EXPRESSION", value_parser = Filter::parse)]
    filter: Vec<Filter>,
    /// Lines before each that matches.
    #[arg(short, long, value_name = "N", default_value_t = 0)]
    before: usize,
    /// Lines after each that matches.
    #[arg(short, long, value_name = "N", default_value_t = 0)]
    after: usize,
    /// Accepted; nothing is dropped here.
    #[arg(short, long, value_name = "N", default_value_t = 100)]
    max_log_queue_size: u32,
    /// Go on with what is written from now on. In one dash: -fol.
    #[arg(long)]
    follow: bool,
    /// Accepted; there are no colours. In one dash: -nc.
    #[arg(long)]
    no_color: bool,
    /// Accepted; all is shown.
    #[arg(short, long)]
    verbose: bool,
    /// Accepted; there is no other format.
    #[arg(short, long)]
    syslog: bool,
}

pub async fn run(session: &Session, command: LogsCommand) -> Result<(), Failure> {
    match command {
        LogsCommand::Get(get) => get.run(session).await,
        LogsCommand::ListLogFiles { log_dir } => list_files(session, &log_dir).await,
        LogsCommand::ListKeywords { .. } => print(
            "Suggested keywords for Greengrass log format:\nlevel=$str\nserviceName=$str\nstep=$str",
        ),
    }
}

async fn list_files(session: &Session, directory: &Path) -> Result<(), Failure> {
    let all = components(&session.connection).await?;
    for component in &all {
        print(&directory.join(format!("{}.log", component.name)).display().to_string())?;
    }
    match all.len() {
        0 => print("No log file found."),
        count => print(&format!("Total {count} files found.")),
    }
}

impl Get {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let mut streams = Vec::new();
        for name in self.names(session).await? {
            let stream = session.component(&name).await?.open_log(self.follow, 0).await?;
            streams.push((name, File::from(OwnedFd::from(stream))));
        }
        match self.follow {
            true => self.follow(streams),
            false => self.merged(streams),
        }
    }

    async fn names(&self, session: &Session) -> Result<Vec<String>, Failure> {
        let stem =
            |path: &PathBuf| path.file_stem().map(|name| name.to_string_lossy().into_owned());
        match self.log_dir.is_empty() && !self.log_file.is_empty() {
            true => Ok(self.log_file.iter().filter_map(stem).collect()),
            false => {
                let all = components(&session.connection).await?;
                Ok(all.into_iter().map(|component| component.name).collect())
            }
        }
    }

    /// All that is there, in the order of time.
    fn merged(&self, streams: Vec<(String, File)>) -> Result<(), Failure> {
        let mut entries = Vec::new();
        for (component, stream) in streams {
            for line in BufReader::new(stream).split(b'\n') {
                let line = line.map_err(Failure::Stream)?;
                entries.push(Entry::parse(&component, &String::from_utf8_lossy(&line)));
            }
        }
        // A stable sort: lines of one moment stay in their order.
        entries.sort_by_key(|entry| entry.time);
        let mut context = Context::new(self.before, self.after);
        entries.iter().try_for_each(|entry| context.show(entry, self.matches(entry)))
    }

    /// As it comes, until the last time window has ended.
    fn follow(&self, streams: Vec<(String, File)>) -> Result<(), Failure> {
        let (sender, lines) = mpsc::sync_channel::<Entry>(QUEUE);
        for (component, stream) in streams {
            let sender = sender.clone();
            // A thread per log, since each blocks; they end with the process.
            std::thread::spawn(move || {
                for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                    let entry = Entry::parse(&component, &String::from_utf8_lossy(&line));
                    if sender.send(entry).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut context = Context::new(self.before, self.after);
        loop {
            let entry = match self.remaining() {
                None => lines.recv().ok(),
                Some(remaining) => lines.recv_timeout(remaining).ok(),
            };
            let Some(entry) = entry else { return Ok(()) };
            context.show(&entry, self.matches(&entry))?;
        }
    }

    /// Until the last window ends; `None` where no window was given.
    fn remaining(&self) -> Option<std::time::Duration> {
        let end = self.time_window.iter().map(|window| window.end).max()?;
        Some(end.duration_since(SystemTime::now()).unwrap_or_default())
    }

    fn matches(&self, entry: &Entry) -> bool {
        let in_window = self.time_window.is_empty()
            || self
                .time_window
                .iter()
                .any(|window| entry.time.is_some_and(|time| window.holds(time)));
        in_window && self.filter.iter().all(|filter| filter.matches(entry))
    }
}

/// Prints what matches and its neighbours.
struct Context {
    before: usize,
    after: usize,
    /// The last lines that were not printed, at most `before` of them.
    held: VecDeque<String>,
    /// Lines that are still printed, because they follow one that matched.
    left: usize,
}

impl Context {
    fn new(before: usize, after: usize) -> Self {
        Self { before, after, held: VecDeque::new(), left: 0 }
    }

    fn show(&mut self, entry: &Entry, matches: bool) -> Result<(), Failure> {
        if matches {
            for line in self.held.drain(..) {
                print(&line)?;
            }
            self.left = self.after;
            return print(&entry.to_string());
        }
        if self.left > 0 {
            self.left -= 1;
            return print(&entry.to_string());
        }
        self.held.push_back(entry.to_string());
        if self.held.len() > self.before {
            self.held.pop_front();
        }
        Ok(())
    }
}
