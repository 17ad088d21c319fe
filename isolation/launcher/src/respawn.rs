//! `hedgerow-launch respawn OPTION…`: runs the launcher, and runs it again when it is killed. For a daemon started
//! with `--root`, which has nothing like systemd above it and no right to start a launcher itself any more.

use std::error::Error;
use std::ffi::OsString;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Command;
use std::time::Duration;

use rustix::process::{Signal, set_parent_process_death_signal};

/// Before a killed launcher is replaced, so that one that cannot live does not spin.
const PAUSE: Duration = Duration::from_millis(200);

/// Ends when the launcher ends by itself.
pub fn respawn(options: &[OsString]) -> Result<(), Box<dyn Error>> {
    loop {
        let mut launcher = Command::new("/proc/self/exe");
        launcher.arg0("hedgerow-launch").args(options);
        // SAFETY: prctl(2) is one system call, which is safe between fork and exec.
        unsafe {
            // When this process is ended, the launcher ends in order.
            launcher.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::TERM))?));
        }
        let status = launcher.status()?;
        match status.code() {
            Some(0) => return Ok(()),
            // Somebody wants it gone, and said so before it could listen.
            None if status.signal() == Some(Signal::TERM.as_raw()) => return Ok(()),
            Some(_) => return Err(format!("the launcher ended with {status}").into()),
            None => {
                say!("hedgerow-launch: the launcher was killed ({status}), starting another")
            }
        }
        std::thread::sleep(PAUSE);
    }
}
