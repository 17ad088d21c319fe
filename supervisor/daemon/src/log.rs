//! A component's log: lines of its stdout and stderr with a time before each, in a file rotated by size.
//!
//! Nothing that a component wrote is lost when the daemon is killed: the bytes stay in the pipe (which the
//! launcher keeps open) until they have been written to the file. They are looked at with tee(2), written, and
//! only then taken out. A daemon killed between the two writes those lines a second time.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use hedgerow_isolation::moment::Moment;
use nix::fcntl::{OFlag, SpliceFFlags, tee};
use nix::unistd::pipe2;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Most bytes taken at once: what a pipe holds.
const CHUNK: usize = 64 * 1024;

/// A longer line is written in pieces.
const LONGEST_LINE: usize = 16 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    /// As Greengrass logs them.
    fn level(self) -> &'static str {
        match self {
            Self::Stdout => "INFO",
            Self::Stderr => "WARN",
        }
    }
}

/// One log file and its predecessors: `NAME.log`, `NAME.log.1` …, the newest first.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    max_size: u64,
    files: u32,
    open: Option<(File, u64)>,
}

impl LogFile {
    /// Nothing is made before something is written.
    pub fn new(path: PathBuf, max_size: u64, files: u32) -> Self {
        Self { path, max_size: max_size.max(4096), files: files.max(1), open: None }
    }

    /// Appends whole lines, each with the time and the level before it. A last line without a line feed gets one.
    pub fn write(&mut self, step: &str, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        let time = timestamp(&Moment::now());
        let mut text = Vec::with_capacity(bytes.len() + 64);
        for line in bytes.strip_suffix(b"\n").unwrap_or(bytes).split(|byte| *byte == b'\n') {
            // Writing to a vector does not fail.
            let _ = write!(text, "{time} [{}] {step}: ", stream.level());
            text.extend_from_slice(line);
            text.push(b'\n');
        }
        self.append(&text)
    }

    /// A line of the supervisor's own about the component.
    pub fn say(&mut self, text: &str) -> io::Result<()> {
        let time = timestamp(&Moment::now());
        self.append(format!("{time} [INFO] hedgerow: {text}\n").as_bytes())
    }

    fn append(&mut self, text: &[u8]) -> io::Result<()> {
        let (mut file, size) = match self.open.take() {
            Some(open) => open,
            None => open_to_append(&self.path)?,
        };
        let length = text.len() as u64;
        if size > 0 && size + length > self.max_size {
            drop(file);
            self.rotate()?;
            (file, _) = open_to_append(&self.path)?;
            file.write_all(text)?;
            self.open = Some((file, length));
        } else {
            file.write_all(text)?;
            self.open = Some((file, size + length));
        }
        Ok(())
    }

    fn rotate(&self) -> io::Result<()> {
        if self.files == 1 {
            return fs::remove_file(&self.path);
        }
        for number in (1..self.files - 1).rev() {
            rename_if_there(&self.numbered(number), &self.numbered(number + 1))?;
        }
        rename_if_there(&self.path, &self.numbered(1))
    }

    fn numbered(&self, number: u32) -> PathBuf {
        numbered(&self.path, number)
    }
}

fn open_to_append(path: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().append(true).create(true).open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

fn rename_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// RFC 3339 in UTC with milliseconds.
pub fn timestamp(moment: &Moment) -> String {
    let since = Duration::from_nanos(moment.realtime.try_into().unwrap_or(0));
    humantime::format_rfc3339_millis(UNIX_EPOCH + since).to_string()
}

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

/// The last lines of a log and, where that is short, of its predecessors. Empty where there is none.
pub fn last_lines(path: &Path, count: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for path in with_predecessors(path) {
        let Ok(bytes) = fs::read(&path) else { break };
        let text = String::from_utf8_lossy(&bytes);
        let mut older: Vec<String> =
            text.lines().rev().take(count - lines.len()).map(str::to_owned).collect();
        older.reverse();
        older.append(&mut lines);
        lines = older;
        if lines.len() >= count {
            break;
        }
    }
    lines
}

/// The current file first, then older and older ones; without end.
fn with_predecessors(path: &Path) -> impl Iterator<Item = PathBuf> {
    (0..).map(|number| match number {
        0 => path.to_owned(),
        number => numbered(path, number),
    })
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(format!(".{number}"));
    name.into()
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
