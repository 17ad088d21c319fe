//! Starting a program, for a step or for `sudo`: what happens between fork and exec, and what it may still do
//! afterwards.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ffi::CString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use hedgerow_isolation::connection::Connection;
use hedgerow_isolation::control::{PATH, Report};
use hedgerow_isolation::plan::StepId;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Gid, Pid, Resource, Rlimit, Signal, Uid, WaitOptions};
use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::filter::Filter;
use crate::program;
use crate::users::Identity;

/// A program to start.
pub struct Launch<'a> {
    pub argv: &'a [String],
    pub environment: &'a BTreeMap<String, String>,
    pub directory: Directory<'a>,
    pub identity: Identity,
    pub stdio: [BorrowedFd<'a>; 3],
    /// Told from the program's own process, so that the kernel names its pid.
    pub announced: Option<(StepId, &'a Connection)>,
}

#[derive(Clone, Copy)]
pub enum Directory<'a> {
    Path(&'a Path),
    Open(BorrowedFd<'a>),
}

/// Why a step could not be started.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("argument, variable or directory with a NUL character")]
    Nul,
    #[error("no program to execute")]
    NoProgram,
    #[error("{what}: {errno}")]
    Child { what: String, errno: Errno },
    #[error("cannot fork: {0}")]
    Fork(Errno),
}

/// Soft and hard limits of a step, each lowered to what this process may have (setrlimit(2)).
const LIMITS: [(Resource, Option<u64>, Option<u64>); 5] = [
    (Resource::Core, Some(0), None),
    (Resource::Nofile, Some(1024), Some(524_288)),
    (Resource::Stack, Some(8 << 20), None),
    (Resource::Memlock, Some(8 << 20), Some(8 << 20)),
    (Resource::Rtprio, Some(0), Some(0)),
];

/// Whether this process has a capability now.
pub fn holds(capability: CapabilitySet) -> bool {
    rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(capability))
}

/// Gives up what only setting up the fence's network needed, also for every privileged step.
pub fn drop_network_administration() -> Result<(), Errno> {
    let _ = rustix::thread::remove_capability_from_bounding_set(CapabilitySet::NET_ADMIN);
    let held = rustix::thread::capabilities(None)?.permitted;
    set_capabilities(held.difference(CapabilitySet::NET_ADMIN))
}

/// Drops every capability, and all of the bounding set, so that no program can get one from a file or a set-user-id
/// bit.
fn drop_capabilities() -> Result<(), Errno> {
    set_capabilities(CapabilitySet::empty())?;
    rustix::thread::clear_ambient_capability_set()
}

/// Before the user changes: it takes a capability.
fn empty_bounding_set() -> Result<(), Errno> {
    for capability in CapabilitySet::all().iter() {
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            // A capability that this kernel does not know.
            Err(Errno::INVAL) | Ok(()) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn set_capabilities(kept: CapabilitySet) -> Result<(), Errno> {
    let sets =
        CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    rustix::thread::set_capabilities(None, sets)
}

/// Starts a program and waits until it runs; the result is the process's number in the fence.
pub fn start(launch: &Launch<'_>, filter: &Filter) -> Result<i32, Refusal> {
    let image = Image::of(launch)?;
    let (failure, report_failure) = pipe_with(PipeFlags::CLOEXEC).map_err(Refusal::Fork)?;

    // SAFETY: this process has one thread, so the child may do all that the parent may.
    match unsafe { libc::fork() } {
        -1 => Err(Refusal::Fork(last_errno())),
        0 => {
            let Err(failed) = become_program(launch, &image, filter);
            // Nobody is left to tell when this write fails; the exit status still says it.
            let _ = File::from(report_failure).write_all(&failed.encode());
            // SAFETY: ends the child without running what the parent registered for its own exit.
            unsafe { libc::_exit(127) }
        }
        pid => {
            drop(report_failure);
            outcome(pid, launch, failure)
        }
    }
}

/// How long a step may take from fork to exec: it does nothing that waits, but the machine may swap.
const STARTING: Timespec = Timespec { tv_sec: 30, tv_nsec: 0 };

/// Reads from the child why it failed; exec closes the pipe without a word.
fn outcome(pid: i32, launch: &Launch<'_>, failure: OwnedFd) -> Result<i32, Refusal> {
    // Between becoming the step's user and exec, another process of that user may stop the child (SIGSTOP). This
    // process must not wait for it for ever: then it would neither reap nor obey.
    let mut word = [PollFd::new(&failure, PollFlags::IN)];
    if rustix::io::retry_on_intr(|| poll(&mut word, Some(&STARTING))) == Ok(0)
        && let Some(child) = Pid::from_raw(pid)
    {
        let _ = rustix::process::kill_process(child, Signal::KILL);
    }
    let mut report = Vec::new();
    let _ = File::from(failure).read_to_end(&mut report);
    let Some(failed) = Failed::decode(&report) else { return Ok(pid) };
    let _ = rustix::process::waitpid(Pid::from_raw(pid), WaitOptions::empty());
    Err(Refusal::Child { what: failed.stage.describe(failed.errno, launch), errno: failed.errno })
}

/// Strings in the form that execve(2) takes, made before the fork.
struct Image {
    candidates: Vec<CString>,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

impl Image {
    fn of(launch: &Launch<'_>) -> Result<Self, Refusal> {
        let c = |text: String| CString::new(text).map_err(|_| Refusal::Nul);
        let program = launch.argv.first().filter(|p| !p.is_empty()).ok_or(Refusal::NoProgram)?;
        let candidates = if program.contains('/') {
            vec![c(program.clone())?]
        } else {
            PATH.split(':').map(|d| c(format!("{d}/{program}"))).collect::<Result<_, _>>()?
        };
        let mut environment: Vec<CString> = launch
            .environment
            .iter()
            .map(|(name, value)| c(format!("{name}={value}")))
            .collect::<Result<_, _>>()?;
        if !launch.environment.contains_key("PATH") {
            environment.push(c(format!("PATH={PATH}"))?);
        }
        let arguments = launch.argv.iter().cloned().map(c).collect::<Result<_, _>>()?;
        Ok(Self { candidates, arguments, environment })
    }
}

fn become_program(
    launch: &Launch<'_>,
    image: &Image,
    filter: &Filter,
) -> Result<Infallible, Failed> {
    rustix::process::setsid().map_err(Stage::Session.failed())?;
    reset_signals();
    if let Some((step, control)) = launch.announced {
        control.send(&Report::Forked { step }, &[]).map_err(|_| Failed::silent())?;
    }

    let [stdin, stdout, stderr] = launch.stdio;
    rustix::stdio::dup2_stdin(stdin).map_err(Stage::Output.failed())?;
    rustix::stdio::dup2_stdout(stdout).map_err(Stage::Output.failed())?;
    rustix::stdio::dup2_stderr(stderr).map_err(Stage::Output.failed())?;

    // Both may be refused (no CAP_SYS_RESOURCE): then the program keeps what the launcher has.
    let _ = std::fs::write("/proc/self/oom_score_adj", "0");
    limit_resources();
    rustix::process::umask(Mode::from_raw_mode(0o022));

    // Where somebody is already, as another user too: sudo(8) does the same.
    if let Directory::Open(directory) = launch.directory {
        rustix::process::fchdir(directory).map_err(Stage::Directory.failed())?;
    }
    become_user(&launch.identity)?;
    // As that user: it enters no directory that it could not enter itself.
    if let Directory::Path(path) = launch.directory {
        rustix::process::chdir(path).map_err(Stage::Directory.failed())?;
    }
    filter.install(&launch.identity).map_err(Stage::Filter.failed())?;
    Err(execute(image))
}

fn become_user(identity: &Identity) -> Result<(), Failed> {
    if !identity.privileged {
        empty_bounding_set().map_err(Stage::Privileges.failed())?;
    }
    // Groups before user: afterwards it may not change them.
    let groups: Vec<_> = identity.groups.iter().map(|&group| Gid::from_raw(group)).collect();
    rustix::thread::set_thread_groups(&groups).map_err(Stage::User.failed())?;
    let gid = Gid::from_raw(identity.user.gid);
    rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(Stage::User.failed())?;
    let uid = Uid::from_raw(identity.user.uid);
    rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(Stage::User.failed())?;
    if !identity.privileged {
        drop_capabilities().map_err(Stage::Privileges.failed())?;
    }
    rustix::thread::set_no_new_privs(true).map_err(Stage::Privileges.failed())
}

/// Handlers and masks survive exec where they are "ignored" or "blocked": give the program a clean start.
fn reset_signals() {
    // struct sigaction of rt_sigaction(2), all zero: the default. (The C library's call leaves out the two
    // signals that it uses itself.)
    let default = [0u64; 4];
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: the kernel reads at most these 32 bytes; the default runs no code of ours. SIGKILL and SIGSTOP
        // refuse, and there is nothing to reset.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                &default,
                std::ptr::null::<u64>(),
                8_usize,
            );
        }
    }
    // SAFETY: an all-zero set is empty on Linux, and outlives the call.
    unsafe {
        let none: libc::sigset_t = std::mem::zeroed();
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
    }
}

fn limit_resources() {
    for (resource, soft, hard) in LIMITS {
        let own = rustix::process::getrlimit(resource);
        let maximum = lower(hard, own.maximum);
        let _ =
            rustix::process::setrlimit(resource, Rlimit { current: lower(soft, maximum), maximum });
    }
}

/// The smaller limit, where `None` is unlimited.
fn lower(wanted: Option<u64>, allowed: Option<u64>) -> Option<u64> {
    match (wanted, allowed) {
        (Some(wanted), Some(allowed)) => Some(wanted.min(allowed)),
        (wanted, allowed) => wanted.or(allowed),
    }
}

/// execvp(3) without its surprises: an unreadable candidate is remembered, not hidden by a missing one.
fn execute(image: &Image) -> Failed {
    let mut result = Errno::NOENT;
    for candidate in &image.candidates {
        let Err(errno) = nix::unistd::execve(candidate, &image.arguments, &image.environment);
        match Errno::from_raw_os_error(errno as i32) {
            Errno::NOENT | Errno::NOTDIR => {}
            Errno::ACCESS => result = Errno::ACCESS,
            other => return Failed { stage: Stage::Execute, errno: other },
        }
    }
    Failed { stage: Stage::Execute, errno: result }
}

pub fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// What the child was at when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Stage {
    Session,
    Report,
    Output,
    User,
    Privileges,
    Directory,
    Filter,
    Execute,
}

impl Stage {
    const ALL: [Self; 8] = [
        Self::Session,
        Self::Report,
        Self::Output,
        Self::User,
        Self::Privileges,
        Self::Directory,
        Self::Filter,
        Self::Execute,
    ];

    fn failed(self) -> impl Fn(Errno) -> Failed {
        move |errno| Failed { stage: self, errno }
    }

    fn describe(self, errno: Errno, launch: &Launch<'_>) -> String {
        match self {
            Self::Session => "cannot start a session".to_owned(),
            Self::Report => "cannot report to the launcher".to_owned(),
            Self::Output => "cannot connect stdin, stdout and stderr".to_owned(),
            Self::User => {
                let user = launch.identity.user;
                format!("cannot become user {}:{}", user.uid, user.gid)
            }
            Self::Privileges => "cannot give up privileges".to_owned(),
            Self::Directory => match launch.directory {
                Directory::Path(path) => format!("cannot enter the directory {path:?}"),
                Directory::Open(_) => "cannot enter the caller's directory".to_owned(),
            },
            Self::Filter => "cannot install the seccomp filter".to_owned(),
            Self::Execute => {
                let program = launch.argv.first().map_or("", String::as_str);
                let advice = program::advice(Path::new(program), launch.directory, errno);
                format!("cannot execute {program:?}{advice}")
            }
        }
    }
}

/// Sent from child to parent as one byte and a native-endian errno.
#[derive(Debug, PartialEq, Eq)]
struct Failed {
    stage: Stage,
    errno: Errno,
}

impl Failed {
    fn silent() -> Self {
        Self { stage: Stage::Report, errno: Errno::PIPE }
    }

    fn encode(&self) -> [u8; 5] {
        let [a, b, c, d] = self.errno.raw_os_error().to_ne_bytes();
        [self.stage as u8, a, b, c, d]
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let &[stage, a, b, c, d] = bytes else { return None };
        let stage = *Stage::ALL.get(usize::from(stage))?;
        Some(Self { stage, errno: Errno::from_raw_os_error(i32::from_ne_bytes([a, b, c, d])) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_survives_the_pipe() {
        for stage in Stage::ALL {
            let failed = Failed { stage, errno: Errno::ACCESS };
            assert_eq!(Failed::decode(&failed.encode()), Some(failed));
        }
        assert_eq!(Failed::decode(b""), None);
        assert_eq!(Failed::decode(&[99, 0, 0, 0, 0]), None);
    }

    #[test]
    fn limits_are_only_ever_lowered() {
        assert_eq!(lower(Some(1024), Some(20)), Some(20));
        assert_eq!(lower(Some(1024), None), Some(1024));
        assert_eq!(lower(None, Some(20)), Some(20));
        assert_eq!(lower(None, None), None);
    }

    #[test]
    fn a_bare_name_is_looked_up_in_the_fixed_path_and_a_path_is_not() {
        let (null, argv) = (std::fs::File::open("/dev/null").unwrap(), |p: &str| [p.to_owned()]);
        let null = std::os::fd::AsFd::as_fd(&null);
        let environment = [("PATH".to_owned(), "/elsewhere".to_owned())].into();
        let image = |program: &str| {
            Image::of(&Launch {
                argv: &argv(program),
                environment: &environment,
                directory: Directory::Path(Path::new("/")),
                identity: Identity::root(),
                stdio: [null; 3],
                announced: None,
            })
        };
        let bare = image("sh").unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(bare.candidates.len(), PATH.split(':').count());
        assert_eq!(bare.environment, [c"PATH=/elsewhere".to_owned()]);
        let path = image("./sh").unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(path.candidates, [c"./sh".to_owned()]);
        assert!(matches!(image(""), Err(Refusal::NoProgram)));
        assert!(matches!(image("a\0b"), Err(Refusal::Nul)));
    }
}
