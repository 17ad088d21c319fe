//! A component's log: entries of its stdout and stderr, in a file and, where there is one, in the journal.
//!
//! [`drain`] takes the bytes out of the pipes, [`entry`] makes entries of them, [`rate`] holds back whoever writes
//! without end, [`file`] and [`journal`] keep them.

mod drain;
mod entry;
mod file;
mod journal;
mod rate;

use std::collections::VecDeque;
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

/// Entries that are held back and shown all the same where nothing comes after them: they say why it ended.
const LAST_WORDS: usize = 10;

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
    /// The last of those that were held back, each with its step.
    last_words: VecDeque<(String, Entry)>,
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
            last_words: VecDeque::new(),
        }
    }

    /// Entries from here on are of another version.
    pub fn becomes(&mut self, version: &str) {
        version.clone_into(&mut self.version);
    }

    /// Writes entries of a step, as many as its rate allows; what is held back is counted and said.
    ///
    /// # Errors
    /// The file cannot be written; a journal that cannot is left out.
    pub fn write(&mut self, step: &str, entries: &[Entry]) -> io::Result<()> {
        let mut text = String::new();
        for entry in entries {
            let Some(held) = self.rate.admit(Instant::now()) else {
                if self.last_words.len() == LAST_WORDS {
                    self.last_words.pop_front();
                }
                self.last_words.push_back((step.to_owned(), entry.clone()));
                continue;
            };
            if held > 0 {
                self.last_words.clear();
                text += &self.put(OWN, Level::Warn, &self.rate.say(held));
            }
            text += &self.put(step, entry.level, &entry.text);
        }
        if text.is_empty() { Ok(()) } else { self.file.append(text.as_bytes()) }
    }

    /// Says what was held back, and shows the last of it, where nothing more may come that would.
    ///
    /// # Errors
    /// As [`ComponentLog::write`].
    pub fn settle(&mut self) -> io::Result<()> {
        let last = std::mem::take(&mut self.last_words);
        let held = self.rate.settle().saturating_sub(last.len() as u64);
        let mut text = String::new();
        if held > 0 {
            text += &self.put(OWN, Level::Warn, &self.rate.say(held));
        }
        for (step, entry) in &last {
            text += &self.put(step, entry.level, &entry.text);
        }
        if text.is_empty() { Ok(()) } else { self.file.append(text.as_bytes()) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_of_a_flood_are_kept() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.log");
        let settings = Settings { rate: 1, journal: false, ..Settings::default() };
        let mut log = ComponentLog::new("a", "1.0.0", path.clone(), PathBuf::new(), &settings);
        let entry = |number: u32| Entry { level: Level::Info, text: format!("line {number}") };
        let flood: Vec<Entry> = (0..100).map(entry).collect();
        log.write("run", &flood).expect("written");
        log.settle().expect("written");
        log.settle().expect("nothing is left to be said");

        let text = std::fs::read_to_string(&path).expect("readable");
        let words = |line: &str| line.rsplit_once("] ").map(|(_, words)| words.to_owned());
        let lines: Vec<String> = text.lines().filter_map(words).collect();
        assert_eq!(lines.len(), 10 + 1 + LAST_WORDS, "a burst, what is missing, the end: {text}");
        assert!(lines[10].starts_with("hedgerow: 80 entries were held back"), "{text}");
        assert_eq!(lines[11], "run: line 90");
        assert_eq!(lines[20], "run: line 99");
    }
}
