//! The shipped launcher, asked as the daemon asks it.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hedgerow_harness::{PATIENCE, eventually};
use hedgerow_isolation::connection::Connection;
use hedgerow_isolation::plan::{
    Access, Base, IdRange, Layer, Limits, Mount, Needs, Network, Plan, Step, StepId, User,
};
use hedgerow_isolation::protocol::{Call, Event, ExitStatus, Message, Request, Response, VERSION};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// Far from the ranges that a Hedgerow on this machine allocates.
const IDS: IdRange = IdRange { first: 0x7000_0000 };

/// The default of the daemon's settings.
const PIDS: u32 = 512;

/// Times since the fence was asked for.
pub struct Cold {
    pub started: Duration,
    pub whole: Duration,
}

pub struct Launcher {
    directory: TempDir,
    child: Child,
    connection: Connection,
    serial: u64,
}

impl Launcher {
    pub fn start() -> Result<Launcher> {
        ensure!(nix::unistd::geteuid().is_root(), "fences need root: run `cargo xtask bench`");
        let directory = tempfile::Builder::new().prefix("hedgerow-").tempdir()?;
        fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755))?;
        let program = hedgerow_harness::binaries().join("hedgerow-launch");
        let mut command = Command::new(&program);
        for (option, name) in [("--state", "state"), ("--runtime", "run"), ("--config", "etc")] {
            let path = directory.path().join(name);
            fs::create_dir(&path)?;
            command.arg(option).arg(path);
        }
        let child = command.args(["--daemon-uid", "0"]).stdin(Stdio::null()).spawn();
        let child = child.with_context(|| program.display().to_string())?;
        let socket = directory.path().join("run/launch/launch.sock");
        let connection =
            eventually("the launcher listens", PATIENCE, || Ok(Connection::connect(&socket).ok()))?;
        let mut launcher = Launcher { directory, child, connection, serial: 0 };
        launcher.call(Request::Hello { version: VERSION })?;
        Ok(launcher)
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// The root tree of every fence, in the launcher's mount namespace.
    pub fn root(&self) -> PathBuf {
        self.directory().join("run/launch/root")
    }

    /// What the daemon asks for where nothing is configured: a work directory, a layer, a limit of processes.
    pub fn plan(&self) -> Result<Plan> {
        let work = Mount {
            base: Base::State,
            source: "work".into(),
            target: "/greengrass/v2/work/bench.start".into(),
            access: Access::ReadWrite,
            owner: Some(User::GGC),
        };
        Ok(Plan {
            fence: String::from("bench").try_into()?,
            name: "bench.start".to_owned(),
            ids: IDS,
            network: Network::None,
            limits: Limits { pids: Some(PIDS), ..Limits::default() },
            mounts: vec![work],
            layer: Some(Layer { source: "layer".into(), quota: None }),
            dependencies: Vec::new(),
            tmp: None,
            listeners: Vec::new(),
            needs: Needs::default(),
        })
    }

    /// Opens a fence, runs `/bin/true` in it, and closes it.
    pub fn cold(&mut self, plan: &Plan) -> Result<Cold> {
        let start = Instant::now();
        let fence = plan.fence.clone();
        self.call(Request::Open { plan: Box::new(plan.clone()), note: String::new() })?;
        let step = Step {
            id: StepId(1),
            argv: vec!["/bin/true".to_owned()],
            env: Default::default(),
            cwd: "/".into(),
            user: User::GGC,
            account: None,
            privileged: false,
        };
        let serial = self.send(Request::Start { fence: fence.clone(), step })?;
        let (mut started, mut exited) = (None, None);
        while started.is_none() || exited.is_none() {
            match self.receive()? {
                Message::Reply { serial: answered, result } if answered == serial => {
                    result?;
                    started = Some(start.elapsed());
                }
                Message::Event(Event::StepExited { exit, .. }) => exited = Some(exit.status),
                Message::Event(Event::FenceEnded { cause, .. }) => {
                    bail!("the fence ended: {cause}")
                }
                Message::Reply { .. } | Message::Event(_) => {}
            }
        }
        ensure!(exited == Some(ExitStatus::Code(0)), "/bin/true ended with {exited:?}");
        self.call(Request::Close { fence })?;
        Ok(Cold { started: started.unwrap_or_default(), whole: start.elapsed() })
    }

    pub fn stop(mut self) -> Result<()> {
        kill(Pid::from_raw(self.pid()), Signal::SIGTERM)?;
        let status = eventually("the launcher ends", PATIENCE, || Ok(self.child.try_wait()?))?;
        ensure!(status.success(), "the launcher ended with {status}");
        Ok(())
    }

    fn send(&mut self, request: Request) -> Result<u64> {
        self.serial += 1;
        self.connection.send(&Call { serial: self.serial, request }, &[])?;
        Ok(self.serial)
    }

    fn call(&mut self, request: Request) -> Result<Response> {
        let wanted = self.send(request)?;
        loop {
            if let Message::Reply { serial, result } = self.receive()?
                && serial == wanted
            {
                return Ok(result?);
            }
        }
    }

    /// The next message; descriptors beside it are closed at once.
    fn receive(&self) -> Result<Message> {
        let mut source = [PollFd::new(self.connection.as_fd(), PollFlags::POLLIN)];
        let limit = PollTimeout::try_from(PATIENCE)?;
        ensure!(poll(&mut source, limit)? == 1, "the launcher says nothing");
        let (message, _) = self.connection.recv()?.context("the launcher hung up")?;
        Ok(message)
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        // After a failed measurement: its end is the end of its fences. Ended already is as good.
        let _ = kill(Pid::from_raw(self.pid()), Signal::SIGTERM);
        let _ = self.child.wait();
    }
}
