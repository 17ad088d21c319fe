//! `hedgerow-init`: process 1 of every fence.
//!
//! It starts steps for hedgerow-launch, reports how each ends, and reaps what steps leave behind. It exists
//! because a program that is process 1 itself ignores the signals it does not handle, and takes with it
//! whatever it left in the background.
//!
//! ```text
//!  hedgerow-launch ── control socket ──► hedgerow-init ── fork ──► step: own ids and capabilities,
//!                  ◄── reports ─────────        ▲                  no_new_privs, seccomp, exec
//!                                               └── SIGCHLD
//! ```
//!
//! Under the name `sudo` it is something else: see [`sudo`].
//!
//! When the control socket closes, it exits; the kernel then ends every process of the pid namespace.

mod filter;
mod inherited;
mod network;
mod ownership;
mod program;
mod regular;
mod serve;
mod step;
mod sudo;
mod users;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args_os().next().is_some_and(|name| Path::new(&name).ends_with("sudo")) {
        return sudo::client::main();
    }
    match serve::serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("hedgerow-init: {failure}");
            ExitCode::FAILURE
        }
    }
}
