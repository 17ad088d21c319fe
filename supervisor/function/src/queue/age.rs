//! How old an event is, on a clock that nobody can set.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::RequestId;

/// Milliseconds of CLOCK_BOOTTIME; negative before the boot.
pub(crate) type Boottime = i64;

/// What is known of an event, and stored beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    pub request_id: RequestId,
    /// The boot that the times are of.
    pub boot: String,
    pub born: Boottime,
    /// How often the function has failed with it.
    pub tries: u32,
    /// Not to be tried before.
    pub due: Boottime,
}

impl Note {
    pub fn to_row(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// `None` where another program wrote it.
    pub fn from_row(row: &[u8]) -> Option<Self> {
        serde_json::from_slice(row).ok()
    }
}

/// Translates times of earlier boots into those of this one. How long the device was off, nothing knows that can be
/// trusted; it does not count. Of an earlier boot counts what passed until the last event of it that still waits.
#[derive(Debug)]
pub(crate) struct Boots<'a> {
    this: &'a str,
    last_seen: HashMap<String, Boottime>,
}

impl<'a> Boots<'a> {
    pub fn new<'n>(this: &'a str, notes: impl Iterator<Item = &'n Note>) -> Self {
        let mut last_seen = HashMap::new();
        for note in notes {
            let seen = last_seen.entry(note.boot.clone()).or_insert(note.born);
            *seen = note.born.max(*seen);
        }
        Self { this, last_seen }
    }

    /// The same event in this boot, if it is of an earlier one.
    pub fn carry_over(&self, note: &Note) -> Option<Note> {
        if note.boot == self.this {
            return None;
        }
        let seen = self.last_seen.get(&note.boot).copied().unwrap_or(note.born);
        Some(Note {
            request_id: note.request_id.clone(),
            boot: self.this.to_owned(),
            born: note.born.saturating_sub(seen),
            tries: note.tries,
            due: note.due.saturating_sub(seen),
        })
    }
}

pub(crate) fn milliseconds(duration: Duration) -> Boottime {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

pub(crate) fn duration(milliseconds: Boottime) -> Duration {
    Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0))
}
