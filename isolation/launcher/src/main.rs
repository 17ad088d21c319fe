//! See the library of the same package.

use std::process::ExitCode;

fn main() -> ExitCode {
    hedgerow_launcher::main()
}
