//! One-shot processes of the launcher's own that go through directories of foreign shape, which may take a while. So the
//! launcher goes on serving.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};

use hedgerow_isolation::connection::Connection;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::descriptors;

/// A directory: the one that it is in, and its name there.
pub type Place = (OwnedFd, CString);

#[derive(Debug)]
pub struct Errand {
    process: i32,
    channel: Connection,
}

/// What the process is told; beside it a descriptor for each: the directory that has an entry of that name.
#[derive(Debug, Serialize, Deserialize)]
struct Names(Vec<CString>);

/// The process's answer.
type Outcome<T> = Result<T, String>;

impl Errand {
    /// Starts `hedgerow-launch WORD`, which is to call [`run`].
    pub fn start(word: &str, places: Vec<Place>) -> Result<Self, Box<dyn std::error::Error>> {
        let (channel, end) = Connection::pair()?;
        channel.set_nonblocking()?;
        let (parents, names): (Vec<_>, Vec<_>) = places.into_iter().unzip();
        let parents: Vec<_> = parents.iter().map(AsFd::as_fd).collect();
        channel.send(&Names(names), &parents)?;
        let child = Command::new("/proc/self/exe")
            .arg(word)
            .env_clear()
            .stdin(OwnedFd::from(end))
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self { process: child.id().cast_signed(), channel })
    }

    pub fn is(&self, pid: i32) -> bool {
        self.process == pid
    }

    /// What it answered, now that it has ended. `what`, with the way in which it ended, is the error where that is
    /// nothing.
    pub fn outcome<T: DeserializeOwned>(&self, what: &str, how: &str) -> Outcome<T> {
        match self.channel.recv::<Outcome<T>>() {
            Ok(Some((outcome, _))) => outcome,
            Ok(None) | Err(_) => Err(format!("{what} ended ({how})")),
        }
    }
}

/// In the process: does `act` with the places; the launcher is at the other end of stdin.
pub fn run<T: Serialize>(
    act: impl FnOnce(&[Place]) -> Outcome<T>,
) -> Result<(), Box<dyn std::error::Error>> {
    // The next launcher knows nothing of this process, and would let a fence have the directories meanwhile.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let channel = descriptors::launcher()?;
    let mut launcher = [PollFd::new(&channel, PollFlags::empty())];
    if poll(&mut launcher, Some(&Timespec::default()))? > 0 {
        return Err("the launcher is gone".into());
    }
    let Some((Names(names), parents)) = channel.recv::<Names>()? else { return Ok(()) };
    let places: Vec<_> = parents.into_iter().zip(names).collect();
    Ok(channel.send(&act(&places), &[])?)
}
