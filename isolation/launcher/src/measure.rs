//! How much fences have written, counted while they run: `hedgerow-launch measure`, in nobody's way.

use std::os::fd::AsFd;

use hedgerow_isolation::protocol::{Error, ErrorKind, Response};
use rustix::io::Errno;

use crate::daemon::{Output, Ticket};
use crate::errand::{self, Errand, Place};
use crate::layer;

/// The one that runs, if one does.
#[derive(Debug, Default)]
pub struct Measuring(Option<Measurement>);

#[derive(Debug)]
struct Measurement {
    errand: Errand,
    /// Of each directory that was asked for, whether there is one.
    is_there: Vec<bool>,
    ticket: Ticket,
}

fn system(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::System, message)
}

impl Measuring {
    /// `found`: where each directory is that exists. The answer to `ticket` comes later.
    pub fn begin(&mut self, found: Vec<Option<Place>>, ticket: Ticket) -> Result<(), Error> {
        if self.0.is_some() {
            return Err(system("directories are being measured already: try again later"));
        }
        let is_there = found.iter().map(Option::is_some).collect();
        let errand = Errand::start("measure", found.into_iter().flatten().collect())
            .map_err(|e| system(format!("cannot start measuring directories: {e}")))?;
        self.0 = Some(Measurement { errand, is_there, ticket });
        Ok(())
    }

    /// A child of the launcher has ended; false if it was not this one.
    pub fn reaped(&mut self, pid: i32, how: &str, out: &mut Vec<Output>) -> bool {
        let Some(ended) = self.0.take_if(|running| running.errand.is(pid)) else { return false };
        let outcome = ended.errand.outcome::<Vec<u64>>("the measuring of directories", how);
        let result = outcome.map_err(system).map(|counted| {
            let mut counted = counted.into_iter();
            let mut of = |is_there| if is_there { counted.next().unwrap_or(0) } else { 0 };
            Response::Measured { bytes: ended.is_there.into_iter().map(&mut of).collect() }
        });
        out.push(Output::Reply(ended.ticket, result, Vec::new()));
        true
    }
}

/// The one-shot process.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    // What components do comes first; the kernel derives the priority of input and output from it (ioprio_set(2)).
    rustix::process::nice(19)?;
    errand::run(|places| {
        let bytes = |(parent, name): &Place| match layer::taken(parent.as_fd(), name) {
            Err(Errno::NOENT) => Ok(0),
            taken => taken,
        };
        let all: Result<Vec<u64>, _> = places.iter().map(bytes).collect();
        all.map_err(|e| format!("cannot measure a directory: {e}"))
    })
}
