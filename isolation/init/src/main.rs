//! `hedgerow-init`: process 1 of every fence.
//!
//! It starts steps for hedgerow-launch, reports how each ends, and reaps what steps leave behind. It exists
//! because a program that is process 1 itself ignores the signals it does not handle, and takes with it
//! whatever it left in the background.
//!
//! ```text
//!  hedgerow-launch ── control socket ──► hedgerow-init ── fork ──► step: own ids, no capabilities,
//!                  ◄── reports ─────────        ▲                  no_new_privs, seccomp, exec
//!                                               └── SIGCHLD
//! ```
//!
//! When the control socket closes, it exits; the kernel then ends every process of the pid namespace.

mod inherited;
mod network;
mod serve;
mod step;

use std::process::ExitCode;

fn main() -> ExitCode {
    match serve::serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("hedgerow-init: {failure}");
            ExitCode::FAILURE
        }
    }
}
