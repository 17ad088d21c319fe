//! The resident launcher: one thread, one loop.

mod describe;
mod open;

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hedgerow_isolation::plan::FenceId;
use hedgerow_isolation::protocol::{Error, ErrorKind, Event, Message, Request, Response, VERSION};
use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::SocketFlags;
use rustix::process::{WaitOptions, WaitStatus};

use crate::cgroup::Cgroups;
use crate::check;
use crate::daemon::{Daemon, Incoming, Output, Ticket};
use crate::descriptors;
use crate::discard::Discards;
use crate::fence::{self, Fence};
use crate::grants::Grants;
use crate::measure::Measuring;
use crate::network::{self, Network as Net};
use crate::notify;
use crate::options::Options;
use crate::root::Root;
use crate::setup::{self, Compilation, Failure, Files, Filter};
use crate::source::Bases;

/// How long it takes at most until it is tried again to let somebody in when there were no descriptors left.
const CROWDED: Duration = Duration::from_secs(1);

pub struct Server {
    linger: Option<Duration>,
    daemon_uid: u32,
    bases: Bases,
    grants: Grants,
    cgroups: Cgroups,
    network: Net,
    root: Root,
    filter: OwnedFd,
    builder: OwnedFd,
    init: PathBuf,
    files: Files,
    signals: SignalFd,
    daemon: Option<Daemon>,
    connections: u64,
    /// Nobody more could be let in: they wait for something to happen, or for [`CROWDED`].
    is_crowded: bool,
    alone_since: Instant,
    fences: BTreeMap<FenceId, Fence>,
    discards: Discards,
    measuring: Measuring,
    stopping: bool,
}

enum Source {
    Signals,
    Listener,
    Daemon,
    Network(network::Source),
    Fence(FenceId, fence::Source),
}

impl Server {
    /// Prepares everything and tells the service manager. `home` is the directory of this program's file.
    pub fn prepare(options: Options, home: &Path) -> Result<Self, Failure> {
        let signals = setup::watch_signals()?;
        descriptors::raise_limit()?;
        setup::become_supervisor()?;
        let files = Files::make(&options)?;
        // Before any child is made: the launcher moves into a leaf only from a cgroup that it is alone in.
        let cgroups = Cgroups::take(files.hash())?;
        let builder = setup::open_program(&home.join("hedgerow-builder"))?;
        let filter = Compilation::begin(&builder, Filter::Ordinary)?;
        let grants = Grants::new(setup::open_directory(&options.config)?, options.config);
        let network =
            Net::prepare(files.hash(), grants.network().as_ref().map_err(|e| e.to_string()));
        let root = files.make_root()?;
        let init = options.init.clone().unwrap_or_else(|| home.join("hedgerow-init"));
        setup::open_program(&init)?;
        let server = Self {
            linger: options.linger,
            daemon_uid: options.daemon_uid,
            bases: Bases {
                state: setup::open_directory(&options.state)?,
                runtime: setup::open_directory(&options.runtime)?,
                image: options.image,
                daemon_uid: options.daemon_uid,
            },
            grants,
            cgroups,
            network,
            root,
            filter: filter.finish()?,
            builder,
            init,
            files,
            signals,
            daemon: None,
            connections: 0,
            is_crowded: false,
            alone_since: Instant::now(),
            fences: BTreeMap::new(),
            discards: Discards::default(),
            measuring: Measuring::default(),
            stopping: false,
        };
        notify::ready().map_err(|e| Failure::System("cannot notify the service manager", e))?;
        Ok(server)
    }

    /// Serves until a signal, or until it has been alone for too long; then every fence has ended.
    pub fn run(mut self) -> Result<(), Failure> {
        while !(self.stopping && self.fences.is_empty()) {
            let ready = self.wait()?;
            self.is_crowded = false;
            for source in ready {
                match source {
                    Source::Signals => self.handle_signals(),
                    Source::Listener => self.accept(),
                    Source::Daemon => self.hear_daemon(),
                    Source::Network(source) => self.hear_network(&source),
                    Source::Fence(id, source) => self.hear_fence(&id, source),
                }
            }
            self.tick();
        }
        self.leave();
        Ok(())
    }

    fn wait(&self) -> Result<Vec<Source>, Failure> {
        let mut names = vec![Source::Signals];
        let mut sources = vec![PollFd::from_borrowed_fd(self.signals.as_fd(), PollFlags::IN)];
        if !self.is_crowded {
            names.push(Source::Listener);
            sources.push(PollFd::from_borrowed_fd(self.files.listener.as_fd(), PollFlags::IN));
        }
        if let Some(daemon) = &self.daemon {
            let out = if daemon.has_waiting() { PollFlags::OUT } else { PollFlags::empty() };
            names.push(Source::Daemon);
            sources.push(PollFd::from_borrowed_fd(daemon.as_fd(), PollFlags::IN | out));
        }
        for (source, descriptor) in self.network.sources() {
            names.push(Source::Network(source));
            sources.push(PollFd::from_borrowed_fd(descriptor, PollFlags::IN));
        }
        for (id, fence) in &self.fences {
            for (source, descriptor) in fence.sources() {
                names.push(Source::Fence(id.clone(), source));
                sources.push(PollFd::from_borrowed_fd(descriptor, PollFlags::IN));
            }
        }
        let timeout = self.timeout();
        match poll(&mut sources, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(Failure::System("cannot wait", errno.into())),
        }
        let ready = names.into_iter().zip(&sources);
        Ok(ready.filter(|(_, s)| !s.revents().is_empty()).map(|(name, _)| name).collect())
    }

    fn timeout(&self) -> Option<Timespec> {
        let lonely = self.linger.filter(|_| self.daemon.is_none()).map(|l| self.alone_since + l);
        let crowded = self.is_crowded.then(|| Instant::now() + CROWDED);
        let next = self.fences.values().filter_map(Fence::deadline);
        let next = next.chain(lonely).chain(crowded).min()?;
        let left = next.saturating_duration_since(Instant::now());
        // Rounded up, so that the deadline has passed when this returns.
        Timespec::try_from(left + Duration::from_millis(1)).ok()
    }

    fn tick(&mut self) {
        let lonely =
            self.daemon.is_none() && self.linger.is_some_and(|l| self.alone_since.elapsed() >= l);
        if lonely && !self.stopping {
            self.stop();
        }
        let mut out = Vec::new();
        let network = &mut self.network;
        self.fences.retain(|id, fence| {
            let gone = fence.tick(&mut out);
            if gone {
                network.release(id);
            }
            !gone
        });
        self.deliver(out);
    }

    fn stop(&mut self) {
        self.stopping = true;
        self.fences.values_mut().for_each(|fence| fence.close(None));
    }

    fn handle_signals(&mut self) {
        while let Ok(Some(signal)) = self.signals.read_signal() {
            if signal.ssi_signo != Signal::SIGCHLD as u32 {
                self.stop();
            }
        }
        let mut out = Vec::new();
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            let (pid, how) = (pid.as_raw_nonzero().get(), describe(status));
            // Others are processes that a builder left half-way: reaped, and nothing more to do.
            let _ = self.discards.reaped(pid, &how, &mut out)
                || self.measuring.reaped(pid, &how, &mut out)
                || self.fences.values_mut().any(|fence| fence.reaped(pid, &how, &mut out));
        }
        self.deliver(out);
    }

    fn accept(&mut self) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = match rustix::net::accept_with(&self.files.listener, flags) {
            Ok(socket) => socket,
            Err(errno) => {
                // Whoever is refused for want of descriptors or memory is still there to be waited for.
                self.is_crowded = errno != Errno::AGAIN;
                return;
            }
        };
        let uid = rustix::net::sockopt::socket_peercred(&socket).map(|peer| peer.uid.as_raw());
        if !uid.is_ok_and(|uid| uid == 0 || uid == self.daemon_uid) {
            return;
        }
        self.connections += 1;
        self.daemon = Some(Daemon::new(socket.into(), self.connections));
    }

    fn disconnect(&mut self) {
        self.daemon = None;
        self.alone_since = Instant::now();
    }

    fn hear_daemon(&mut self) {
        let Some(daemon) = &mut self.daemon else { return };
        if !daemon.flush() {
            return self.disconnect();
        }
        let connection = daemon.number;
        let (serial, result) = match daemon.receive() {
            Incoming::Nothing => return,
            Incoming::Gone => return self.disconnect(),
            Incoming::Unknown(serial, error) => (serial, Err(error)),
            Incoming::Request(serial, request, descriptors) => {
                (serial, self.handle(request, descriptors, Ticket { connection, serial }))
            }
        };
        let ticket = Ticket { connection, serial };
        let output = match result {
            Ok(Some((response, descriptors))) => Output::Reply(ticket, Ok(response), descriptors),
            Ok(None) => return,
            Err(error) => Output::Reply(ticket, Err(error), Vec::new()),
        };
        self.deliver(vec![output]);
    }

    fn hear_fence(&mut self, id: &FenceId, source: fence::Source) {
        let mut out = Vec::new();
        if let Some(fence) = self.fences.get_mut(id) {
            fence.ready(source, &mut out);
        }
        self.deliver(out);
    }

    fn hear_network(&mut self, source: &network::Source) {
        let told = self.network.ready(source).into_iter();
        let notices = told.map(|(fence, text)| Output::Event(Event::Notice { fence, text }));
        self.deliver(notices.collect());
    }

    fn deliver(&mut self, out: Vec<Output>) {
        for output in out {
            let Some(daemon) = &mut self.daemon else { return };
            let sent = match output {
                Output::Reply(ticket, result, descriptors)
                    if ticket.connection == daemon.number =>
                {
                    daemon.send(&Message::Reply { serial: ticket.serial, result }, descriptors)
                }
                Output::Event(event) if daemon.greeted => {
                    daemon.send(&Message::Event(event), Vec::new())
                }
                Output::Reply(..) | Output::Event(_) => true,
            };
            if !sent {
                self.disconnect();
            }
        }
    }

    /// The answer, or `None` where it comes later.
    fn handle(
        &mut self,
        request: Request,
        descriptors: Vec<OwnedFd>,
        ticket: Ticket,
    ) -> Result<Option<(Response, Vec<OwnedFd>)>, Error> {
        let done = |response| Ok(Some((response, Vec::new())));
        let greeted = self.daemon.as_ref().is_some_and(|daemon| daemon.greeted);
        if !greeted && !matches!(request, Request::Hello { .. }) {
            return Err(Error::new(ErrorKind::Version, "the first message must be \"hello\""));
        }
        match request {
            Request::Hello { version } => done(self.greet(version)?),
            Request::Open { plan, note } => {
                self.open(*plan, note, descriptors, None, ticket)?;
                Ok(None)
            }
            Request::OpenObserved { plan, note } => {
                let mut descriptors = descriptors;
                let told = descriptors.pop().ok_or_else(|| {
                    Error::new(ErrorKind::Invalid, "no socket to tell what is observed")
                })?;
                self.open(*plan, note, descriptors, Some(told), ticket)?;
                Ok(None)
            }
            Request::Start { fence, step } => {
                check::step(&step)?;
                if let Some(init) = self.fence(&fence)?.init() {
                    self.network.attend(&fence, init);
                }
                self.fence(&fence)?.start(step, ticket)?;
                Ok(None)
            }
            Request::Signal { fence, step, signal } => {
                check::signal(signal)?;
                done(self.fence(&fence)?.signal(step, signal)?)
            }
            Request::Close { fence } => match self.fences.get_mut(&fence) {
                None => done(Response::Done),
                Some(fence) => {
                    fence.close(Some(ticket));
                    Ok(None)
                }
            },
            Request::Note { fence, note } => {
                check::note(&note)?;
                self.fence(&fence)?.note = note;
                done(Response::Done)
            }
            Request::Adopt { fence } => {
                let mut out = Vec::new();
                self.fence(&fence)?.adopt(ticket, &mut out);
                self.deliver(out);
                Ok(None)
            }
            Request::Acknowledge { fence, step } => done(self.fence(&fence)?.acknowledge(step)?),
            Request::Usage { fence } => done(Response::Usage(self.fence(&fence)?.usage()?)),
            Request::Loads => {
                let load = |(id, fence): (&FenceId, &Fence)| Some((id.clone(), fence.load()?));
                done(Response::Loads(self.fences.iter().filter_map(load).collect()))
            }
            Request::Describe { fence } => done(self.describe(fence)?),
            Request::Freeze { fence } => done(self.fence(&fence)?.freeze(true)?),
            Request::Thaw { fence } => done(self.fence(&fence)?.freeze(false)?),
            Request::Limit { fence, limits } => {
                check::limits(limits)?;
                done(self.fence(&fence)?.limit(limits)?)
            }
            Request::Discard { sources } => {
                self.discard(sources, ticket)?;
                Ok(None)
            }
            Request::Measure { sources } => {
                check::directories("measure", &sources)?;
                let found = sources.iter().map(|source| self.bases.locate(source));
                self.measuring.begin(found.collect::<Result<_, _>>()?, ticket)?;
                Ok(None)
            }
            Request::OpenInFence { fence, path, user } => {
                check::opened(&path, user)?;
                let file = self.fence(&fence)?.open_file(&path, user)?;
                Ok(Some((Response::Opened, vec![file])))
            }
            Request::Farewell if self.linger.is_some() => {
                self.stop();
                Ok(None)
            }
            Request::Farewell => done(Response::Done),
        }
    }

    fn greet(&mut self, version: u32) -> Result<Response, Error> {
        if version != VERSION {
            let message = format!("this launcher speaks version {VERSION}, not {version}");
            return Err(Error::new(ErrorKind::Version, message));
        }
        if let Some(daemon) = &mut self.daemon {
            daemon.greeted = true;
        }
        Ok(Response::Welcome { fences: self.fences.keys().cloned().collect() })
    }

    fn fence(&mut self, id: &FenceId) -> Result<&mut Fence, Error> {
        let missing = || Error::new(ErrorKind::NoSuchFence, format!("there is no fence {id}"));
        self.fences.get_mut(id).ok_or_else(missing)
    }

    fn discard(&mut self, sources: Vec<PathBuf>, ticket: Ticket) -> Result<(), Error> {
        check::directories("discard", &sources)?;
        for source in &sources {
            if let Some(fence) = self.fences.values().find(|fence| fence.plan().uses(source)) {
                let fence = &fence.plan().fence;
                let message = format!("{source:?} is used by fence {fence}: close it first");
                return Err(Error::new(ErrorKind::Invalid, message));
            }
        }
        let found = sources.iter().filter_map(|source| self.bases.locate(source).transpose());
        let found = found.collect::<Result<_, _>>()?;
        self.discards.begin(sources, found, ticket)
    }

    /// Removes what lies in the file system.
    fn leave(self) {
        self.cgroups.release();
        self.network.leave();
        drop(self.root);
        self.files.remove();
    }
}

fn describe(status: WaitStatus) -> String {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "unknown status".to_owned(),
    }
}
