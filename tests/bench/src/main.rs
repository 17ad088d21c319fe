//! The project's figures, each beside its reference, in one run. Needs root and the release binaries:
//! `cargo xtask bench`.
#![forbid(unsafe_code)]

mod components;
mod deploy;
mod figure;
mod footprint;
mod invoke;
mod ipc;
mod process;
mod sample;
mod sizes;
mod start;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::figure::Figure;

#[derive(Parser)]
#[command(name = "hedgerow-bench", about = "Measures Hedgerow beside its references")]
struct Arguments {
    /// Print one JSON object per figure instead of tables
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// Publish to subscriber through the shipped daemon, beside a bare echo
    Ipc {
        /// Rounds of each placement and side
        #[arg(long, default_value_t = 9)]
        rounds: usize,
    },
    /// Start to exit of /bin/true in a whole fence, beside runc and crun
    Start {
        #[arg(long, default_value_t = 40)]
        rounds: usize,
    },
    /// Command to RUNNING, bytes written, and the same where nothing changes
    Deploy {
        #[arg(long, default_value_t = 15)]
        rounds: usize,
    },
    /// Memory of resident processes, exec to ready, bytes written
    Footprint {
        /// Seconds to watch an idle Hedgerow for writes
        #[arg(long, default_value_t = 60)]
        idle: u64,
        /// Starts of the daemon, each way
        #[arg(long, default_value_t = 9)]
        rounds: usize,
    },
    /// Lambda functions: warm, thawed and cold, many at once, and idle
    Invoke {
        /// Only this
        part: Option<invoke::Part>,
        /// Rounds of each comparison
        #[arg(long, default_value_t = 9)]
        rounds: usize,
        /// Seconds of load, and to watch idle functions
        #[arg(long, default_value_t = 10)]
        seconds: u64,
    },
    /// Stripped release binaries
    Sizes,
    /// One side of `ipc`: echoes what comes
    #[command(hide = true)]
    EchoServer { socket: PathBuf },
    /// The other: measures one round
    #[command(hide = true)]
    Round(ipc::round::Round),
    /// One side of `invoke`: a function behind a socket
    #[command(hide = true)]
    InvokeServer(invoke::warm::InvokeServer),
    /// Measures one runtime
    #[command(hide = true)]
    RuntimeRound(invoke::runtimes::RuntimeRound),
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<()> {
    let figures: Vec<Figure> = match arguments.bench {
        Bench::Ipc { rounds } => ipc::measure(rounds)?,
        Bench::Start { rounds } => start::measure(rounds)?,
        Bench::Deploy { rounds } => deploy::measure(rounds)?,
        Bench::Footprint { idle, rounds } => footprint::measure(idle, rounds)?,
        Bench::Invoke { part, rounds, seconds } => invoke::measure(part, rounds, seconds)?,
        Bench::Sizes => sizes::measure()?,
        Bench::EchoServer { socket } => return ipc::echo::serve(&socket),
        Bench::Round(round) => return round.run(),
        Bench::InvokeServer(server) => return server.run(),
        Bench::RuntimeRound(round) => return round.run(),
    };
    figure::print(&figures, arguments.json)
}
