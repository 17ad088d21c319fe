//! One boot of the guest: from QEMU's start to its end, be that a power-off or a power cut.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// Lines of the guest's output that wait to be taken.
const BACKLOG: usize = 64;

/// QEMU at work; killed when dropped.
pub struct Boot {
    qemu: Child,
    complaints: PathBuf,
    lines: Receiver<String>,
}

/// How a boot ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    PoweredOff,
    /// By a reboot or a power cut that the guest had asked for: it is to be booted again.
    Asked,
    /// Not before the deadline: killed.
    Late,
}

/// What the guest asks for by a line of its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Reboot,
    PowerCut(Duration),
}

impl Wish {
    fn of(line: &str) -> Option<Wish> {
        match line.strip_prefix("guest: ")? {
            "reboots" => Some(Wish::Reboot),
            wish => {
                let milliseconds = wish.strip_prefix("cut the power in ")?.strip_suffix(" ms")?;
                milliseconds.parse().ok().map(Duration::from_millis).map(Wish::PowerCut)
            }
        }
    }
}

impl Boot {
    /// `complaints`: what QEMU itself says.
    pub fn start(arguments: Vec<OsString>, complaints: &Path) -> Result<Boot> {
        let mut qemu = Command::new("qemu-system-x86_64")
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(complaints)?)
            .spawn()
            .context("qemu-system-x86_64 (package qemu-system-x86)")?;
        let stdout = qemu.stdout.take().context("no pipe to QEMU")?;
        Ok(Boot { qemu, complaints: complaints.to_owned(), lines: lines(stdout) })
    }

    /// Gives `say` each line, carries out what the guest asks for, and waits for QEMU's end.
    pub fn follow(
        mut self,
        deadline: Instant,
        say: &mut impl FnMut(&str) -> io::Result<()>,
    ) -> Result<End> {
        let (mut asked, mut cut_at) = (false, None);
        loop {
            let until = cut_at.map_or(deadline, |cut: Instant| cut.min(deadline));
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    say(&line)?;
                    match Wish::of(&line) {
                        Some(Wish::Reboot) => asked = true,
                        Some(Wish::PowerCut(delay)) => cut_at = Some(Instant::now() + delay),
                        None => {}
                    }
                }
                Err(RecvTimeoutError::Timeout) if cut_at.take().is_some() => {
                    // What it said until this moment is still in the pipe.
                    self.qemu.kill()?;
                    asked = true;
                }
                Err(RecvTimeoutError::Timeout) => return Ok(End::Late),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let status = self.qemu.wait()?;
        if asked {
            return Ok(End::Asked);
        }
        ensure!(status.success(), "QEMU: {}", fs::read_to_string(&self.complaints)?);
        Ok(End::PoweredOff)
    }
}

impl Drop for Boot {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// Read by a thread of its own, since a pipe has no deadline.
fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = sync_channel(BACKLOG);
    thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n') {
            let Ok(line) = line else { break };
            if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                break;
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_line_asks_for() {
        for (line, wish) in [
            ("guest: reboots", Some(Wish::Reboot)),
            ("guest: cut the power in 1500 ms", Some(Wish::PowerCut(Duration::from_millis(1500)))),
            ("guest: cut the power in no ms", None),
            ("guest: boots again", None),
            ("ok     10-units (3 s)", None),
        ] {
            assert_eq!(Wish::of(line), wish, "{line}");
        }
    }
}
