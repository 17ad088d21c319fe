//! Functions where things go wrong around them: disks, crashes, too much of everything.

mod bootstrap;
mod storage;
mod updates;
