//! What an instance writes, on its way into the function's log. No daemon goes on with another's instances: unlike
//! components' output, it need not stay in the pipe until it is written.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use hedgerow_function::LogTail;
use tokio::net::unix::pipe;
use tokio::time::timeout;

use super::component::Component;
use crate::log::{Entries, Stream};

/// Taken at once.
const CHUNK: usize = 8 * 1024;

/// A longer line is written in pieces.
const LONGEST_LINE: usize = 16 * 1024;

/// Bytes of an entry whose rest is waited for.
const LONGEST_ENTRY: usize = 64 * 1024;

/// Time for the rest of an entry that has begun.
const REST_OF_ENTRY: Duration = Duration::from_millis(50);

/// Begins to read; ends with the pipe.
pub fn drain(
    pipe: OwnedFd,
    stream: Stream,
    tail: LogTail,
    component: Arc<Component>,
) -> io::Result<()> {
    let pipe = pipe::Receiver::from_owned_fd(pipe)?;
    tokio::spawn(async move {
        if let Err(error) = read(pipe, stream, &tail, &component).await {
            component.say(&format!("its output cannot be read: {error}"));
        }
        component.settle();
    });
    Ok(())
}

async fn read(
    mut pipe: pipe::Receiver,
    stream: Stream,
    tail: &LogTail,
    component: &Component,
) -> io::Result<()> {
    let mut entries = Entries::new(stream);
    let mut unwritten = Vec::new();
    // Whole lines that are half an entry: half a stack trace, whose writer is at it.
    let mut is_held = false;
    loop {
        let read = fill(&mut pipe, &mut unwritten);
        let length = match is_held {
            true => timeout(REST_OF_ENTRY, read).await.ok().transpose()?,
            false => Some(read.await?),
        };
        let is_over = length == Some(0);
        let fresh = unwritten.len() - length.unwrap_or(0);
        tail.write(unwritten.get(fresh..).unwrap_or_default());
        let ready = if is_over { unwritten.len() } else { complete(&unwritten) };
        let lines = unwritten.get(..ready).unwrap_or_default();
        let may_wait = length.is_some() && !is_over && ready < LONGEST_ENTRY;
        is_held = may_wait && ready > 0 && entries.is_open_after(lines);
        if ready > 0 && !is_held {
            component.log(&entries.split(lines));
            unwritten.drain(..ready);
        }
        if is_over {
            return Ok(());
        }
        if unwritten.is_empty() {
            // It may be long until there is more.
            unwritten = Vec::new();
        }
        // One that writes without end must not starve the others.
        tokio::task::yield_now().await;
    }
}

/// How much came; 0 at the end.
async fn fill(pipe: &mut pipe::Receiver, into: &mut Vec<u8>) -> io::Result<usize> {
    loop {
        pipe.readable().await?;
        into.reserve(CHUNK);
        match pipe.try_read_buf(into) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            read => return read,
        }
    }
}

/// Bytes of whole lines; of a line that is very long, all there is.
fn complete(bytes: &[u8]) -> usize {
    match bytes.iter().rposition(|byte| *byte == b'\n') {
        Some(end) => end + 1,
        None if bytes.len() >= LONGEST_LINE => bytes.len(),
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_lines_are_ready_and_a_long_one_does_not_wait_for_its_end() {
        let long = vec![b'a'; LONGEST_LINE];
        for (bytes, ready) in [
            (&b""[..], 0),
            (b"half", 0),
            (b"one\nhalf", 4),
            (b"one\ntwo\n", 8),
            (&long, LONGEST_LINE),
        ] {
            assert_eq!(complete(bytes), ready);
        }
    }
}
