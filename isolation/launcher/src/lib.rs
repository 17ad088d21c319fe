//! `hedgerow-launch`: opens fences for the unprivileged daemon; and `hedgerow-builder`, which it calls.
//!
//! The only part of Hedgerow that runs as root. It has one thread, hears nobody but the daemon, parses no foreign bytes, and
//! checks each plan itself against root-owned configuration: a subverted daemon gains what the administrator
//! granted, and nothing else.
//!
//! - [`server`]: the resident process, prepared by [`setup`]; [`fence`] and its [`steps`]: what one fence goes
//!   through; [`daemon`]: the connection.
//! - [`check`], [`grants`], [`source`]: whether a plan may be carried out; [`granted`]: what is more than ordinary.
//! - [`cgroup`], [`root`], [`choice`], [`network`]: what fences are made in and of; [`view`], [`skeleton`], [`idmap`], [`kernel`],
//!   [`greengrass`], [`mount`]: the root that one sees; [`layer`]: how much of it one may write.
//! - [`builder`], [`stage`], [`spec`]: the one-shot process that makes a fence; [`filter`]: the one that compiles the
//!   seccomp filter of steps; [`discard`] and [`measure`]: those that remove and count what fences wrote, each an
//!   [`errand`]; [`observer`]: the one that tells what an observed fence denies.
//! - [`descriptors`]: how many all of them may have.

/// `eprintln!` without its panic: what cannot be written (a full disk, a journal that is gone) is lost, and no fence with
/// it.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}

mod builder;
mod bus;
mod cgroup;
mod check;
mod choice;
mod daemon;
mod descriptors;
mod discard;
mod errand;
mod fence;
mod file;
mod filter;
mod granted;
mod grants;
mod greengrass;
mod idmap;
mod joining;
mod kernel;
mod layer;
mod measure;
mod mount;
mod network;
mod notify;
mod observer;
mod options;
mod points;
mod respawn;
mod rights;
pub mod root;
mod seal;
mod server;
mod setup;
mod skeleton;
mod source;
pub mod spec;
mod stage;
mod steps;
mod view;

use std::error::Error;
use std::process::ExitCode;

use options::{Options, USAGE};

/// The whole program.
pub fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let outcome = match arguments.first().and_then(|a| a.to_str()) {
        Some("--help" | "-h") => {
            print!("{USAGE}");
            Ok(())
        }
        Some("--version" | "-V") => {
            println!("hedgerow-launch {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        Some("respawn") => respawn::respawn(arguments.get(1..).unwrap_or_default()),
        Some("discard") => discard::main(),
        Some("measure") => measure::main(),
        Some("bus") => bus::relay::main(),
        _ => reside(arguments),
    };
    exit("hedgerow-launch", outcome)
}

/// `hedgerow-builder`: the whole program, which only the launcher calls.
pub fn build() -> ExitCode {
    let argument = std::env::args_os().nth(1);
    let outcome = match argument.as_ref().and_then(|a| a.to_str()) {
        Some("build") => builder::main(),
        Some("observe") => observer::main(),
        Some("filter") => filter::write(std::io::stdout(), false).map_err(Into::into),
        Some("observing-filter") => filter::write(std::io::stdout(), true).map_err(Into::into),
        _ => Err("hedgerow-launch calls this program; nobody else does".into()),
    };
    exit("hedgerow-builder", outcome)
}

fn exit(program: &str, outcome: Result<(), Box<dyn Error>>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say!("{program}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn reside(arguments: Vec<std::ffi::OsString>) -> Result<(), Box<dyn Error>> {
    let options = Options::parse(arguments).map_err(|misuse| format!("{misuse}\n\n{USAGE}"))?;
    kernel::check()?;
    let home = seal::seal().map_err(|e| format!("cannot protect this program's file: {e}"))?;
    Ok(server::Server::prepare(options, &home)?.run()?)
}
