//! A component's log as a stream: its last lines, then what is written from now on.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::unistd::pipe2;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::unix::pipe;

use crate::log;

/// How often a followed log is looked at: what people call at once, and nothing on the device's clock.
const INTERVAL: Duration = Duration::from_millis(100);

const CHUNK: usize = 64 * 1024;

/// The read end of a pipe. Whoever reads slowly slows nobody: the lines are read again from the file.
///
/// # Errors
/// No descriptors are left.
pub fn open(path: PathBuf, follow: bool, lines: u32) -> io::Result<OwnedFd> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    nix::fcntl::fcntl(&write, nix::fcntl::FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    let sender = pipe::Sender::from_owned_fd(write)?;
    tokio::spawn(async move {
        // The reader went away: that is how following ends.
        let _ = send(&path, sender, follow, lines).await;
    });
    Ok(read)
}

async fn send(path: &Path, mut to: pipe::Sender, follow: bool, lines: u32) -> io::Result<()> {
    let mut open = File::open(path).ok();
    // What is written between these two lines is sent twice at worst, and never missed.
    let mut position =
        open.as_ref().map_or(Ok(0), |file| file.metadata().map(|data| data.len()))?;
    let count = if lines == 0 { usize::MAX } else { usize::try_from(lines).unwrap_or(usize::MAX) };
    for line in log::last_lines(path, count) {
        to.write_all(line.as_bytes()).await?;
        to.write_all(b"\n").await?;
    }
    if !follow {
        return Ok(());
    }
    loop {
        if let Some(file) = &mut open {
            position = copy_from(file, position, &mut to).await?;
        }
        if is_replaced(path, open.as_ref()) {
            open = File::open(path).ok();
            position = 0;
            continue;
        }
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            // A pipe is ready for errors once its reader is gone.
            _ = to.ready(Interest::ERROR) => return Ok(()),
        }
    }
}

/// Copies to the end of the file, and returns where that is.
async fn copy_from(file: &mut File, from: u64, to: &mut pipe::Sender) -> io::Result<u64> {
    let mut position = from;
    file.seek(SeekFrom::Start(position))?;
    let mut bytes = vec![0; CHUNK];
    loop {
        let length = file.read(&mut bytes)?;
        if length == 0 {
            return Ok(position);
        }
        to.write_all(bytes.get(..length).unwrap_or_default()).await?;
        position += length as u64;
    }
}

/// The log was rotated, or has been made only now.
fn is_replaced(path: &Path, open: Option<&File>) -> bool {
    let Ok(there) = path.metadata() else { return false };
    let same = open
        .and_then(|file| file.metadata().ok())
        .is_some_and(|ours| ours.ino() == there.ino() && ours.dev() == there.dev());
    !same
}
