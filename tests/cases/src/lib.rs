//! End-to-end cases; each file of `tests/` holds those of one subject. They start the binaries of
//! `target/hedgerow` as root: `cargo xtask test` builds those and runs these.
#![forbid(unsafe_code)]
