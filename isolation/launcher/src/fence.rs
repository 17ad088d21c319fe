//! One fence and what it is going through.
//!
//! ```text
//!                Ready                         init gone
//!  Opening ─────────────────► Open ───────────────────────────► Ended
//!     │ failed                  │ Close                           │ Close
//!     └───────────────────────► Closing ◄─────────────────────────┘
//!                                  │ no process, no cgroup
//!                                  ▼ gone
//! ```

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use hedgerow_isolation::connection::{Connection, Packet};
use hedgerow_isolation::control::{Command as InitCommand, Report};
use hedgerow_isolation::grants::Grant;
use hedgerow_isolation::moment::Moment;
use hedgerow_isolation::plan::{IdRange, Limits, Plan, Step, StepId, User};
use hedgerow_isolation::protocol::{
    Error, ErrorKind, Event, ExitStatus, FenceReport, Load, Response, Usage,
};
use rustix::fs::{Gid, Uid};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal};

use crate::builder::{Blueprint, Failed};
use crate::bus::{self, Bus};
use crate::cgroup::Cgroup;
use crate::daemon::{Output, Ticket};
use crate::file;
use crate::network::link::Link;
use crate::network::listen;
use crate::observer::Observer;
use crate::setup;
use crate::steps::{Steps, cannot_duplicate};

/// How long the builder may take. It needs milliseconds; a machine that swaps may need more.
const OPENING: Duration = Duration::from_secs(60);

/// How long the builder may then take to say why the init has ended.
const LAST_WORD: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub struct Fence {
    plan: Plan,
    /// The host's ids of its users.
    users: IdRange,
    pub note: String,
    listener: Option<OwnedFd>,
    /// Those of [`Plan::listeners`], once it is open.
    own_listeners: Vec<OwnedFd>,
    cgroup: Cgroup,
    bus: Option<Bus>,
    /// Children of this process that are not yet reaped.
    builder: Option<i32>,
    init: Option<i32>,
    phase: Phase,
    steps: Steps,
    frozen: bool,
    /// Ends once this is dropped.
    observer: Option<Observer>,
}

#[derive(Debug)]
enum Phase {
    Opening {
        channel: Connection,
        control: Option<Connection>,
        ticket: Ticket,
        /// A new daemon's requests to adopt it.
        adopters: Vec<Ticket>,
        deadline: Instant,
    },
    Open {
        control: Option<Connection>,
    },
    Ended {
        cause: String,
    },
    Closing {
        /// Who asked for it, and who waits for something that will not come.
        closers: Vec<Ticket>,
        disappointed: Vec<(Ticket, Error)>,
    },
}

/// What every fence is made of, see [`Blueprint`].
#[derive(Debug)]
pub struct Materials<'a> {
    pub builder: &'a OwnedFd,
    pub init: OwnedFd,
    pub skeleton: OwnedFd,
    /// The host's bus, and the mount with its socket.
    pub bus: Option<(Bus, OwnedFd)>,
    pub sources: Vec<OwnedFd>,
    pub link: Option<Link>,
    pub grant: Grant,
    pub filter: BorrowedFd<'a>,
    /// Where the filter asks.
    pub observer: Option<Observer>,
    /// The plan without what does not exist of its dependencies.
    pub plan: Plan,
}

/// A descriptor of a fence that [`Fence::ready`] is to be called for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Channel,
    Control,
}

fn duplicates<'a>(
    descriptors: impl IntoIterator<Item = &'a OwnedFd>,
) -> Result<Vec<OwnedFd>, Error> {
    descriptors.into_iter().map(|d| d.try_clone().map_err(cannot_duplicate)).collect()
}

fn system(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::System, message)
}

impl Fence {
    /// Starts the builder. The answer to `ticket` comes later.
    pub fn open(
        plan: Plan,
        note: String,
        listener: Option<OwnedFd>,
        cgroup: Cgroup,
        materials: Materials<'_>,
        ticket: Ticket,
    ) -> Result<Self, Error> {
        let failed =
            |e: &dyn std::fmt::Display| system(format!("cannot start the fence's builder: {e}"));
        let (channel, builder_end) = Connection::pair().map_err(|e| failed(&e))?;
        let (control, init_end) = Connection::pair().map_err(|e| failed(&e))?;
        for end in [&channel, &control] {
            end.set_nonblocking().map_err(|e| failed(&e))?;
        }
        control.name_senders().map_err(|e| failed(&e))?;

        let child = setup::run_builder(materials.builder, "build")
            .stdin(OwnedFd::from(builder_end))
            .stdout(Stdio::null())
            .spawn()
            .map_err(|e| failed(&e))?;
        let pid = child.id().cast_signed();
        let (bus, bus_mount) = materials.bus.unzip();
        let fence = Self {
            builder: Some(pid),
            init: None,
            phase: Phase::Closing { closers: Vec::new(), disappointed: Vec::new() },
            steps: Steps::default(),
            users: materials.grant.users(plan.ids),
            plan,
            note,
            listener,
            own_listeners: Vec::new(),
            cgroup,
            bus,
            frozen: false,
            observer: materials.observer,
        };
        let blueprint = Blueprint {
            plan: materials.plan,
            cgroups: fence.cgroup.directories().into_iter().map(Path::to_owned).collect(),
            unified: fence.cgroup.is_unified(),
            link: materials.link,
            grant: materials.grant,
        };
        let mut descriptors = vec![init_end.as_fd(), materials.filter];
        descriptors.extend([materials.init.as_fd(), materials.skeleton.as_fd()]);
        descriptors.extend(bus_mount.iter().map(AsFd::as_fd));
        descriptors.extend(materials.sources.iter().map(AsFd::as_fd));
        let told = channel.send(&blueprint, &descriptors).map_err(|e| failed(&e));
        let deadline = Instant::now() + OPENING;
        let mut fence = Self {
            phase: Phase::Opening {
                channel,
                control: Some(control),
                ticket,
                adopters: Vec::new(),
                deadline,
            },
            ..fence
        };
        if let Err(error) = told {
            fence.fail_opening(error);
        }
        Ok(fence)
    }

    /// Has the host's bus served where it is to be and is not.
    fn serve_bus(&mut self) {
        if let (Phase::Open { .. }, Some(bus)) = (&self.phase, &mut self.bus)
            && bus.due().is_some_and(|due| Instant::now() >= due)
            && let Err(error) = bus.start(&self.cgroup)
        {
            say!("fence {}: the host's bus: {error}", self.plan.fence);
        }
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Its process 1, once it is open and until that is reaped.
    pub fn init(&self) -> Option<i32> {
        self.init
    }

    pub fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Closing { .. })
    }

    /// Descriptors to wait for.
    pub fn sources(&self) -> impl Iterator<Item = (Source, BorrowedFd<'_>)> {
        let (channel, control) = match &self.phase {
            Phase::Opening { channel, control, .. } => (Some(channel), control.as_ref()),
            Phase::Open { control } => (None, control.as_ref()),
            Phase::Ended { .. } | Phase::Closing { .. } => (None, None),
        };
        let channel = channel.map(|c| (Source::Channel, c.as_fd()));
        channel.into_iter().chain(control.map(|c| (Source::Control, c.as_fd())))
    }

    /// When [`Self::tick`] has something to do even if nothing happens.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Opening { deadline, .. } => Some(*deadline),
            Phase::Open { .. } => self.bus.as_ref().and_then(Bus::due),
            // Removing a cgroup has no event of its own.
            Phase::Closing { .. } if self.builder.is_none() && self.init.is_none() => {
                Some(Instant::now() + Duration::from_millis(2))
            }
            Phase::Closing { .. } | Phase::Ended { .. } => None,
        }
    }

    pub fn ready(&mut self, source: Source, out: &mut Vec<Output>) {
        match source {
            Source::Channel => self.hear_builder(),
            Source::Control => self.hear_init(out),
        }
    }

    /// Moves a closing fence on; true once nothing of it is left.
    pub fn tick(&mut self, out: &mut Vec<Output>) -> bool {
        if let Phase::Opening { deadline, .. } = &self.phase
            && Instant::now() >= *deadline
        {
            self.fail_opening(system("the fence's builder did not finish in time"));
        }
        self.serve_bus();
        // Their ends will be reaped.
        let Phase::Closing { closers, disappointed } = &mut self.phase else { return false };
        if self.builder.is_some() || self.init.is_some() {
            return false;
        }
        let gone = self.cgroup.remove().unwrap_or_else(|error| {
            say!("fence {}: {error}", self.plan.fence);
            true
        });
        if gone {
            out.extend(closers.drain(..).map(|t| Output::Reply(t, Ok(Response::Done), Vec::new())));
            let disappointed = disappointed.drain(..);
            out.extend(disappointed.map(|(t, error)| Output::Reply(t, Err(error), Vec::new())));
        } else {
            // A half-made init, which nobody has introduced.
            self.cgroup.kill();
        }
        gone
    }

    /// A child of the launcher has ended; false if it was not of this fence.
    pub fn reaped(&mut self, pid: i32, how: &str, out: &mut Vec<Output>) -> bool {
        if self.builder == Some(pid) {
            self.builder = None;
            // What was said before it ended comes first.
            self.hear_init(out);
            self.hear_builder();
            self.fail_opening(system(format!("the fence's builder ended ({how})")));
            return true;
        }
        if self.bus.as_mut().is_some_and(|bus| bus.reaped(pid)) {
            if !self.is_closing() {
                let text =
                    format!("the relay of the host's bus has ended ({how}): another is started");
                out.push(Output::Event(Event::Notice { fence: self.plan.fence.clone(), text }));
            }
            return true;
        }
        if self.init != Some(pid) {
            return false;
        }
        // Exits that the init still reported come first.
        self.hear_init(out);
        self.init = None;
        if matches!(self.phase, Phase::Open { .. }) {
            self.end(how, out);
        }
        true
    }

    /// Begins to remove everything; `ticket`'s answer comes when nothing is left.
    pub fn close(&mut self, ticket: Option<Ticket>) {
        match &mut self.phase {
            Phase::Closing { closers, .. } => closers.extend(ticket),
            _ => self
                .begin_closing(ticket, Error::new(ErrorKind::NoSuchFence, "the fence was closed")),
        }
    }

    pub fn start(&mut self, mut step: Step, ticket: Ticket) -> Result<(), Error> {
        if self.bus.is_some() {
            let (name, address) = bus::VARIABLE;
            step.env.entry(name.to_owned()).or_insert_with(|| address.to_owned());
        }
        let oom_kills = self.cgroup.oom_kills();
        self.steps.admit(step.id)?;
        let (stdout, stdout_end) = self.pipe(step.user)?;
        let (stderr, stderr_end) = self.pipe(step.user)?;
        let id = step.id;
        self.command(&InitCommand::Start(step), &[stdout_end.as_fd(), stderr_end.as_fd()])?;
        self.steps.add(id, [stdout, stderr], oom_kills, ticket);
        Ok(())
    }

    pub fn signal(&self, step: Option<StepId>, signal: i32) -> Result<Response, Error> {
        step.map_or(Ok(()), |id| self.steps.alive(id))?;
        self.command(&InitCommand::Signal { step, signal }, &[])?;
        Ok(Response::Done)
    }

    pub fn freeze(&mut self, frozen: bool) -> Result<Response, Error> {
        if !matches!(self.phase, Phase::Open { .. }) {
            return Err(Error::new(ErrorKind::NoSuchFence, "the fence is not open"));
        }
        self.cgroup.freeze(frozen).map_err(|e| system(e.to_string()))?;
        self.frozen = frozen;
        Ok(Response::Done)
    }

    pub fn limit(&mut self, limits: Limits) -> Result<Response, Error> {
        self.cgroup.limit(self.plan.limits, limits).map_err(|e| system(e.to_string()))?;
        self.plan.limits = limits;
        Ok(Response::Done)
    }

    /// A file of the fence as `user` of it may read it.
    pub fn open_file(&self, path: &Path, user: User) -> Result<OwnedFd, Error> {
        match self.init {
            Some(init) => file::open(init, path, user, self.users),
            None => Err(Error::new(ErrorKind::NoSuchFence, "the fence is not open")),
        }
    }

    pub fn acknowledge(&mut self, step: StepId) -> Result<Response, Error> {
        self.steps.acknowledge(step)
    }

    /// What a new daemon is told, with duplicates of all that is kept for it. It waits for a fence that is being
    /// opened.
    pub fn adopt(&mut self, ticket: Ticket, out: &mut Vec<Output>) {
        if let Phase::Opening { adopters, .. } = &mut self.phase {
            adopters.push(ticket);
        } else {
            out.push(self.adopted(ticket));
        }
    }

    fn adopted(&self, ticket: Ticket) -> Output {
        let response =
            Response::Adopted { fence: self.report(), listener: self.listener.is_some() };
        let descriptors = duplicates(self.listener.iter().chain(&self.own_listeners)).and_then(
            |mut descriptors| {
                descriptors.extend(self.steps.pipes()?);
                Ok(descriptors)
            },
        );
        match descriptors {
            Ok(descriptors) => Output::Reply(ticket, Ok(response), descriptors),
            Err(error) => Output::Reply(ticket, Err(error), Vec::new()),
        }
    }

    pub fn usage(&self) -> Result<Usage, Error> {
        if self.is_closing() {
            return Err(Error::new(ErrorKind::NoSuchFence, "the fence is closing"));
        }
        self.cgroup.usage().map_err(|e| system(e.to_string()))
    }

    /// `None` where it is closing.
    pub fn load(&self) -> Option<Load> {
        if self.is_closing() { None } else { self.cgroup.load().ok() }
    }

    pub fn report(&self) -> FenceReport {
        FenceReport {
            plan: Box::new(self.plan.clone()),
            users: self.users,
            note: self.note.clone(),
            steps: self.steps.reports(),
            frozen: self.frozen,
            ended: match &self.phase {
                Phase::Ended { cause } => Some(cause.clone()),
                Phase::Closing { .. } => Some("it is being closed".to_owned()),
                Phase::Opening { .. } | Phase::Open { .. } => None,
            },
        }
    }

    fn command(&self, command: &InitCommand, descriptors: &[BorrowedFd<'_>]) -> Result<(), Error> {
        let none = |message: String| Err(Error::new(ErrorKind::NoSuchFence, message));
        match &self.phase {
            // The init is frozen as well.
            Phase::Open { .. } if self.frozen => {
                Err(Error::new(ErrorKind::Invalid, "the fence is frozen: thaw it first"))
            }
            Phase::Open { control: Some(control) } => control
                .send(command, descriptors)
                .map_err(|e| system(format!("the fence's init does not take commands: {e}"))),
            Phase::Open { control: None } => none("the fence is ending".to_owned()),
            Phase::Opening { .. } => {
                Err(Error::new(ErrorKind::Invalid, "the fence is not open yet"))
            }
            Phase::Ended { cause } => none(format!("the fence has ended ({cause}): close it")),
            Phase::Closing { .. } => none("the fence is closing".to_owned()),
        }
    }

    /// A pipe whose write end the step may open again by name (`/dev/stdout`): it must be its own.
    fn pipe(&self, user: User) -> Result<(OwnedFd, OwnedFd), Error> {
        let failed = |e: rustix::io::Errno| system(format!("cannot make a pipe: {e}"));
        let (read, write) = pipe_with(PipeFlags::CLOEXEC).map_err(failed)?;
        let id = |inside| self.users.host(inside).unwrap_or(self.users.first);
        let (uid, gid) = (Uid::from_raw(id(user.uid)), Gid::from_raw(id(user.gid)));
        rustix::fs::fchown(&write, Some(uid), Some(gid)).map_err(failed)?;
        Ok((read, write))
    }

    fn hear_builder(&mut self) {
        let Phase::Opening { channel, .. } = &self.phase else { return };
        match channel.recv::<Failed>() {
            Ok(Some((Failed(reason), _))) => {
                self.fail_opening(system(format!("the fence cannot be built: {reason}")));
            }
            // Its exit will be reaped, and says more.
            Ok(None) => {}
            Err(failure) if failure.would_block() => {}
            Err(failure) => self.fail_opening(system(format!("the fence's builder: {failure}"))),
        }
    }

    /// Takes every report that has arrived.
    fn hear_init(&mut self, out: &mut Vec<Output>) {
        loop {
            let (Phase::Opening { control: Some(control), .. }
            | Phase::Open { control: Some(control) }) = &self.phase
            else {
                return;
            };
            let packet = match control.recv_packet() {
                Ok(Some(packet)) => packet,
                Err(failure) if failure.would_block() => return,
                Ok(None) | Err(_) => return self.lose_init(),
            };
            match serde_json::from_slice(&packet.bytes) {
                Ok(report) => self.note_report(report, &packet, out),
                Err(error) => say!("fence {}: its init said: {error}", self.plan.fence),
            }
        }
    }

    fn hand_on(&self, listeners: &[OwnedFd]) {
        if let Some(observer) = &self.observer {
            listeners.iter().for_each(|listener| observer.hand(listener.as_fd()));
        }
    }

    /// The control socket is closed: the init is ending, or what would have become it has.
    fn lose_init(&mut self) {
        match &mut self.phase {
            // The builder's own account of it says more; it may still come.
            Phase::Opening { control, deadline, .. } => {
                *control = None;
                *deadline = (*deadline).min(Instant::now() + LAST_WORD);
            }
            // Its exit will be reaped.
            Phase::Open { control } => {
                *control = None;
                if let Some(init) = self.init.and_then(Pid::from_raw) {
                    let _ = rustix::process::kill_process(init, Signal::KILL);
                }
            }
            Phase::Ended { .. } | Phase::Closing { .. } => {}
        }
    }

    fn note_report(&mut self, report: Report, packet: &Packet, out: &mut Vec<Output>) {
        let sender = packet.sender.unwrap_or(0);
        match report {
            Report::Ready => self.finish_opening(sender, out),
            Report::Filtered => self.hand_on(&packet.descriptors),
            Report::Forked { step } => self.steps.forked(step, sender),
            Report::Started { step } => out.extend(self.steps.started(step)),
            Report::Failed { step, reason } => out.extend(self.steps.failed(step, reason)),
            Report::Exited { step, status } => self.note_exit(step, status, out),
            Report::Emptied => {
                out.push(Output::Event(Event::Emptied { fence: self.plan.fence.clone() }));
            }
        }
    }

    fn note_exit(&mut self, step: StepId, status: ExitStatus, out: &mut Vec<Output>) {
        if let Some(exit) = self.steps.exited(step, status, self.cgroup.oom_kills()) {
            let fence = self.plan.fence.clone();
            out.push(Output::Event(Event::StepExited { fence, step, exit }));
        }
    }

    /// The init has taken over; the kernel says which process it is.
    fn finish_opening(&mut self, init: i32, out: &mut Vec<Output>) {
        if !matches!(self.phase, Phase::Opening { .. }) {
            return;
        }
        self.init = Some(init);
        let listeners = match self.listen(init) {
            Ok(listeners) => listeners,
            Err(error) => return self.fail_opening(error),
        };
        let Phase::Opening { control, ticket, adopters, .. } = &mut self.phase else { return };
        let (control, ticket, adopters) = (control.take(), *ticket, std::mem::take(adopters));
        // Dropping the channel tells the builder to go.
        self.phase = Phase::Open { control };
        out.push(Output::Reply(ticket, Ok(Response::Open { users: self.users }), listeners));
        out.extend(adopters.into_iter().map(|ticket| self.adopted(ticket)));
    }

    /// Makes the sockets of [`Plan::listeners`]. Returns the daemon's duplicates.
    fn listen(&mut self, init: i32) -> Result<Vec<OwnedFd>, Error> {
        self.own_listeners = listen::on_loopback(init, &self.plan.listeners)
            .map_err(|e| system(format!("cannot listen on the fence's loopback: {e}")))?;
        duplicates(&self.own_listeners)
    }

    fn fail_opening(&mut self, error: Error) {
        if matches!(self.phase, Phase::Opening { .. }) {
            self.begin_closing(None, error);
        }
    }

    /// The init is gone, and with it every process of the fence.
    fn end(&mut self, how: &str, out: &mut Vec<Output>) {
        let (running, starting) = self.steps.unfinished();
        for (step, _) in starting {
            out.extend(self.steps.failed(step, format!("the fence ended ({how})")));
        }
        for step in running {
            self.note_exit(step, ExitStatus::Signal(Signal::KILL.as_raw()), out);
        }
        self.own_listeners.clear();
        let cause = format!("its init ended ({how})");
        self.phase = Phase::Ended { cause: cause.clone() };
        let fence = self.plan.fence.clone();
        out.push(Output::Event(Event::FenceEnded { fence, cause, at: Moment::now() }));
    }

    /// `why` is for those who wait for the fence or for a step of it.
    fn begin_closing(&mut self, closer: Option<Ticket>, why: Error) {
        let (_, starting) = std::mem::take(&mut self.steps).unfinished();
        let mut disappointed: Vec<_> = starting.into_iter().map(|(_, ticket)| ticket).collect();
        if let Phase::Opening { ticket, adopters, .. } = &self.phase {
            disappointed.push(*ticket);
            disappointed.extend(adopters);
        }
        self.phase = Phase::Closing {
            closers: closer.into_iter().collect(),
            disappointed: disappointed.into_iter().map(|t| (t, why.clone())).collect(),
        };
        self.listener = None;
        self.own_listeners.clear();
        if self.frozen {
            // In v1 what is frozen does not even die.
            let _ = self.cgroup.freeze(false);
        }
        // Killing process 1 of a pid namespace ends every other process in it, before it is reaped itself.
        let relay = self.bus.as_ref().and_then(Bus::process);
        for pid in [self.builder, self.init, relay].into_iter().flatten().filter_map(Pid::from_raw)
        {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
    }
}
