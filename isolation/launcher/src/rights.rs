//! Acting on files with no more rights than one of a fence's users has.

use nix::unistd::{Gid, Uid, setfsgid, setfsuid};
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets};

/// Runs `act` with the file system rights of that user, whose ids are the host's, and without a capability. This process
/// has one thread and no supplementary groups.
pub fn as_user<T>(
    uid: u32,
    gid: u32,
    groups: &[u32],
    act: impl FnOnce() -> Result<T, Errno>,
) -> Result<T, Errno> {
    // setfsuid(2) drops the capabilities that override permissions; others would open more of /proc than the user may.
    let held = rustix::thread::capabilities(None)?;
    let none = CapabilitySets { effective: CapabilitySet::empty(), ..held };
    let groups: Vec<_> = groups.iter().map(|&group| rustix::fs::Gid::from_raw(group)).collect();
    rustix::thread::set_thread_groups(&groups)?;
    let (own_gid, own_uid) = (setfsgid(Gid::from_raw(gid)), setfsuid(Uid::from_raw(uid)));
    let result = rustix::thread::set_capabilities(None, none).and_then(|()| act());
    let regained = rustix::thread::set_capabilities(None, held);
    setfsuid(own_uid);
    setfsgid(own_gid);
    regained?;
    rustix::thread::set_thread_groups(&[])?;
    result
}
