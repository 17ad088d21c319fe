//! `bench ipc`: publish to subscriber through the shipped daemon, beside a bare echo over a Unix socket.
//!
//! Each round is a process of its own that first runs on the CPU it is told, then becomes the component's user
//! where it measures the daemon, so that nothing carries over. The two sides take turns.

pub mod echo;
pub mod round;

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use hedgerow_harness::{Hedgerow, eventually};

use crate::components::{CHANNEL, Components, addition};
use crate::figure::{Figure, Target};
use crate::process;
use crate::sample::Spread;
use round::Measured;

/// At most so many times the echo's round trip.
const RATIO: f64 = 4.0;

/// Messages per second with several in flight, as a part of what a bare echo passes one by one.
const THROUGHPUT: f64 = 0.5;

/// A server to be measured, and what a round needs to reach it.
struct Side {
    server: i32,
    socket: PathBuf,
    /// User, group and token of the component; `None` for the echo.
    identity: Option<(u32, u32, String)>,
}

pub fn measure(rounds: usize) -> Result<Vec<Figure>> {
    let cpus = process::cpus()?;
    let components = Components::write()?;
    let hedgerow = Hedgerow::start("")?;
    hedgerow.deploy(&components.source(), &[&addition(CHANNEL)])?;
    let component =
        hedgerow.wait_for(CHANNEL, "runs", |one| one.state == "RUNNING" && one.pid > 0)?;
    let (user, group) = process::user(component.pid)?;
    let daemon = Side {
        server: hedgerow.daemon_pid().context("no daemon runs")?,
        socket: only_socket(&hedgerow)?,
        identity: Some((user, group, process::variable(component.pid, "SVCUID")?)),
    };
    let echo = Echo::start()?;

    let mut figures = Vec::new();
    let [first, second] = cpus;
    for (name, client, server) in [("one-cpu", first, first), ("two-cpus", first, second)] {
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            ours.push(daemon.round(client, server)?);
            bare.push(echo.side.round(client, server)?);
        }
        figures.extend(compare(name, &ours, &bare));
    }
    hedgerow.finish()?;
    Ok(figures)
}

fn compare(placement: &str, ours: &[Measured], bare: &[Measured]) -> Vec<Figure> {
    let spread = |of: &[Measured], value: fn(&Measured) -> f64| Spread::of(of.iter().map(value));
    let name = |what: &str| format!("ipc.{placement}.{what}");
    let echo = spread(bare, |round| round.median);
    let publish = spread(ours, |round| round.median);
    let ratio = Spread::of(ours.iter().zip(bare).map(|(ours, bare)| ours.median / bare.median));
    let bound = THROUGHPUT / (echo.median / 1e6);
    vec![
        Figure::of(name("echo.p50"), echo, "us"),
        Figure::of(name("echo.p95"), spread(bare, |round| round.p95), "us"),
        Figure::of(name("publish.p50"), publish, "us"),
        Figure::of(name("publish.p95"), spread(ours, |round| round.p95), "us"),
        Figure::of(name("ratio"), ratio, "x echo").held_to(Target::AtMost(RATIO)),
        Figure::of(name("in-flight-16"), spread(ours, |round| round.rate), "messages/s")
            .held_to(Target::AtLeast(bound)),
        Figure::of(name("echo.in-flight-16"), spread(bare, |round| round.rate), "messages/s"),
    ]
}

impl Side {
    fn round(&self, client: usize, server: usize) -> Result<Measured> {
        process::pin(self.server, server)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("round").arg(&self.socket).args(["--cpu", &client.to_string()]);
        if let Some((user, group, token)) = &self.identity {
            command.args(["--user", &user.to_string(), "--group", &group.to_string()]);
            command.env(round::TOKEN, token);
        }
        let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
        ensure!(output.status.success(), "a round failed: {}", output.status);
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

/// The echo's process; dropping it ends it.
struct Echo {
    side: Side,
    child: Child,
    _directory: tempfile::TempDir,
}

impl Echo {
    fn start() -> Result<Echo> {
        let directory = tempfile::tempdir()?;
        let socket = directory.path().join("echo.socket");
        let mut command = Command::new(std::env::current_exe()?);
        let child = command.arg("echo-server").arg(&socket).stdin(Stdio::null()).spawn()?;
        let side = Side { server: child.id().cast_signed(), socket, identity: None };
        let echo = Echo { side, child, _directory: directory };
        eventually("the echo listens", Duration::from_secs(10), || {
            Ok(echo.side.socket.exists().then_some(()))
        })?;
        Ok(echo)
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        // It has nothing to tidy up; one that ended already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The socket of the only component.
fn only_socket(hedgerow: &Hedgerow) -> Result<PathBuf> {
    let directory = hedgerow.root().join("run/ipc");
    let mut sockets = Vec::new();
    for entry in fs::read_dir(&directory)? {
        sockets.push(entry?.path().join("ipc.socket"));
    }
    match sockets.as_slice() {
        [socket] => Ok(socket.clone()),
        _ => bail!("{} sockets in {}", sockets.len(), directory.display()),
    }
}
