//! The events of one function, first come, first served. Pure: no clock and no I/O inside.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::age::{Boottime, Note, duration, milliseconds};
use super::policy::{self, Outcome, Verdict, judge};
use crate::{FunctionSpec, QueueMetrics, QueuePolicy};

/// Bytes of events that one function is given at once; a single event may be larger.
const AT_ONCE: usize = 2 * 1024 * 1024;

/// An event that has waited for an instance for so long is put back: how old it is, only the line knows.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

#[derive(Debug, Default)]
pub(crate) struct Line {
    events: BTreeMap<u64, Entry>,
    /// To be tried as soon as possible.
    ready: BTreeSet<u64>,
    /// To be tried at that time.
    deferred: BTreeSet<(Boottime, u64)>,
    delivering: BTreeMap<u64, usize>,
    pause: Option<Pause>,
    /// Being stored.
    arriving: usize,
    given_up: u64,
}

#[derive(Debug)]
struct Entry {
    note: Note,
    size: usize,
    since: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Pause {
    refusals: u32,
    until: Boottime,
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The event is this number, takes so many bytes, and may wait for an instance for so long.
    Deliver { number: u64, size: usize, patience: Duration },
    /// It is too old; [`Line::gone`] follows.
    Expire { number: u64 },
}

impl Line {
    /// Makes room for one event more. Whether there is.
    pub fn reserve(&mut self, length: u32) -> bool {
        let is_free = self.events.len() + self.arriving < length as usize;
        self.arriving += usize::from(is_free);
        is_free
    }

    /// After [`Self::reserve`]: the event could not be stored.
    pub fn release(&mut self) {
        self.arriving = self.arriving.saturating_sub(1);
    }

    /// `since`: when it came, for people.
    pub fn insert(&mut self, number: u64, note: Note, size: usize, since: Option<Instant>) {
        match note.due > note.born {
            true => self.deferred.insert((note.due, number)),
            false => self.ready.insert(number),
        };
        self.events.insert(number, Entry { note, size, since });
    }

    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub fn note(&self, number: u64) -> Option<&Note> {
        Some(&self.events.get(&number)?.note)
    }

    pub fn next(&mut self, now: Boottime, spec: &FunctionSpec) -> Option<Next> {
        while let Some((due, number)) =
            self.deferred.first().copied().filter(|(due, _)| *due <= now)
        {
            self.deferred.remove(&(due, number));
            self.ready.insert(number);
        }
        let number = *self.ready.first()?;
        let entry = self.events.get(&number)?;
        let size = entry.size;
        let expiry = expiry(&entry.note, &spec.queue);
        if now >= expiry {
            self.ready.remove(&number);
            return Some(Next::Expire { number });
        }
        if self.is_paused(now) || !self.has_room_for(size, spec) {
            return None;
        }
        self.ready.remove(&number);
        self.delivering.insert(number, size);
        let patience = duration(expiry.saturating_sub(now)).min(LONGEST_WAIT);
        Some(Next::Deliver { number, size, patience })
    }

    /// When [`Self::next`] has something to say at the latest, if nothing else happens.
    pub fn alarm(&self, now: Boottime, policy: &QueuePolicy) -> Option<Boottime> {
        let deferred = self.deferred.first().map(|(due, _)| *due);
        let first = self.ready.first().and_then(|number| self.events.get(number));
        let expires = first.map(|entry| expiry(&entry.note, policy));
        let paused = self.pause.map(|pause| pause.until).filter(|until| *until > now);
        let paused = paused.filter(|_| first.is_some());
        [deferred, expires, paused].into_iter().flatten().min()
    }

    /// A try is over. What becomes of the event; where it is to be tried again, its note has changed or it is the next.
    pub fn settle(
        &mut self,
        number: u64,
        outcome: &Outcome,
        now: Boottime,
        policy: &QueuePolicy,
    ) -> Option<Verdict> {
        self.delivering.remove(&number);
        let entry = self.events.get_mut(&number)?;
        let tries = entry.note.tries.saturating_add(1);
        let verdict = judge(outcome, tries, policy);
        if matches!(outcome, Outcome::Failed { .. }) || matches!(verdict, Verdict::Retry(_)) {
            entry.note.tries = tries;
        }
        match verdict {
            Verdict::Pause => self.put_back(number, now),
            Verdict::Retry(delay) => {
                self.pause = None;
                let due = now.saturating_add(milliseconds(delay));
                entry.note.due = due.min(expiry(&entry.note, policy));
                self.deferred.insert((entry.note.due, number));
            }
            Verdict::Complete | Verdict::GiveUp(_) => self.pause = None,
        }
        Some(verdict)
    }

    /// It was not tried after all, and is the next again.
    pub fn put_back(&mut self, number: u64, now: Boottime) {
        self.delivering.remove(&number);
        if self.events.contains_key(&number) {
            self.ready.insert(number);
            self.refused(now);
        }
    }

    /// It is not stored any more. How many bytes it had.
    pub fn gone(&mut self, number: u64) -> u64 {
        self.events.remove(&number).map_or(0, |entry| entry.size as u64)
    }

    /// Bytes of all its events.
    pub fn size(&self) -> u64 {
        self.events.values().map(|entry| entry.size as u64).sum()
    }

    pub fn gave_up(&mut self) {
        self.given_up += 1;
    }

    /// What made the function refuse may be over.
    pub fn resume(&mut self) {
        self.pause = None;
    }

    pub fn metrics(&self) -> QueueMetrics {
        QueueMetrics {
            depth: self.events.len() as u64,
            oldest: self.events.values().next().and_then(|entry| entry.since),
            dead_lettered: self.given_up,
        }
    }

    /// Of several that were refused at once, one counts.
    fn refused(&mut self, now: Boottime) {
        if self.is_paused(now) {
            return;
        }
        let refusals = self.pause.map_or(0, |pause| pause.refusals).saturating_add(1);
        let until = now.saturating_add(milliseconds(policy::pause(refusals)));
        self.pause = Some(Pause { refusals, until });
    }

    fn is_paused(&self, now: Boottime) -> bool {
        self.pause.is_some_and(|pause| pause.until > now)
    }

    /// Whether the function can take one more at once: as many as it may have instances, and not too large. After a
    /// refusal one, until it was taken.
    fn has_room_for(&self, size: usize, spec: &FunctionSpec) -> bool {
        let instances = if spec.pinned { 1 } else { spec.max_instances.max(1) };
        let taken: usize = self.delivering.values().sum();
        self.delivering.is_empty()
            || (self.pause.is_none()
                && self.delivering.len() < instances as usize
                && taken.saturating_add(size) <= AT_ONCE)
    }
}

fn expiry(note: &Note, policy: &QueuePolicy) -> Boottime {
    note.born.saturating_add(milliseconds(policy.max_age))
}
