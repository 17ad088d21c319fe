//! A client of ours on a Unix socket, through the room to a warm function in Rust and back, beside a bare echo.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use clap::Args;
use hedgerow_harness::{PATIENCE, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

use super::EVENT;
use super::bare::{Function, Language};
use super::room::{Room, block_on};
use crate::figure::{Figure, Target};
use crate::process;
use crate::sample::{Spread, percentile};

/// At most so many times the echo's round trip.
const RATIO: f64 = 6.0;

const WARM_UP: usize = 1000;
const ROUND_TRIPS: usize = 5000;

/// Serves the echo function in Rust: an event in, its answer out.
#[derive(Args)]
pub struct InvokeServer {
    socket: PathBuf,
    #[arg(long)]
    cpu: usize,
    #[command(flatten)]
    function: Function,
}

pub fn measure(rounds: usize) -> Result<Vec<Figure>> {
    let [first, second] = process::cpus()?;
    let mut figures = Vec::new();
    for (name, client, server) in [("one-cpu", first, first), ("two-cpus", first, second)] {
        let directory = tempfile::tempdir()?;
        let sockets = ["room", "echo"].map(|name| directory.path().join(name));
        let [room, echo] = &sockets;
        let cpu = server.to_string();
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("invoke-server").arg(room).args(["--cpu", &cpu, "--function-cpu", &cpu]);
        let _room = Server::start(command.args(["--language", Language::Rust.name()]), room)?;
        let mut command = Command::new(std::env::current_exe()?);
        let echo_server = Server::start(command.arg("echo-server").arg(echo), echo)?;
        process::pin(echo_server.pid(), server)?;

        process::pin(0, client)?;
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            ours.push(round(room)?);
            bare.push(round(echo)?);
        }
        process::unpin(&[first, second])?;
        let ratio = ours.iter().zip(&bare).map(|(ours, bare)| ours / bare);
        let ratio = Figure::of(format!("invoke.warm.{name}.ratio"), Spread::of(ratio), "x echo");
        figures.extend([
            Figure::of(format!("invoke.warm.{name}.p50"), Spread::of(ours), "us"),
            Figure::of(format!("invoke.warm.{name}.echo.p50"), Spread::of(bare), "us"),
            ratio.held_to(Target::AtMost(RATIO)),
        ]);
    }
    Ok(figures)
}

/// Median of a round trip, in microseconds.
fn round(socket: &Path) -> Result<f64> {
    let mut socket = UnixStream::connect(socket)?;
    let mut answer = [0; EVENT.len()];
    let mut times = Vec::with_capacity(ROUND_TRIPS);
    for number in 0..WARM_UP + ROUND_TRIPS {
        let start = Instant::now();
        socket.write_all(EVENT.as_bytes())?;
        socket.read_exact(&mut answer).context("no answer")?;
        if number >= WARM_UP {
            times.push(start.elapsed().as_secs_f64() * 1e6);
        }
    }
    ensure!(answer == EVENT.as_bytes(), "the answer is another one");
    Ok(percentile(&mut times, 50.0))
}

impl InvokeServer {
    pub fn run(self) -> Result<()> {
        process::pin(0, self.cpu)?;
        block_on(async {
            let room = Room::open(self.function).await;
            let listener = UnixListener::bind(&self.socket)?;
            loop {
                let (mut peer, _) = listener.accept().await?;
                let mut event = [0; EVENT.len()];
                // One that hangs up ends its connection only.
                while peer.read_exact(&mut event).await.is_ok() {
                    peer.write_all(&room.invoke(Bytes::copy_from_slice(&event)).await?).await?;
                }
            }
        })
    }
}

/// A process that serves; dropping it ends it.
struct Server(Child);

impl Server {
    fn start(command: &mut Command, socket: &Path) -> Result<Server> {
        let server = Server(command.stdin(Stdio::null()).spawn()?);
        eventually("it listens", PATIENCE.min(Duration::from_secs(10)), || {
            Ok(socket.exists().then_some(()))
        })?;
        Ok(server)
    }

    fn pid(&self) -> i32 {
        self.0.id().cast_signed()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Ended already is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
