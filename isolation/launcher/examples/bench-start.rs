//! How long a fence takes: open, start `/bin/true`, exit, close; beside `crun run` and `runc run` with the OCI
//! configuration that the builder generates. Interleaved, so that the machine's moods meet all alike.
//!
//! Prints one JSON object per line: `{"what":"ours","rounds":50,"median_us":…,"p10_us":…,"p90_us":…}`, and last
//! `{"what":"ratio","ours_to_crun":…,"ours_to_runc":…}`.
//!
//! The configuration has no seccomp filter (the init installs it for each step), so that the others install none:
//! the comparison is in their favour.
//!
//! `bench-start [--rounds N] [--launcher PATH]`: needs root, crun and runc, and the launcher with its init beside
//! it (default: the directory above this program's).

use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hedgerow_isolation::connection::Connection;
use hedgerow_isolation::plan::{IdRange, Limits, Network, Plan, Step, StepId, User};
use hedgerow_isolation::protocol::{Call, Event, Message, Request, Response, VERSION};
use hedgerow_launcher::root::Root;
use hedgerow_launcher::spec::{Sources, spec};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::mount::MountPropagationFlags;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let (rounds, launcher) = arguments()?;
    let directory = tempfile::Builder::new().prefix("bench-start-").tempdir()?;
    fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let mut ours = Ours::start(&launcher, directory.path())?;
    let bundle = Bundle::make(directory.path())?;

    let mut samples = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..=rounds {
        let measured = [ours.once()?, bundle.run("crun", round)?, bundle.run("runc", round)?];
        // The first round fills caches.
        if round > 0 {
            samples.iter_mut().zip(measured).for_each(|(all, one)| all.push(one));
        }
    }
    let medians: Vec<f64> = ["ours", "crun", "runc"]
        .into_iter()
        .zip(&mut samples)
        .map(|(what, samples)| print(what, samples))
        .collect();
    let [ours, crun, runc] = medians.as_slice() else { return Ok(()) };
    println!(
        "{}",
        serde_json::json!({"what": "ratio", "ours_to_crun": ours / crun, "ours_to_runc": ours / runc})
    );
    Ok(())
}

fn arguments() -> Outcome<(usize, PathBuf)> {
    let own = std::env::current_exe()?;
    let beside =
        own.parent().and_then(Path::parent).unwrap_or(Path::new("/")).join("hedgerow-launch");
    let (mut rounds, mut launcher) = (50, beside);
    let mut arguments = std::env::args().skip(1);
    while let (Some(name), value) = (arguments.next(), arguments.next()) {
        match (name.as_str(), value) {
            ("--rounds", Some(value)) => rounds = value.parse()?,
            ("--launcher", Some(value)) => launcher = value.into(),
            _ => return Err("usage: bench-start [--rounds N] [--launcher PATH]".into()),
        }
    }
    Ok((rounds, launcher))
}

fn print(what: &str, samples: &mut [Duration]) -> f64 {
    samples.sort();
    let at = |part: f64| {
        let index = ((samples.len() - 1) as f64 * part) as usize;
        samples.get(index).map_or(0, Duration::as_micros)
    };
    let median = at(0.5);
    println!(
        "{}",
        serde_json::json!({
            "what": what, "rounds": samples.len(), "median_us": median as u64,
            "p10_us": at(0.1) as u64, "p90_us": at(0.9) as u64,
        })
    );
    median as f64
}

fn plan() -> Outcome<Plan> {
    Ok(Plan {
        fence: "bench".to_owned().try_into()?,
        name: "bench".to_owned(),
        ids: IdRange { first: 1_879_048_192 },
        network: Network::None,
        limits: Limits::default(),
        mounts: Vec::new(),
    })
}

struct Ours {
    launcher: Child,
    connection: Connection,
    serial: u64,
}

impl Ours {
    fn start(launcher: &Path, directory: &Path) -> Outcome<Self> {
        for name in ["state", "run", "etc"] {
            fs::create_dir(directory.join(name))?;
        }
        let notify = directory.join("notify");
        let notified = std::os::unix::net::UnixDatagram::bind(&notify)?;
        let launcher = Command::new(launcher)
            .arg("--state")
            .arg(directory.join("state"))
            .arg("--runtime")
            .arg(directory.join("run"))
            .arg("--config")
            .arg(directory.join("etc"))
            .args(["--daemon-uid", "0"])
            .env("NOTIFY_SOCKET", notify)
            .spawn()?;
        notified.recv(&mut [0; 64])?;
        let connection = Connection::connect(&directory.join("run/launch/launch.sock"))?;
        let mut ours = Self { launcher, connection, serial: 0 };
        ours.call(Request::Hello { version: VERSION })?;
        Ok(ours)
    }

    fn once(&mut self) -> Outcome<Duration> {
        let plan = plan()?;
        let fence = plan.fence.clone();
        let step = Step {
            id: StepId(1),
            argv: vec!["/bin/true".to_owned()],
            env: Default::default(),
            cwd: "/".into(),
            user: User::GGC,
        };
        let begin = Instant::now();
        self.call(Request::Open { plan: Box::new(plan), note: String::new() })?;
        self.call(Request::Start { fence: fence.clone(), step })?;
        while !matches!(self.receive()?, Message::Event(Event::StepExited { .. })) {}
        self.call(Request::Close { fence })?;
        Ok(begin.elapsed())
    }

    fn call(&mut self, request: Request) -> Outcome<Response> {
        self.serial += 1;
        self.connection.send(&Call { serial: self.serial, request }, &[])?;
        loop {
            if let Message::Reply { serial, result } = self.receive()?
                && serial == self.serial
            {
                return Ok(result?);
            }
        }
    }

    fn receive(&self) -> Outcome<Message> {
        let mut source = [PollFd::from_borrowed_fd(self.connection.as_fd(), PollFlags::IN)];
        poll(&mut source, None)?;
        Ok(self.connection.recv()?.ok_or("the launcher is gone")?.0)
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.launcher);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.launcher.wait();
    }
}

/// What crun and runc run.
struct Bundle {
    directory: PathBuf,
    _root: Root,
}

impl Bundle {
    /// Made in a mount namespace of this process, as the launcher's is in its own.
    fn make(directory: &Path) -> Outcome<Self> {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS)?;
        rustix::mount::mount_change(
            "/",
            MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
        )?;
        let unified = c"/sys/fs/cgroup/unified";
        if Path::new("/sys/fs/cgroup/unified/cgroup.procs").exists() {
            // crun cannot work with a hybrid of cgroup v1 and v2.
            let flags = rustix::mount::MountFlags::empty();
            rustix::mount::mount(c"none", unified, c"tmpfs", flags, None)?;
        }
        let path = directory.join("bundle");
        let root_path = path.join("root");
        fs::create_dir_all(&root_path)?;
        let root = Root::make(&root_path)?;
        let sources = Sources {
            root: &root_path,
            mounts: &[],
            sys: None,
            unified: false,
            cgroups_path: "/hedgerow-bench",
        };
        fs::write(
            path.join("config.json"),
            serde_json::to_vec(&spec(&plan()?, sources, &["/bin/true"])?)?,
        )?;
        Ok(Self { directory: path, _root: root })
    }

    fn run(&self, runtime: &str, round: usize) -> Outcome<Duration> {
        let begin = Instant::now();
        let output = Command::new(runtime)
            .arg("run")
            .arg("--bundle")
            .arg(&self.directory)
            .arg(format!("hedgerow-bench-{runtime}-{}-{round}", std::process::id()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .output()?;
        let elapsed = begin.elapsed();
        if output.status.success() {
            Ok(elapsed)
        } else {
            Err(format!("{runtime}: {}", String::from_utf8_lossy(&output.stderr)).into())
        }
    }
}
