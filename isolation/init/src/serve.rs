//! The loop of process 1: commands in, reports out, children reaped.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use hedgerow_isolation::connection::{Connection, Failure};
use hedgerow_isolation::control::{self, Command, Report};
use hedgerow_isolation::plan::{Step, StepId};
use hedgerow_isolation::protocol::ExitStatus;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, WaitOptions};
use rustix::thread::CapabilitySet;

use crate::filter::Filter;
use crate::step::{Directory, Launch};
use crate::sudo::server::Sudo;
use crate::users::{Identity, Unknown, Users};
use crate::{inherited, network, ownership, step, sudo};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("control socket: {0}")]
    Control(#[from] Failure),
    #[error("{0}: {1}")]
    System(&'static str, io::Error),
    #[error("process {0} is not process 1 of a fence")]
    NotFirst(u32),
}

/// Why a step could not be started.
#[derive(Debug, thiserror::Error)]
enum NotStarted {
    #[error("the launcher sent no pipes for the step's output")]
    NoOutput,
    #[error("/dev/null: {0}")]
    Null(io::Error),
    #[error("as whom it is to run: {0}")]
    User(#[from] Unknown),
    #[error("{0:?} cannot be made the user's: {1}")]
    Ownership(PathBuf, io::Error),
    #[error(transparent)]
    Refused(#[from] step::Refusal),
}

/// Runs until the launcher closes the control socket.
pub fn serve() -> Result<(), Error> {
    // It signals "every process" (kill(2), -1): outside a pid namespace of its own that would be the whole machine.
    match std::process::id() {
        1 => {}
        other => return Err(Error::NotFirst(other)),
    }
    let mut init = Init::prepare()?;
    init.control.send(&Report::Ready, &[])?;
    loop {
        let (commands, children, callers) = init.wait()?;
        // Children first: a signal must not go to a pid whose process is gone.
        if children {
            init.reap()?;
        }
        if commands && !init.obey()? {
            return Ok(());
        }
        init.sudo.serve(&callers, &init.filter);
    }
}

struct Init {
    control: Connection,
    filter: Filter,
    children: SignalFd,
    /// Processes of steps that are not yet reaped.
    running: BTreeMap<i32, StepId>,
    sudo: Sudo,
}

impl Init {
    fn prepare() -> Result<Self, Error> {
        let system = |what| move |errno: nix::Error| Error::System(what, errno.into());
        // Before anything else: the builder's death must no longer end this process.
        rustix::process::set_parent_process_death_signal(None)
            .map_err(|e| Error::System("cannot clear the death signal", e.into()))?;
        let control =
            inherited::control().map_err(|e| Error::System("cannot keep the control socket", e))?;
        let filter = inherited::filter()
            .and_then(|program| Filter::new(program, &control, is_told(control::REAL_ROOT)))
            .map_err(|e| Error::System("cannot read the filter", e))?;
        // Steps must not trace this process or read its memory, whatever their user.
        rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
            .map_err(|e| Error::System("cannot become undumpable", e.into()))?;
        if step::holds(CapabilitySet::NET_ADMIN) {
            network::loopback_up().map_err(|e| Error::System("cannot bring up the loopback", e))?;
        }
        if !is_told(control::NETWORK_ADMINISTRATION) {
            step::drop_network_administration()
                .map_err(|e| Error::System("cannot drop capabilities", e.into()))?;
        }

        let mut signals = SigSet::empty();
        signals.add(Signal::SIGCHLD);
        signals.thread_block().map_err(system("cannot block SIGCHLD"))?;
        let children =
            SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
                .map_err(system("cannot watch for SIGCHLD"))?;
        let sudo = Sudo::listen().map_err(|e| Error::System("cannot listen for sudo", e))?;
        Ok(Self { control, filter, children, running: BTreeMap::new(), sudo })
    }

    /// Waits until there is a command, a child to reap, or somebody at `sudo`.
    fn wait(&self) -> Result<(bool, bool, Vec<sudo::server::Source>), Error> {
        let mut sources = vec![
            PollFd::new(&self.control, PollFlags::IN),
            PollFd::from_borrowed_fd(self.children.as_fd(), PollFlags::IN),
        ];
        let mut names = Vec::new();
        for (name, descriptor) in self.sudo.sources() {
            names.push(name);
            sources.push(PollFd::from_borrowed_fd(descriptor, PollFlags::IN));
        }
        let patience = self.sudo.patience();
        rustix::io::retry_on_intr(|| poll(&mut sources, patience.as_ref()))
            .map_err(|e| Error::System("cannot wait", e.into()))?;
        let mut ready = sources.iter().map(|source| !source.revents().is_empty());
        let (commands, children) = (ready.next() == Some(true), ready.next() == Some(true));
        let callers = names.into_iter().zip(ready).filter(|(_, ready)| *ready);
        Ok((commands, children, callers.map(|(name, _)| name).collect()))
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
        let report = match self.run(step, output) {
            Ok(pid) => {
                self.running.insert(pid, step.id);
                Report::Started { step: step.id }
            }
            Err(refusal) => Report::Failed { step: step.id, reason: refusal.to_string() },
        };
        Ok(self.control.send(&report, &[])?)
    }

    fn run(&self, step: &Step, output: Vec<OwnedFd>) -> Result<i32, NotStarted> {
        let [stdout, stderr] =
            <[OwnedFd; 2]>::try_from(output).map_err(|_| NotStarted::NoOutput)?;
        let null = File::open("/dev/null").map_err(NotStarted::Null)?;
        let identity = identity(step)?;
        for pipe in [&stdout, &stderr] {
            // So that the step may open them again by name (/dev/stdout).
            let (uid, gid) = (identity.user.uid, identity.user.gid);
            let _ = std::os::unix::fs::fchown(pipe, Some(uid), Some(gid));
        }
        let launch = Launch {
            argv: &step.argv,
            environment: &step.env,
            directory: Directory::Path(&step.cwd),
            identity,
            stdio: [null.as_fd(), stdout.as_fd(), stderr.as_fd()],
            announced: Some((step.id, &self.control)),
        };
        Ok(step::start(&launch, &self.filter)?)
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
            let pid = pid.as_raw_nonzero().get();
            match self.running.remove(&pid) {
                Some(step) => self.control.send(&Report::Exited { step, status }, &[])?,
                None => self.sudo.reaped(pid, status),
            }
        };
        if reaped && end == Err(Errno::CHILD) {
            self.control.send(&Report::Emptied, &[])?;
        }
        Ok(())
    }
}

/// Whether the builder said so.
fn is_told(argument: &CStr) -> bool {
    std::env::args_os().any(|given| given.as_bytes() == argument.to_bytes())
}

/// As whom a step runs, with what must be that user's made so.
fn identity(step: &Step) -> Result<Identity, NotStarted> {
    if step.privileged {
        return Ok(Identity::root());
    }
    let mut users = Users::read();
    let Some(account) = &step.account else {
        return Ok(Identity { privileged: false, user: step.user, ..users.identity(step.user) });
    };
    let user = users.posix_user(&account.name)?;
    for directory in &account.directories {
        ownership::give(directory, user)
            .map_err(|error| NotStarted::Ownership(directory.clone(), error))?;
    }
    Ok(users.identity(user))
}
