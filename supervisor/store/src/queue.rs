//! The file of what waits: bulky rows that come and go, apart from the small state that must not be lost with them.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use redb::{ReadableTable, TableDefinition, WriteTransaction};

use crate::error::StoreError;
use crate::open::Source;
use crate::query::sealed::Tables;
use crate::schema::{COUNTERS, Migration};
use crate::{CommitPoint, Store};

/// Memory for pages, in bytes: rows are written once and read once.
const CACHE_BYTES: usize = 128 * 1024;

type Table = TableDefinition<'static, (&'static str, u64), &'static [u8]>;

/// (line, number) → what waits.
const EVENTS: Table = TableDefinition::new("events");
/// (line, number) → what is known of it, which changes while it waits.
const NOTES: Table = TableDefinition::new("notes");

const MIGRATIONS: &[Migration] = &[first_tables];

/// Lines of events, each in the order of its numbers. Shared between threads by reference.
#[derive(Debug)]
pub struct Queue {
    store: Store,
}

/// An event without its bulk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    pub line: String,
    pub number: u64,
    pub note: Vec<u8>,
    /// Bytes of the event.
    pub size: usize,
}

/// What a decision does to one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Append {
        line: String,
        number: u64,
        event: Vec<u8>,
        note: Vec<u8>,
    },
    /// Of an event that is not there any more, nothing.
    Note {
        line: String,
        number: u64,
        note: Vec<u8>,
    },
    Remove {
        line: String,
        number: u64,
    },
    /// Every event of the line with a smaller number.
    Clear {
        line: String,
        before: u64,
    },
}

/// A damaged file, out of the way of the new one.
#[derive(Debug)]
pub struct SetAside {
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    pub why: StoreError,
}

impl Queue {
    /// Opens the file, or makes it, mode 0600. One that is damaged is renamed to `<path>.damaged`, in the place of one
    /// that was set aside before, and everything that waited in it is lost.
    pub fn open(path: &Path) -> Result<(Self, Option<SetAside>), StoreError> {
        let open = || Store::from_source(Source::file(path, CACHE_BYTES, MIGRATIONS));
        match open() {
            Err(why @ StoreError::Corrupt(_)) => {
                let aside = set_aside(path, why)?;
                Ok((Self { store: open()? }, Some(aside)))
            }
            opened => Ok((Self { store: opened? }, None)),
        }
    }

    /// For tests.
    #[cfg(any(test, feature = "disk"))]
    pub fn on(disk: &crate::disk::Disk) -> Result<Self, StoreError> {
        Ok(Self { store: Store::from_source(Source::on(disk, MIGRATIONS))? })
    }

    /// See [`Store::with_commit_observer`].
    #[must_use]
    pub fn with_commit_observer(
        self,
        observer: impl Fn(&'static str, CommitPoint) + Send + Sync + 'static,
    ) -> Self {
        Self { store: self.store.with_commit_observer(observer) }
    }

    /// All changes in this order and in one commit, or none of them. What changes nothing writes nothing.
    pub fn commit(&self, label: &'static str, changes: &[Change]) -> Result<(), StoreError> {
        self.store.write(label, |tx| {
            for change in changes {
                match change {
                    Change::Append { line, number, event, note } => {
                        tx.insert(EVENTS, (line, *number), event)?;
                        tx.insert(NOTES, (line, *number), note)?;
                    }
                    Change::Note { line, number, note } => {
                        if get(tx, EVENTS, line, *number)?.is_some() {
                            tx.insert(NOTES, (line, *number), note)?;
                        }
                    }
                    Change::Remove { line, number } => {
                        tx.delete(EVENTS, (line, *number))?;
                        tx.delete(NOTES, (line, *number))?;
                    }
                    Change::Clear { line, before } => {
                        for number in numbers(tx, line, *before)? {
                            tx.delete(EVENTS, (line, number))?;
                            tx.delete(NOTES, (line, number))?;
                        }
                    }
                }
            }
            Ok(())
        })
    }

    pub fn event(&self, line: &str, number: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.read(|tx| get(tx, EVENTS, line, number))
    }

    /// Everything that waits, by line and number.
    pub fn waiting(&self) -> Result<Vec<Waiting>, StoreError> {
        self.store.read(|tx| {
            let (events, notes) = (tx.table(EVENTS)?, tx.table(NOTES)?);
            let mut all = vec![];
            for row in events.iter().map_err(|e| tx.noted(e.into()))? {
                let (key, event) = row.map_err(|e| tx.noted(e.into()))?;
                let (line, number) = key.value();
                let note = notes.get((line, number)).map_err(|e| tx.noted(e.into()))?;
                all.push(Waiting {
                    line: line.to_owned(),
                    number,
                    note: note.map(|note| note.value().to_vec()).unwrap_or_default(),
                    size: event.value().len(),
                });
            }
            Ok(all)
        })
    }
}

fn get(
    tx: &impl Tables,
    table: Table,
    line: &str,
    number: u64,
) -> Result<Option<Vec<u8>>, StoreError> {
    let table = tx.table(table)?;
    let row = table.get((line, number)).map_err(|e| tx.noted(e.into()))?;
    Ok(row.map(|row| row.value().to_vec()))
}

fn numbers(tx: &impl Tables, line: &str, before: u64) -> Result<Vec<u64>, StoreError> {
    let events = tx.table(EVENTS)?;
    let range = events.range((line, 0)..(line, before)).map_err(|e| tx.noted(e.into()))?;
    range.map(|row| Ok(row.map_err(|e| tx.noted(e.into()))?.0.value().1)).collect()
}

fn set_aside(path: &Path, why: StoreError) -> Result<SetAside, StoreError> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".damaged");
    let aside = PathBuf::from(aside);
    let size = path.metadata().map_or(0, |metadata| metadata.len());
    rename(path, &aside).map_err(StoreError::of_io)?;
    Ok(SetAside { path: aside, size, why })
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    let parent = from.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

fn first_tables(transaction: &WriteTransaction) -> Result<(), StoreError> {
    transaction.open_table(EVENTS)?;
    transaction.open_table(NOTES)?;
    transaction.open_table(COUNTERS)?;
    Ok(())
}
