//! `hedgerowd`: the unprivileged daemon of Hedgerow.

#![forbid(unsafe_code)]

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use hedgerow_daemon::daemon::{self, Bus};
use hedgerow_daemon::layout::Layout;
use hedgerow_daemon::root;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

/// Runs components in fences, joins them over IPC, and obeys the D-Bus name io.hedgerow.Edge1.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Keep everything below this directory: state, sockets, a private bus and a launcher of its own. Needs root,
    /// and gives it up.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,

    /// The launcher to start with --root; by default the one beside this program.
    #[arg(long, value_name = "FILE", requires = "root")]
    launcher: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // `debug`, or `zbus=debug,info`: as in env_logger, without its regular expressions, which cost a megabyte.
    let wanted = std::env::var("HEDGEROW_LOG").unwrap_or_default();
    let filter: Targets = wanted.parse().unwrap_or_default();
    let filter = match wanted.is_empty() {
        true => {
            Targets::new().with_default(LevelFilter::INFO).with_target("zbus", LevelFilter::WARN)
        }
        false => filter,
    };
    let output = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .without_time();
    tracing_subscriber::registry().with(output.with_filter(filter)).init();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    // Imported packages and socket directories are used inside fences by other users, whatever the caller's umask.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    let (layout, bus) = match arguments.root {
        None => (Layout::system(), Bus::System),
        Some(directory) => {
            let launcher = match arguments.launcher {
                Some(path) => path,
                None => beside_this_program("hedgerow-launch")?,
            };
            let (layout, identity) = root::prepare(&directory, &launcher)?;
            root::drop_privileges(&layout, identity)?;
            (layout, Bus::Private { uid: identity.uid })
        }
    };
    // One thread: what the daemon does is wait, and every thread costs memory that small devices lack.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(2)
        .build()
        .context("the asynchronous runtime")?;
    runtime.block_on(daemon::run(layout, bus))
}

fn beside_this_program(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("the path of this program")?;
    Ok(own.with_file_name(name))
}
