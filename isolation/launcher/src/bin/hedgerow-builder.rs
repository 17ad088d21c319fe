//! See [`hedgerow_launcher::build`].

use std::process::ExitCode;

fn main() -> ExitCode {
    hedgerow_launcher::build()
}
