//! One running Hedgerow.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hedgerow_api::JobProperties;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;
use tempfile::TempDir;

use crate::jobs::jobs;
use crate::patience::{PATIENCE, eventually};
use crate::traces::Traces;

/// Recipes and artifacts to deploy from.
#[derive(Debug, Clone)]
pub struct Source {
    pub recipes: PathBuf,
    /// `None`: none of the recipes has any.
    pub artifacts: Option<PathBuf>,
}

/// What `hedgerow status --json` says of a component.
#[derive(Debug, Clone, Deserialize)]
pub struct Component {
    pub name: String,
    pub version: String,
    pub state: String,
    /// 0 where none runs.
    pub pid: i32,
    pub restarts: u32,
    /// Empty where nothing went wrong.
    pub last_error: String,
    /// Bytes charged to its cgroup.
    pub memory: u64,
}

/// What `hedgerow deployment list --json` says of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Deployment {
    pub id: String,
    pub group: String,
    pub components: Vec<String>,
    pub stage: String,
    pub status: String,
    /// Empty until it has ended.
    pub detailed_status: String,
    pub error_stack: Vec<String>,
    pub error_types: Vec<String>,
    pub failure_cause: String,
}

/// What a command said and how it ended.
#[derive(Debug, Clone)]
pub struct Said {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// How a daemon is started, beside the usual way.
#[derive(Debug, Clone, Copy, Default)]
pub struct Start<'a> {
    /// The commit (`label:before` or `label:after`) at which it ends as by SIGKILL.
    pub crash_at: Option<&'a str>,
    /// It sees another boot id than the daemons before it.
    pub another_boot: bool,
}

/// A daemon with its launcher, its bus and its components below a temporary directory. Dropping it ends all of
/// them; [`Hedgerow::finish`] does that in order and checks that nothing is left.
#[derive(Debug)]
pub struct Hedgerow {
    directory: TempDir,
    binaries: PathBuf,
    daemon: Option<Child>,
    seen: Traces,
}

impl Hedgerow {
    /// Starts one with `settings` as its `hedgerow.toml`, and waits until it is ready.
    pub fn start(settings: &str) -> Result<Hedgerow> {
        let mut hedgerow = Hedgerow::prepare(settings)?;
        hedgerow.start_daemon()?;
        Ok(hedgerow)
    }

    /// Makes the directory and starts nothing yet.
    pub fn prepare(settings: &str) -> Result<Hedgerow> {
        ensure!(nix::unistd::geteuid().is_root(), "fences need root: run `cargo xtask test`");
        let directory = tempfile::Builder::new().prefix("hedgerow-").tempdir()?;
        // The daemon gives up root and still has to reach what is below.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755))?;
        fs::create_dir(directory.path().join("etc"))?;
        fs::create_dir(directory.path().join("no-artifacts"))?;
        fs::write(directory.path().join("etc/hedgerow.toml"), settings)?;
        let binaries = crate::binaries();
        Ok(Hedgerow { directory, binaries, daemon: None, seen: Traces::default() })
    }

    pub fn root(&self) -> &Path {
        self.directory.path()
    }

    /// The daemon's process id, while it runs.
    pub fn daemon_pid(&self) -> Option<i32> {
        self.daemon.as_ref().map(|daemon| daemon.id().cast_signed())
    }

    /// Starts the daemon and returns how long it took until it said that it is ready.
    pub fn start_daemon(&mut self) -> Result<Duration> {
        self.start_daemon_with(Start::default())
    }

    /// Fails as soon as the daemon ends before it is ready.
    pub fn start_daemon_with(&mut self, how: Start<'_>) -> Result<Duration> {
        let address = self.root().join("notify.sock");
        let _ = fs::remove_file(&address);
        let ready = UnixDatagram::bind(&address)?;
        fs::set_permissions(&address, Permissions::from_mode(0o666))?;
        ready.set_read_timeout(Some(Duration::from_millis(100)))?;
        let log = File::options().create(true).append(true).open(self.daemon_log())?;
        let start = Instant::now();
        let mut command = self.daemon_command();
        if how.another_boot {
            command = self.in_another_boot(&command)?;
        }
        if let Some(point) = how.crash_at {
            command.env("HEDGEROW_CRASH", point);
        }
        let daemon = command
            .env("NOTIFY_SOCKET", &address)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("{command:?}: run `cargo xtask build`"))?;
        let daemon = self.daemon.insert(daemon);
        let mut message = [0; 1024];
        while start.elapsed() < PATIENCE {
            if let Some(status) = daemon.try_wait()? {
                bail!("the daemon ended with {status}; {}", self.complaints());
            }
            let Ok(length) = ready.recv(&mut message) else { continue };
            let text = String::from_utf8_lossy(&message[..length]);
            if text.lines().any(|line| line == "READY=1") {
                return Ok(start.elapsed());
            }
        }
        bail!("the daemon is not ready; {}", self.complaints())
    }

    /// The daemon's program for this directory, to be completed and run.
    pub fn daemon_command(&self) -> Command {
        let mut command = Command::new(self.binaries.join("hedgerowd"));
        command.arg("--root").arg(self.root()).stdin(Stdio::null());
        command
    }

    /// The command in a mount namespace of its own, where the boot id is another.
    fn in_another_boot(&self, command: &Command) -> Result<Command> {
        let boot_id = self.root().join("boot-id");
        fs::write(&boot_id, "11111111-2222-4333-8444-555555555555\n")?;
        let mut outer = Command::new("unshare");
        outer
            .args(["--mount", "--propagation", "private", "sh", "-c"])
            .arg("mount --bind \"$0\" /proc/sys/kernel/random/boot_id && exec \"$@\"")
            .arg(boot_id)
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::null());
        Ok(outer)
    }

    /// Where the daemon's own log goes.
    pub fn daemon_log(&self) -> PathBuf {
        self.root().join("daemon.log")
    }

    /// SIGKILL, as a crash would be.
    pub fn kill_daemon(&mut self) -> Result<()> {
        let mut daemon = self.daemon.take().context("no daemon runs")?;
        // First of all: looking takes longer than a deployment.
        daemon.kill()?;
        daemon.wait()?;
        self.look();
        Ok(())
    }

    /// Waits until the daemon has ended at its crash point.
    pub fn await_crash(&mut self) -> Result<()> {
        let status = eventually("the daemon crashes", PATIENCE, || {
            self.look();
            let daemon = self.daemon.as_mut().context("no daemon runs")?;
            Ok(daemon.try_wait()?)
        })?;
        self.daemon = None;
        ensure!(status.signal() == Some(Signal::SIGKILL as i32), "it ended with {status}");
        Ok(())
    }

    /// SIGKILL to the launcher; what watches over it starts another.
    pub fn kill_launcher(&mut self) -> Result<()> {
        self.look();
        let (pid, _) = self.seen.launcher().context("no launcher runs")?;
        kill(Pid::from_raw(*pid), Signal::SIGKILL)?;
        Ok(())
    }

    /// SIGTERM, and the orderly end of everything.
    pub fn stop_daemon(&mut self) -> Result<ExitStatus> {
        self.look();
        let mut daemon = self.daemon.take().context("no daemon runs")?;
        kill(Pid::from_raw(daemon.id().cast_signed()), Signal::SIGTERM)?;
        let ended = eventually("the daemon stops", PATIENCE, || Ok(daemon.try_wait()?));
        if ended.is_err() {
            daemon.kill()?;
            daemon.wait()?;
        }
        ended
    }

    /// Stops everything in order and fails when a process, a mount or a cgroup is left.
    pub fn finish(mut self) -> Result<()> {
        let status = self.stop_daemon()?;
        ensure!(status.success(), "the daemon ended with {status}; {}", self.complaints());
        let look = || {
            let left = Traces::of(self.root(), &self.seen);
            Ok(left.is_empty().then_some(()))
        };
        eventually("nothing is left", Duration::from_secs(10), look).map_err(|error| {
            error.context(format!("left: {:#?}", Traces::of(self.root(), &self.seen)))
        })
    }

    /// What of this Hedgerow is on the machine now.
    pub fn traces(&self) -> Traces {
        Traces::of(self.root(), &self.seen)
    }

    /// The command line's program, to be completed and run.
    pub fn command(&self) -> Command {
        let mut command = Command::new(self.binaries.join("hedgerow"));
        command.arg("--root").arg(self.root()).stdin(Stdio::null());
        command
    }

    /// Runs the command line, whatever comes of it.
    pub fn say(&self, words: &[&str]) -> Result<Said> {
        let output = self.command().args(words).output().context("hedgerow")?;
        Ok(Said {
            code: output
                .status
                .code()
                .or_else(|| output.status.signal().map(|signal| 128 + signal)),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Runs the command line; its standard output, or its complaint as the error.
    pub fn run(&self, words: &[&str]) -> Result<String> {
        let said = self.say(words)?;
        ensure!(said.code == Some(0), "hedgerow {}: {}", words.join(" "), said.stderr.trim());
        Ok(said.stdout)
    }

    /// Deploys the components (`NAME=VERSION`) and waits until that is done.
    pub fn deploy(&self, source: &Source, add: &[&str]) -> Result<()> {
        let said = self.say_deploy(source, add)?;
        ensure!(said.code == Some(0), "deploy {}: {}", add.join(" "), said.stderr.trim());
        Ok(())
    }

    /// Deploys, whatever comes of it.
    pub fn say_deploy(&self, source: &Source, add: &[&str]) -> Result<Said> {
        let none = self.root().join("no-artifacts");
        let recipes = source.recipes.to_string_lossy();
        let artifacts = source.artifacts.as_ref().unwrap_or(&none).to_string_lossy();
        let mut words = vec!["deploy", "--recipe-dir", &recipes, "--artifact-dir", &artifacts];
        words.extend(add.iter().flat_map(|addition| ["--add", *addition]));
        self.say(&words)
    }

    /// Every job that the daemon knows of, by object path.
    pub fn jobs(&self) -> Result<BTreeMap<String, JobProperties>> {
        jobs(self.root())
    }

    /// The newest first.
    pub fn deployments(&self) -> Result<Vec<Deployment>> {
        Ok(serde_json::from_str(&self.run(&["--json", "deployment", "list"])?)?)
    }

    pub fn last_deployment(&self) -> Result<Deployment> {
        self.deployments()?.into_iter().next().context("no deployment is remembered")
    }

    pub fn components(&self) -> Result<Vec<Component>> {
        Ok(serde_json::from_str(&self.run(&["--json", "status"])?)?)
    }

    pub fn component(&self, name: &str) -> Result<Component> {
        Ok(serde_json::from_str(&self.run(&["--json", "status", name])?)?)
    }

    /// The component's whole log.
    pub fn log(&self, name: &str) -> Result<String> {
        self.run(&["logs", name])
    }

    /// Waits until the component is as `wanted`.
    pub fn wait_for(
        &self,
        name: &str,
        what: &str,
        mut wanted: impl FnMut(&Component) -> bool,
    ) -> Result<Component> {
        let mut last = None;
        eventually(&format!("{name}: {what}"), PATIENCE, || {
            let component = self.component(name)?;
            let found = wanted(&component).then(|| component.clone());
            last = Some(component);
            Ok(found)
        })
        .map_err(|error| error.context(format!("it is {last:?}; {}", self.complaints())))
    }

    /// Waits until there is a fence for each component that is RUNNING and nothing of any other: no process, no
    /// cgroup, no mount in the launcher's namespace.
    pub fn wait_for_no_orphans(&mut self) -> Result<()> {
        let mut last = String::new();
        eventually("no orphans", PATIENCE, || {
            self.look();
            let running = self.components()?.iter().filter(|c| c.state == "RUNNING").count();
            last = format!("{running} running, {:#?}", self.seen);
            Ok(self.seen.is_in_order(running).then_some(()))
        })
        .map_err(|error| error.context(last))
    }

    /// Remembers cgroups while they have processes.
    fn look(&mut self) {
        self.seen = self.traces();
    }

    /// The end of the daemon's and the launcher's logs, for an error message.
    pub fn complaints(&self) -> String {
        let mut text = String::new();
        for path in [self.daemon_log(), self.root().join("run/launch.log")] {
            let log = fs::read_to_string(&path).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(20)..].join("\n  ");
            text.push_str(&format!("\n{}:\n  {tail}", path.display()));
        }
        text
    }
}

impl Drop for Hedgerow {
    fn drop(&mut self) {
        let limit = Duration::from_secs(20);
        if self.daemon.is_some() {
            match self.stop_daemon() {
                // The launcher ends by itself then, and cleans up.
                Ok(_) => drop(eventually("an orderly end", limit, || {
                    Ok(self.traces().processes.is_empty().then_some(()))
                })),
                Err(_) => eprintln!("the daemon did not stop; {}", self.complaints()),
            }
        }
        // A test that failed may leave more; killing the launcher makes it end its fences.
        let gone = eventually("the end of all processes", limit, || {
            let left = self.traces();
            left.kill();
            Ok(left.processes.is_empty().then_some(()))
        });
        if gone.is_err() {
            eprintln!("left: {:#?}", self.traces());
        }
        self.seen.remove_cgroups();
    }
}
