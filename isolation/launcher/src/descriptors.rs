//! How many descriptors this program and those that it starts may have: as many as the hard limit lets them, for every
//! fence takes some, and a builder gets all that a fence is made of at once. Steps have limits of their own.

use std::io;
use std::os::fd::OwnedFd;

use hedgerow_isolation::connection::Connection;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Where a one-shot process keeps the way to the launcher: what it is sent takes the numbers from 3 on.
const OWN: i32 = 100;

/// The least that will do: those of one message (253), and about as many to work with.
const LEAST: u64 = 512;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "the hard limit is {found} descriptors and {LEAST} are needed: raise it (LimitNOFILE= of the unit, or ulimit -Hn)"
    )]
    Few { found: u64 },
    #[error("cannot raise the limit of descriptors: {0}")]
    Limit(io::Error),
    #[error("cannot keep the way to the launcher: {0}")]
    Launcher(io::Error),
}

/// Raises the soft limit to the hard one (getrlimit(2)).
pub fn raise_limit() -> Result<(), Error> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    match maximum {
        Some(found) if found < LEAST => Err(Error::Few { found }),
        _ => setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
            .map_err(|errno| Error::Limit(errno.into())),
    }
}

/// In a one-shot process: the launcher, at the other end of stdin.
pub fn launcher() -> Result<Connection, Error> {
    raise_limit()?;
    let duplicate = rustix::io::fcntl_dupfd_cloexec(io::stdin(), OWN);
    duplicate.map(|own: OwnedFd| own.into()).map_err(|errno| Error::Launcher(errno.into()))
}
