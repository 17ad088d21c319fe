//! `hedgerow-builder observe`: answers what the seccomp filter of one observed fence asks, and tells the daemon what the
//! fence denied.
//!
//! ```text
//!  step ──call that may be denied──► kernel ──► observer ──► looks at path or address, in the fence and on the host
//!    ▲                                            │   └── Told ──► hedgerowd
//!    └────────── carries on as without it ◄───────┘
//! ```
//!
//! It lets nothing through that the ordinary filter refuses, see seccomp_unotify(2): a call is continued only where that
//! filter allows it, whatever its arguments, so that a thread which changes them meanwhile deceives the findings and
//! nothing else. Where this process ends early, the calls answer ENOSYS.
//!
//! A process of its own, since it reads what components write. It ends with the fence.

mod findings;
mod paths;
mod privileges;
mod sockets;
mod tracee;

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::process::Stdio;
use std::time::{Duration, Instant};

use hedgerow_isolation::connection::Connection;
use hedgerow_isolation::grants::Grant;
use hedgerow_isolation::network::Port;
use hedgerow_isolation::observation::Remedy;
use hedgerow_isolation::plan::{IdRange, Network};
use hedgerow_isolation::protocol::{Error, ErrorKind};
use libseccomp::{ScmpNotifReq, ScmpNotifResp, ScmpNotifRespFlags, notify_id_valid};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::Signal;
use rustix::thread::{CapabilitySet, CapabilitySets};
use serde::{Deserialize, Serialize};

use findings::Findings;
use paths::Wanted;
use tracee::Tracee;

use crate::{descriptors, setup};

/// Programs whose filters ask at once.
const MAX_LISTENERS: usize = 512;

/// Findings are told together.
const PACE: Duration = Duration::from_millis(200);

/// What it needs: to look into processes of the fence, and to become their users for that.
const KEPT: CapabilitySet = CapabilitySet::SYS_PTRACE
    .union(CapabilitySet::DAC_READ_SEARCH)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETGID);

/// The launcher's end.
#[derive(Debug)]
pub struct Observer {
    feed: Connection,
}

/// What the observer goes by. One descriptor beside it: where the daemon is told.
#[derive(Debug, Serialize, Deserialize)]
pub struct Brief {
    pub ids: IdRange,
    pub network: Network,
    pub grant: Grant,
    /// Ports that lead to other components.
    pub elsewhere: Vec<Port>,
    /// Whether fences reach link-local addresses.
    pub link_local: bool,
}

/// One descriptor: a program's filter that will ask.
#[derive(Debug, Serialize, Deserialize)]
struct Listen;

impl Observer {
    pub fn start(builder: &OwnedFd, brief: &Brief, daemon: &OwnedFd) -> Result<Self, Error> {
        let failed = |e: &dyn std::fmt::Display| {
            Error::new(ErrorKind::System, format!("cannot start the fence's observer: {e}"))
        };
        let (feed, end) = Connection::pair().map_err(|e| failed(&e))?;
        feed.set_nonblocking().map_err(|e| failed(&e))?;
        feed.send(brief, &[daemon.as_fd()]).map_err(|e| failed(&e))?;
        setup::run_builder(builder, "observe")
            .stdin(OwnedFd::from(end))
            .stdout(Stdio::null())
            .spawn()
            .map_err(|e| failed(&e))?;
        Ok(Self { feed })
    }

    /// Where that fails, the calls of that program do.
    pub fn hand(&self, listener: BorrowedFd<'_>) {
        if let Err(error) = self.feed.send(&Listen, &[listener]) {
            say!("an observer takes nothing more: {error}");
        }
    }
}

/// The process; the launcher is at the other end of stdin.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let feed = descriptors::launcher()?;
    let Some((brief, descriptors)) = feed.recv::<Brief>()? else { return Ok(()) };
    let [daemon] = <[OwnedFd; 1]>::try_from(descriptors).map_err(|_| "no way to the daemon")?;
    let findings = Findings::new(Connection::from(daemon))?;
    give_up_rights()?;
    let mut observing = Observing { brief, feed, listeners: Vec::new(), findings };
    let ended = observing.run();
    observing.findings.tell();
    Ok(ended?)
}

fn give_up_rights() -> Result<(), Errno> {
    for capability in CapabilitySet::all().iter().filter(|one| !KEPT.contains(*one)) {
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            // A capability that this kernel does not know.
            Err(Errno::INVAL) | Ok(()) => {}
            Err(errno) => return Err(errno),
        }
    }
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: KEPT, permitted: KEPT, inheritable: none };
    rustix::thread::set_capabilities(None, sets)?;
    rustix::thread::set_no_new_privs(true)
}

struct Observing {
    brief: Brief,
    feed: Connection,
    listeners: Vec<OwnedFd>,
    findings: Findings,
}

impl Observing {
    /// Until the launcher closes its end.
    fn run(&mut self) -> Result<(), Errno> {
        loop {
            let mut sources = vec![PollFd::new(&self.feed, PollFlags::IN)];
            sources.extend(self.listeners.iter().map(|one| PollFd::new(one, PollFlags::IN)));
            let left = self.findings.untold_since().map(|since| {
                (since + PACE).saturating_duration_since(Instant::now()) + Duration::from_millis(1)
            });
            let left = left.and_then(|left| Timespec::try_from(left).ok());
            rustix::io::retry_on_intr(|| poll(&mut sources, left.as_ref()))?;
            let ready: Vec<_> = sources.iter().map(PollFd::revents).collect();

            let mut over = Vec::new();
            for (index, events) in ready.iter().skip(1).enumerate() {
                if events.contains(PollFlags::IN) {
                    self.answer(index);
                } else if !events.is_empty() {
                    // Nobody is left under that filter.
                    over.push(index);
                }
            }
            over.into_iter().rev().for_each(|index| drop(self.listeners.swap_remove(index)));
            if ready.first().is_some_and(|events| !events.is_empty()) && !self.hear() {
                return Ok(());
            }
            if self.findings.untold_since().is_some_and(|since| since.elapsed() >= PACE) {
                self.findings.tell();
            }
        }
    }

    /// False once the launcher has closed its end.
    fn hear(&mut self) -> bool {
        let Ok(Some((Listen, descriptors))) = self.feed.recv() else { return false };
        let room = MAX_LISTENERS.saturating_sub(self.listeners.len());
        self.listeners.extend(descriptors.into_iter().take(room));
        true
    }

    fn answer(&mut self, index: usize) {
        let Some(listener) = self.listeners.get(index).map(AsRawFd::as_raw_fd) else { return };
        // Whoever does not wait any more needs no answer.
        let Ok(request) = ScmpNotifReq::receive(listener) else { return };
        let none = ScmpNotifRespFlags::empty();
        let refusal = |errno: i32| ScmpNotifResp::new_error(request.id, -errno, none);
        let answer = match request.data.syscall.get_name_by_arch(request.data.arch) {
            Ok(call) if crate::filter::refuses(&call) => {
                let subject = "a call for the host's root alone".to_owned();
                self.findings.add(&call, subject, privileges::judge(request.pid, &call));
                refusal(libc::EPERM)
            }
            Ok(call) => {
                if let Some((subject, remedy)) = self.judge(listener, &request, &call) {
                    self.findings.add(&call, subject, remedy);
                }
                ScmpNotifResp::new_continue(request.id, none)
            }
            Err(_) => refusal(libc::ENOSYS),
        };
        let _ = answer.respond(listener);
    }

    fn judge(&self, listener: i32, request: &ScmpNotifReq, call: &str) -> Option<(String, Remedy)> {
        let tracee = Tracee::of(request.pid).ok()?;
        // From here on the thread is the one that asked, or says nothing.
        notify_id_valid(listener, request.id).ok()?;
        let arguments = request.data.args;
        match call {
            "mknod" | "mknodat" => {
                let (path, mode) = if call == "mknod" { (0, 1) } else { (1, 2) };
                let mode = *arguments.get(mode)? as u32 & libc::S_IFMT;
                let path = tracee.path(*arguments.get(path)?).ok()?.display().to_string();
                let is_device = mode == libc::S_IFCHR || mode == libc::S_IFBLK;
                is_device.then_some((path, Remedy::None))
            }
            "socket" | "setsockopt" | "connect" | "bind" => {
                sockets::judge(&tracee, call, arguments, &self.brief).ok()?
            }
            _ => {
                let wanted = Wanted::of(&tracee, call, arguments).ok()??;
                let remedy = paths::judge(&tracee, &wanted, self.brief.ids)?;
                Some((wanted.path.display().to_string(), remedy))
            }
        }
    }
}
