//! Functions where things go wrong around them: disks, crashes, too much of everything.

mod bootstrap;
mod limits;
mod storage;
mod updates;
