//! What a step runs when it says `sudo`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;

use hedgerow_isolation::connection::{Connection, Failure};
use hedgerow_isolation::protocol::ExitStatus;
use nix::sys::signal::{SigHandler, SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, poll};

use super::arguments::{Misuse, Order, Wanted, parse};
use super::{Answer, Request, SOCKET};

/// What sudo(8) passes on to its command.
const PASSED_ON: [Signal; 8] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGALRM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGCONT,
];

const USAGE: &str = "usage: sudo [-EHn] [-u user] [-g group] [-D directory] [-i | -s] [VAR=value] [command [argument ...]]";

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{0}\n{USAGE}")]
    Misuse(#[from] Misuse),
    #[error("{0}")]
    Refused(String),
    #[error("an argument that is not UTF-8")]
    Encoding,
    #[error("{0}: {1}")]
    System(&'static str, io::Error),
    #[error("process 1 of the fence: {0}")]
    Init(#[from] Failure),
    #[error("process 1 of the fence has hung up")]
    HungUp,
}

pub fn main() -> ExitCode {
    match run() {
        Ok(ExitStatus::Code(code)) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        Ok(ExitStatus::Signal(signal)) => end_by(signal),
        Err(error) => {
            eprintln!("sudo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitStatus, Error> {
    let arguments =
        std::env::args_os().skip(1).map(|a| a.into_string().map_err(|_| Error::Encoding));
    match parse(&arguments.collect::<Result<Vec<_>, _>>()?)? {
        Wanted::Run(order) => ask(order),
        Wanted::Nothing => Ok(ExitStatus::Code(0)),
        Wanted::List => {
            println!("Whoever is in this fence may run every command as every user of it.");
            Ok(ExitStatus::Code(0))
        }
        Wanted::Version => {
            println!("Sudo of Hedgerow {}", env!("CARGO_PKG_VERSION"));
            Ok(ExitStatus::Code(0))
        }
        Wanted::Usage => {
            println!("{USAGE}");
            Ok(ExitStatus::Code(0))
        }
    }
}

fn ask(order: Order) -> Result<ExitStatus, Error> {
    let signals = watch().map_err(|e| Error::System("cannot watch for signals", e.into()))?;
    let connection = Connection::connect(Path::new(SOCKET))?;
    let directory = File::open(".").or_else(|_| File::open("/"));
    let directory = directory.map_err(|e| Error::System("cannot open the directory", e))?;
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    // What is not text reaches no program from here.
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let environment: BTreeMap<_, _> = std::env::vars_os().filter_map(text).collect();
    let descriptors = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd(), directory.as_fd()];
    connection.send(&Request::Run { order, environment }, &descriptors)?;

    loop {
        let mut sources = [
            PollFd::new(&connection, PollFlags::IN),
            PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN),
        ];
        rustix::io::retry_on_intr(|| poll(&mut sources, None))
            .map_err(|e| Error::System("cannot wait", e.into()))?;
        while let Ok(Some(signal)) = signals.read_signal() {
            connection.send(&Request::Signal(signal.ssi_signo.cast_signed()), &[])?;
        }
        match connection.recv::<Answer>() {
            Ok(Some((Answer::Exited(status), _))) => return Ok(status),
            Ok(Some((Answer::Left, _))) => return Ok(ExitStatus::Code(0)),
            Ok(Some((Answer::Refused(reason), _))) => return Err(Error::Refused(reason)),
            Ok(None) => return Err(Error::HungUp),
            Err(failure) if failure.would_block() => {}
            Err(failure) => return Err(failure.into()),
        }
    }
}

fn watch() -> nix::Result<SignalFd> {
    let watched: SigSet = PASSED_ON.into_iter().collect();
    watched.thread_block()?;
    SignalFd::with_flags(&watched, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
}

/// As the command ended, so that the caller sees no difference.
fn end_by(number: i32) -> ExitCode {
    if let Ok(signal) = Signal::try_from(number) {
        // SAFETY: the default action runs no code of ours.
        let _ = unsafe { nix::sys::signal::signal(signal, SigHandler::SigDfl) };
        let _ = SigSet::all().thread_unblock();
        let _ = nix::sys::signal::raise(signal);
    }
    ExitCode::from(128u8.saturating_add(u8::try_from(number).unwrap_or(127)))
}
