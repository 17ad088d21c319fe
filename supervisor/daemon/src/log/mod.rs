//! A component's log: entries of its stdout and stderr, in a file and, where there is one, in the journal.
//!
//! [`drain`] takes the bytes out of the pipes, [`entry`] makes entries of them, [`rate`] holds back whoever writes
//! without end, [`file`] and [`journal`] keep them.

mod drain;
mod entry;
mod file;
mod journal;
mod rate;

use std::fmt::Write;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant, UNIX_EPOCH};

use hedgerow_isolation::moment::Moment;

pub use drain::Drain;
pub use entry::{Entries, Entry, Level};
use file::LogFile;
pub use file::last_lines;
use journal::Journal;
use rate::Rate;

use crate::settings::Log as Settings;

/// The step name of the supervisor's own words.
const OWN: &str = "hedgerow";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// Where one component's entries go.
#[derive(Debug)]
pub struct ComponentLog {
    component: String,
    version: String,
    file: LogFile,
    journal: Option<Journal>,
    rate: Rate,
}

impl ComponentLog {
    /// Nothing is made before something is written. `journal` is the journal's native socket, which need not be there.
    pub fn new(
        component: &str,
        version: &str,
        file: PathBuf,
        journal: PathBuf,
        settings: &Settings,
    ) -> Self {
        Self {
            component: component.to_owned(),
            version: version.to_owned(),
            file: LogFile::new(file, settings.max_size, settings.files),
            journal: settings.journal.then(|| Journal::new(journal)),
            rate: Rate::new(settings.rate, Instant::now()),
        }
    }

    /// Writes entries of a step, as many as its rate allows; what is held back is counted and said.
    ///
    /// # Errors
    /// The file cannot be written; a journal that cannot is left out.
    pub fn write(&mut self, step: &str, entries: &[Entry]) -> io::Result<()> {
        let mut text = String::new();
        for entry in entries {
            if let Some(held) = self.rate.admit(Instant::now()) {
                if held > 0 {
                    text += &self.put(OWN, Level::Warn, &self.rate.say(held));
                }
                text += &self.put(step, entry.level, &entry.text);
            }
        }
        if text.is_empty() { Ok(()) } else { self.file.append(text.as_bytes()) }
    }

    /// Says what was held back, where nothing more may come that would.
    ///
    /// # Errors
    /// As [`ComponentLog::write`].
    pub fn settle(&mut self) -> io::Result<()> {
        match self.rate.settle() {
            0 => Ok(()),
            held => {
                let line = self.put(OWN, Level::Warn, &self.rate.say(held));
                self.file.append(line.as_bytes())
            }
        }
    }

    /// A line of the supervisor's own about the component.
    ///
    /// # Errors
    /// As [`ComponentLog::write`].
    pub fn say(&mut self, text: &str) -> io::Result<()> {
        let line = self.put(OWN, Level::Info, text);
        self.file.append(line.as_bytes())
    }

    /// Sends the entry to the journal, and returns its lines for the file: each with its time and level.
    fn put(&self, step: &str, level: Level, message: &str) -> String {
        if let Some(journal) = &self.journal {
            journal.send(&[
                ("MESSAGE", message),
                ("PRIORITY", level.priority()),
                ("SYSLOG_IDENTIFIER", &self.component),
                ("HEDGEROW_COMPONENT", &self.component),
                ("HEDGEROW_VERSION", &self.version),
                ("HEDGEROW_STEP", step),
            ]);
        }
        let time = timestamp(&Moment::now());
        let mut lines = String::with_capacity(message.len() + 64);
        for line in message.split('\n') {
            // Writing to a string does not fail.
            let _ = writeln!(lines, "{time} [{}] {step}: {line}", level.name());
        }
        lines
    }
}

/// RFC 3339 in UTC with milliseconds.
pub fn timestamp(moment: &Moment) -> String {
    let since = Duration::from_nanos(moment.realtime.try_into().unwrap_or(0));
    humantime::format_rfc3339_millis(UNIX_EPOCH + since).to_string()
}
