//! One running Hedgerow.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;
use tempfile::TempDir;

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

/// What a command said and how it ended.
#[derive(Debug, Clone)]
pub struct Said {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
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
        let address = self.root().join("notify.sock");
        let _ = fs::remove_file(&address);
        let ready = UnixDatagram::bind(&address)?;
        fs::set_permissions(&address, Permissions::from_mode(0o666))?;
        ready.set_read_timeout(Some(PATIENCE))?;
        let log = File::options().create(true).append(true).open(self.daemon_log())?;
        let start = Instant::now();
        let program = self.binaries.join("hedgerowd");
        let daemon = Command::new(&program)
            .arg("--root")
            .arg(self.root())
            .env("NOTIFY_SOCKET", &address)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("{}: run `cargo xtask build`", program.display()))?;
        self.daemon = Some(daemon);
        let mut message = [0; 1024];
        loop {
            let length = match ready.recv(&mut message) {
                Ok(length) => length,
                Err(error) => bail!("the daemon is not ready: {error}; {}", self.complaints()),
            };
            let text = String::from_utf8_lossy(&message[..length]);
            if text.lines().any(|line| line == "READY=1") {
                return Ok(start.elapsed());
            }
        }
    }

    /// Where the daemon's own log goes.
    pub fn daemon_log(&self) -> PathBuf {
        self.root().join("daemon.log")
    }

    /// SIGKILL, as a crash would be.
    pub fn kill_daemon(&mut self) -> Result<()> {
        self.look();
        let mut daemon = self.daemon.take().context("no daemon runs")?;
        daemon.kill()?;
        daemon.wait()?;
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
        // It would wait a minute for another daemon.
        self.traces().end_launcher()?;
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
        wanted: impl Fn(&Component) -> bool,
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

    /// Remembers cgroups while they have processes.
    fn look(&mut self) {
        self.seen = self.traces();
    }

    /// The end of the daemon's and the launcher's logs, for an error message.
    fn complaints(&self) -> String {
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
        if self.daemon.is_some() && self.stop_daemon().is_err() {
            eprintln!("the daemon did not stop; {}", self.complaints());
        }
        // A test that failed may leave more; killing the launcher makes it end its fences.
        let gone = eventually("the end of all processes", Duration::from_secs(20), || {
            let left = self.traces();
            left.kill();
            io::Result::Ok(left.processes.is_empty().then_some(())).map_err(Into::into)
        });
        if gone.is_err() {
            eprintln!("left: {:#?}", self.traces());
        }
    }
}
