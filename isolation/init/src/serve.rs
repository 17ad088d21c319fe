//! The loop of process 1: commands in, reports out, children reaped.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use hedgerow_isolation::connection::{Connection, Failure};
use hedgerow_isolation::control::{Command, Report};
use hedgerow_isolation::plan::{Step, StepId};
use hedgerow_isolation::protocol::ExitStatus;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, WaitOptions};
use rustix::thread::CapabilitySet;

use crate::{inherited, network, step};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("control socket: {0}")]
    Control(#[from] Failure),
    #[error("{0}: {1}")]
    System(&'static str, io::Error),
}

/// Runs until the launcher closes the control socket.
pub fn serve() -> Result<(), Error> {
    let mut init = Init::prepare()?;
    init.control.send(&Report::Ready, &[])?;
    loop {
        let [commands, children] = init.wait()?;
        // Children first: a signal must not go to a pid whose process is gone.
        if children {
            init.reap()?;
        }
        if commands && !init.obey()? {
            return Ok(());
        }
    }
}

struct Init {
    control: Connection,
    filter: Vec<libc::sock_filter>,
    children: SignalFd,
    /// Processes of steps that are not yet reaped.
    running: BTreeMap<i32, StepId>,
}

impl Init {
    fn prepare() -> Result<Self, Error> {
        let system = |what| move |errno: nix::Error| Error::System(what, errno.into());
        // Before anything else: the builder's death must no longer end this process.
        rustix::process::set_parent_process_death_signal(None)
            .map_err(|e| Error::System("cannot clear the death signal", e.into()))?;
        let control =
            inherited::control().map_err(|e| Error::System("cannot keep the control socket", e))?;
        let filter = inherited::filter().map_err(|e| Error::System("cannot read the filter", e))?;
        // Steps must not trace this process or read its memory, whatever their user.
        rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
            .map_err(|e| Error::System("cannot become undumpable", e.into()))?;
        if step::holds(CapabilitySet::NET_ADMIN) {
            network::loopback_up().map_err(|e| Error::System("cannot bring up the loopback", e))?;
        }
        step::drop_network_administration()
            .map_err(|e| Error::System("cannot drop capabilities", e.into()))?;

        let mut signals = SigSet::empty();
        signals.add(Signal::SIGCHLD);
        signals.thread_block().map_err(system("cannot block SIGCHLD"))?;
        let children =
            SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
                .map_err(system("cannot watch for SIGCHLD"))?;
        Ok(Self { control, filter, children, running: BTreeMap::new() })
    }

    /// Waits until there is a command, or a child to reap.
    fn wait(&self) -> Result<[bool; 2], Error> {
        let mut sources = [
            PollFd::new(&self.control, PollFlags::IN),
            PollFd::from_borrowed_fd(self.children.as_fd(), PollFlags::IN),
        ];
        rustix::io::retry_on_intr(|| poll(&mut sources, None))
            .map_err(|e| Error::System("cannot wait", e.into()))?;
        Ok(sources.map(|source| !source.revents().is_empty()))
    }

    /// Takes one command; false once the launcher is gone.
    fn obey(&mut self) -> Result<bool, Error> {
        let Some((command, descriptors)) = self.control.recv::<Command>()? else {
            return Ok(false);
        };
        match command {
            Command::Start(step) => self.start(&step, descriptors)?,
            Command::Signal { step, signal } => self.signal(step, signal)?,
        }
        Ok(true)
    }

    fn start(&mut self, step: &Step, output: Vec<OwnedFd>) -> Result<(), Error> {
        let report = match step::start(step, output, &self.filter, &self.control) {
            Ok(pid) => {
                self.running.insert(pid, step.id);
                Report::Started { step: step.id }
            }
            Err(refusal) => Report::Failed { step: step.id, reason: refusal.to_string() },
        };
        Ok(self.control.send(&report, &[])?)
    }

    fn signal(&self, step: Option<StepId>, signal: i32) -> Result<(), Error> {
        let pid = match step {
            // kill(2): every process that may be signalled, never process 1 itself.
            None => -1,
            // A step that has exited meanwhile is not a fault: its report is on the way.
            Some(wanted) => match self.running.iter().find(|&(_, &id)| id == wanted) {
                Some((&pid, _)) => pid,
                None => return Ok(()),
            },
        };
        // SAFETY: kill has no memory effects. (nix's Signal knows no real-time signals.)
        let result = unsafe { libc::kill(pid, signal) };
        if result != 0 && step.is_none() {
            // ESRCH: there is nobody.
            self.control.send(&Report::Emptied, &[])?;
        }
        Ok(())
    }

    fn reap(&mut self) -> Result<(), Error> {
        while let Ok(Some(_)) = self.children.read_signal() {}
        let mut reaped = false;
        let end = loop {
            let (pid, status) = match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some(ended)) => ended,
                other => break other.map(drop),
            };
            reaped = true;
            let status = match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => ExitStatus::Code(code),
                (None, Some(signal)) => ExitStatus::Signal(signal),
                (None, None) => continue,
            };
            if let Some(step) = self.running.remove(&pid.as_raw_nonzero().get()) {
                self.control.send(&Report::Exited { step, status }, &[])?;
            }
        };
        if reaped && end == Err(Errno::CHILD) {
            self.control.send(&Report::Emptied, &[])?;
        }
        Ok(())
    }
}
