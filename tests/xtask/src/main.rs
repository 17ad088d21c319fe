//! `cargo xtask`: everything that a developer does with Hedgerow beside editing it. Runs as any user; what
//! needs root goes through sudo.
#![forbid(unsafe_code)]

mod bench;
mod build;
mod command;
mod demo;
mod examples;
mod functions;
mod guest;
mod javascript;
mod needs;
mod parts;
mod python;
mod runtimes;
mod setup;
mod shipped;
mod test;
mod tree;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::functions::Profile;
use crate::needs::Purpose;
use crate::parts::Parts;
use crate::runtimes::Language;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Builds, tests, measures and shows Hedgerow")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what is missing: Debian packages, the AWS SDKs for Python and JavaScript, cargo-deny
    Setup,
    /// Build the release binaries into target/hedgerow and the examples into target/examples
    Build,
    /// Lay out the components that run Lambda functions on this machine's Python and Node in target/runtimes, and
    /// a function in Rust
    Runtimes,
    /// Run all tests
    Test {
        /// Leave out the booted guest
        #[arg(long)]
        no_guest: bool,
    },
    /// Show Hedgerow at work: a component, two Lambda functions, a killed daemon, a clean end
    Demo,
    /// The part of the demo that needs root
    #[command(hide = true)]
    DemoAsRoot,
    /// Measure the figures: all, or one group
    Bench {
        #[arg(value_enum)]
        group: Option<bench::Bench>,
        /// A line of JSON for each figure instead of tables
        #[arg(long)]
        json: bool,
    },
    /// The booted guest: Debian with systemd and cgroup v2
    #[command(subcommand)]
    Guest(GuestTask),
}

#[derive(Subcommand)]
enum GuestTask {
    /// Make the guest's image where the cache has none
    Image,
    /// Boot and run one shell script as root; its exit status is this command's
    Run {
        script: PathBuf,
        /// A directory to lay beside it: the script runs with it as `/tests/with`
        #[arg(long)]
        with: Option<PathBuf>,
        /// Seconds until the guest is ended
        #[arg(long, default_value_t = 300)]
        limit: u64,
    },
    /// Boot and run the cases of tests/guest/cases, or those whose names contain NAME
    Cases { name: Option<String> },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut parts = Parts::default();
    let result = match arguments.task {
        Task::Setup => setup::install(&mut parts, Purpose::ALL),
        Task::Build => setup::install(&mut parts, &[Purpose::Demo])
            .and_then(|()| build::release(&mut parts).map(drop))
            .and_then(|()| examples::lay_out(&mut parts).map(drop)),
        Task::Runtimes => setup::install(&mut parts, &[Purpose::Demo, Purpose::Runtimes])
            .and_then(|()| runtimes::lay_out(&mut parts, Language::ALL))
            .and_then(|()| functions::lay_out(&mut parts, Profile::Debug)),
        Task::Test { no_guest } => test::run(&mut parts, !no_guest),
        Task::Demo => demo::run(&mut parts),
        Task::DemoAsRoot => demo::show(&mut parts),
        Task::Bench { group, json } => bench::run(&mut parts, group, json),
        Task::Guest(GuestTask::Image) => guest::image(&mut parts).map(drop),
        Task::Guest(GuestTask::Run { script, with, limit }) => {
            guest::run_script(&mut parts, &script, with.as_deref(), limit)
        }
        Task::Guest(GuestTask::Cases { name }) => guest::cases(&mut parts, name.as_deref()),
    };
    parts.print_table();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
