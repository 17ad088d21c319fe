//! A client of ours on a Unix socket, through the room to a warm function in Rust and back, beside a bare echo.
//!
//! The function waits for its event, as most do most of the time: between events the server tells the client when the
//! runtime polls again, and that is not timed. `back-to-back` is without: what the runtime does after an answer, and a
//! second round trip by TCP to the Runtime API, are then in the time of the next event. What that costs is what `cpu`
//! says: of client, server and function together, whatever else the machine does meanwhile.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use clap::Args;
use hedgerow_harness::{PATIENCE, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

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

/// Serves the echo function in Rust: an event in, its answer out, and [`WAITS`] when it waits for the next.
#[derive(Args)]
pub struct InvokeServer {
    socket: PathBuf,
    #[arg(long)]
    cpu: usize,
    #[command(flatten)]
    function: Function,
}

/// The byte that a client asks with, in the place of an event, to be told when the function waits.
const WAITS: u8 = b'.';

/// What the client does between events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Between {
    Nothing,
    /// The runtime polls.
    Settle,
}

/// Microseconds of a round trip.
struct Round {
    median: f64,
    cpu: f64,
}

pub fn measure(rounds: usize) -> Result<Vec<Figure>> {
    let [first, second] = process::cpus()?;
    let mut figures = Vec::new();
    for (placement, client, server) in [("one-cpu", first, first), ("two-cpus", first, second)] {
        let directory = tempfile::tempdir()?;
        let room = Server::room(directory.path().join("room"), server)?;
        let echo = Server::echo(directory.path().join("echo"), server)?;
        process::pin(0, client)?;
        let (mut waiting, mut busy, mut bare) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            waiting.push(room.round(Between::Settle)?);
            bare.push(echo.round(Between::Nothing)?);
            busy.push(room.round(Between::Nothing)?);
        }
        process::unpin(&[first, second])?;
        figures.extend(compare(placement, &waiting, &busy, &bare));
    }
    Ok(figures)
}

fn compare(placement: &str, waiting: &[Round], busy: &[Round], bare: &[Round]) -> Vec<Figure> {
    let figure = |what: &str, rounds: &[Round], value: fn(&Round) -> f64| {
        let spread = Spread::of(rounds.iter().map(value));
        Figure::of(format!("invoke.warm.{placement}.{what}"), spread, "us")
    };
    let ratio = waiting.iter().zip(bare).map(|(ours, bare)| ours.median / bare.median);
    let ratio = Figure::of(format!("invoke.warm.{placement}.ratio"), Spread::of(ratio), "x echo");
    vec![
        figure("p50", waiting, |round| round.median),
        figure("echo.p50", bare, |round| round.median),
        ratio.held_to(Target::AtMost(RATIO)),
        figure("back-to-back.p50", busy, |round| round.median),
        figure("back-to-back.cpu", busy, |round| round.cpu),
        figure("echo.cpu", bare, |round| round.cpu),
    ]
}

impl InvokeServer {
    pub fn run(self) -> Result<()> {
        process::pin(0, self.cpu)?;
        block_on(async {
            let room = Arc::new(Room::open(self.function).await);
            let listener = UnixListener::bind(&self.socket)?;
            loop {
                let (peer, _) = listener.accept().await?;
                // As callers of the daemon's are: a task, of which the runtime takes turns.
                tokio::spawn(serve(Arc::clone(&room), peer)).await??;
            }
        })
    }
}

/// Until the client hangs up.
async fn serve(room: Arc<Room>, mut peer: UnixStream) -> Result<()> {
    let mut idle = room.idle()?;
    let mut event = [0; EVENT.len()];
    loop {
        match peer.read(&mut event).await? {
            0 => return Ok(()),
            1 if event.first() == Some(&WAITS) => {
                idle.wait().await?;
                peer.write_all(&[WAITS]).await?;
            }
            length if length == EVENT.len() => {
                let event = Bytes::copy_from_slice(&event);
                peer.write_all(&room.invoke(event).await?).await?;
            }
            length => bail!("{length} bytes are no event"),
        }
    }
}

/// A process that serves; dropping it ends it.
struct Server {
    child: Child,
    socket: PathBuf,
}

impl Server {
    fn room(socket: PathBuf, cpu: usize) -> Result<Server> {
        let cpu = cpu.to_string();
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("invoke-server").arg(&socket).args(["--language", Language::Rust.name()]);
        command.args(["--cpu", &cpu, "--function-cpu", &cpu]);
        Server::start(command, socket)
    }

    fn echo(socket: PathBuf, cpu: usize) -> Result<Server> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("echo-server").arg(&socket);
        let server = Server::start(command, socket)?;
        process::pin(server.pid(), cpu)?;
        Ok(server)
    }

    fn start(mut command: Command, socket: PathBuf) -> Result<Server> {
        let child = command.stdin(Stdio::null()).spawn()?;
        let server = Server { child, socket };
        eventually("it listens", PATIENCE.min(Duration::from_secs(10)), || {
            Ok(server.socket.exists().then_some(()))
        })?;
        Ok(server)
    }

    fn round(&self, between: Between) -> Result<Round> {
        let mut socket = std::os::unix::net::UnixStream::connect(&self.socket)?;
        let mut answer = [0; EVENT.len()];
        let mut times = Vec::with_capacity(ROUND_TRIPS);
        let mut used = 0.0;
        for number in 0..WARM_UP + ROUND_TRIPS {
            if number == WARM_UP {
                used = self.cpu_time()?;
            }
            let start = Instant::now();
            socket.write_all(EVENT.as_bytes())?;
            socket.read_exact(&mut answer).context("no answer")?;
            if number >= WARM_UP {
                times.push(start.elapsed().as_secs_f64() * 1e6);
            }
            if between == Between::Settle {
                socket.write_all(&[WAITS])?;
                socket.read_exact(&mut [0]).context("the function does not wait")?;
            }
        }
        ensure!(answer == EVENT.as_bytes(), "the answer is another one");
        let cpu = (self.cpu_time()? - used) / ROUND_TRIPS as f64;
        Ok(Round { median: percentile(&mut times, 50.0), cpu })
    }

    /// Microseconds so far, of both ends and of the function.
    fn cpu_time(&self) -> Result<f64> {
        let ends = [self.pid(), std::process::id().cast_signed()];
        let functions = process::children(self.pid())?;
        ends.into_iter().chain(functions).map(process::cpu_time).sum()
    }

    fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Ended already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
