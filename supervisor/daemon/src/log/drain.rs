//! A step's pipe, looked at before it is emptied.
//!
//! Nothing that a component wrote is lost when the daemon is killed: the bytes stay in the pipe (which the
//! launcher keeps open) until they have been written to the file. They are looked at with tee(2), written, and
//! only then taken out. A daemon killed between the two writes those lines a second time.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::{OFlag, SpliceFFlags, tee};
use nix::unistd::pipe2;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Most bytes taken at once: what a pipe holds.
const CHUNK: usize = 64 * 1024;

/// A longer line is written in pieces.
const LONGEST_LINE: usize = 16 * 1024;

/// One step's pipe, drained into a log for as long as anything holds its write end.
pub struct Drain {
    pipe: AsyncFd<OwnedFd>,
    /// Where tee(2) puts the copy that is looked at.
    copy: (File, OwnedFd),
}

impl std::fmt::Debug for Drain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Drain").finish_non_exhaustive()
    }
}

impl Drain {
    #[expect(
        deprecated,
        reason = "its replacement is unsafe; an OwnedFd is one descriptor all its life"
    )]
    pub fn new(pipe: OwnedFd) -> io::Result<Self> {
        set_nonblocking(&pipe)?;
        let (read, write) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        let pipe = AsyncFd::with_interest(pipe, Interest::READABLE)?;
        Ok(Self { pipe, copy: (File::from(read), write) })
    }

    /// The next whole lines in the pipe, which stay there until [`Drain::consume`]. `None` at its end.
    pub async fn peek(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut seen = 0;
        loop {
            let mut guard = self.pipe.readable().await?;
            let at_end = guard.ready().is_read_closed();
            let to = self.copy.1.as_fd();
            let length = match tee(guard.get_inner(), to, CHUNK, SpliceFFlags::SPLICE_F_NONBLOCK) {
                Ok(0) => return Ok(None),
                Ok(length) => length,
                Err(nix::Error::EAGAIN) => {
                    guard.clear_ready();
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let mut bytes = vec![0; length];
            self.copy.0.read_exact(&mut bytes)?;
            if let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') {
                bytes.truncate(end + 1);
                return Ok(Some(bytes));
            }
            // Half a line waits in the pipe for its other half, unless there is none or it is very long.
            if at_end || length >= LONGEST_LINE {
                return Ok(Some(bytes));
            }
            if length == seen {
                guard.clear_ready();
            }
            seen = length;
        }
    }

    /// Takes what [`Drain::peek`] returned out of the pipe; less where the step, whose own the pipe is, has read
    /// from it meanwhile.
    pub fn consume(&mut self, length: usize) -> io::Result<()> {
        let mut bytes = vec![0; length];
        let mut taken = 0;
        while taken < length {
            let space = bytes.get_mut(taken..).unwrap_or_default();
            match nix::unistd::read(self.pipe.get_ref(), space) {
                Ok(0) | Err(nix::Error::EAGAIN) => return Ok(()),
                Ok(more) => taken += more,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

fn set_nonblocking(pipe: &OwnedFd) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, fcntl};
    let flags = OFlag::from_bits_truncate(fcntl(pipe, FcntlArg::F_GETFL)?);
    fcntl(pipe, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_step_that_reads_its_own_output_does_not_hang_the_daemon() {
        let (read, write) = pipe2(OFlag::O_CLOEXEC).expect("a pipe");
        let thief = read.try_clone().expect("a descriptor");
        let mut drain = Drain::new(read).expect("a drain");
        nix::unistd::write(&write, b"line\nhalf").expect("written");
        let seen = drain.peek().await.expect("readable");
        assert_eq!(seen.as_deref(), Some(&b"line\n"[..]));
        nix::unistd::read(&thief, &mut [0; 16]).expect("stolen");
        drain.consume(5).expect("not all is there, and more may come");
        drop(write);
        drain.consume(5).expect("nothing will come");
        assert_eq!(drain.peek().await.expect("readable"), None);
    }
}
