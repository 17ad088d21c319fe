//! What has been found, and how much of it the daemon knows.

use std::io;
use std::time::Instant;

use hedgerow_isolation::connection::Connection;
use hedgerow_isolation::observation::{Finding, MAX_FINDINGS, MAX_SUBJECT, Remedy, Told};

/// Findings in one message: each is a few kilobytes of JSON at worst.
const TOGETHER: usize = 8;

#[derive(Debug)]
pub struct Findings {
    daemon: Connection,
    /// How often each, since it was told.
    found: Vec<(Finding, u64)>,
    more: u64,
    untold_since: Option<Instant>,
}

impl Findings {
    pub fn new(daemon: Connection) -> io::Result<Self> {
        daemon.set_nonblocking()?;
        Ok(Self { daemon, found: Vec::new(), more: 0, untold_since: None })
    }

    pub fn untold_since(&self) -> Option<Instant> {
        self.untold_since
    }

    pub fn add(&mut self, call: &str, mut subject: String, remedy: Remedy) {
        let end =
            (0..=MAX_SUBJECT.min(subject.len())).rev().find(|&at| subject.is_char_boundary(at));
        subject.truncate(end.unwrap_or(0));
        let finding = Finding { call: call.to_owned(), subject, remedy };
        let is_full = self.found.len() >= MAX_FINDINGS;
        match self.found.iter_mut().find(|(known, _)| *known == finding) {
            Some((_, count)) => *count += 1,
            None if is_full => self.more += 1,
            None => self.found.push((finding, 1)),
        }
        self.untold_since.get_or_insert_with(Instant::now);
    }

    /// What a daemon that does not listen was not told, it is told with the next.
    pub fn tell(&mut self) {
        self.untold_since = None;
        let (daemon, more) = (&self.daemon, &mut self.more);
        let mut untold: Vec<_> = self.found.iter_mut().filter(|(_, count)| *count > 0).collect();
        let rounds = untold.len().div_ceil(TOGETHER).max(usize::from(*more > 0));
        for round in 0..rounds {
            let some: Vec<_> = untold.iter_mut().skip(round * TOGETHER).take(TOGETHER).collect();
            let findings = some.iter().map(|one| (**one).clone()).collect();
            if daemon.send(&Told { findings, more: *more }, &[]).is_err() {
                return;
            }
            *more = 0;
            some.into_iter().for_each(|(_, count)| *count = 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_counted_and_told_once() {
        let (ours, theirs) = Connection::pair().unwrap();
        let mut findings = Findings::new(ours).unwrap();
        let told = || {
            theirs.set_nonblocking().unwrap();
            let messages = std::iter::from_fn(|| theirs.recv::<Told>().ok().flatten());
            messages.fold((0, 0, 0), |(different, all, more), (told, _)| {
                let counts: u64 = told.findings.iter().map(|(_, count)| count).sum();
                (different + told.findings.len(), all + counts, more + told.more)
            })
        };
        for number in 0..MAX_FINDINGS + 3 {
            for _ in 0..2 {
                findings.add("open", format!("/{number}"), Remedy::None);
            }
        }
        assert!(findings.untold_since().is_some());
        findings.tell();
        assert_eq!(told(), (MAX_FINDINGS, 2 * MAX_FINDINGS as u64, 6));
        findings.tell();
        assert_eq!(told(), (0, 0, 0));
        findings.add("open", "/0".to_owned(), Remedy::None);
        findings.add("open", "é".repeat(MAX_SUBJECT), Remedy::None);
        findings.tell();
        assert_eq!(told(), (1, 1, 1));
    }
}
