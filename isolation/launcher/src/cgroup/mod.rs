//! The cgroups of fences: one per fence below a directory that belongs to this launcher alone.
//!
//! - v2: beside the leaf into which the launcher moves itself: `<own>/launcher`, `<own>/fence-<id>`. Where the
//!   launcher's cgroup is not its own to divide (no `Delegate=`, other processes in it):
//!   `/hedgerow-<hash>/fence-<id>`.
//! - v1 and hybrid: `<own>/hedgerow-<hash>/fence-<id>` in the hierarchy of each controller.

mod layout;
mod v1;
mod v2;

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hedgerow_isolation::plan::{FenceId, Limits};
use hedgerow_isolation::protocol::{Load, Usage};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal};

use layout::Layout;

const PREFIX: &str = "fence-";

/// How long what a killed launcher left may take to end.
const CLEANING: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    None(#[from] layout::NoCgroups),
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    #[error("this kernel has no {0} controller, which the plan's limits need")]
    NoController(&'static str),
    #[error("{0}: processes of an earlier launcher do not end")]
    Stubborn(PathBuf),
}

/// The part of the cgroup tree that is this launcher's.
#[derive(Debug)]
pub struct Cgroups {
    tree: Tree,
}

#[derive(Debug)]
enum Tree {
    V1(v1::Tree),
    V2(v2::Tree),
}

/// The cgroup of one fence.
#[derive(Debug)]
pub struct Cgroup {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    V1(v1::Cgroup),
    V2(v2::Cgroup),
}

impl Cgroups {
    /// Takes possession; `hash` tells launchers with different runtime directories apart. Ends every process
    /// and removes every cgroup that a killed predecessor left.
    pub fn take(hash: u32) -> Result<Self, Error> {
        let mountinfo = read(Path::new("/proc/self/mountinfo"))?;
        let membership = read(Path::new("/proc/self/cgroup"))?;
        let name = format!("hedgerow-{hash:08x}");
        let tree = match layout::layout(&mountinfo, &membership)? {
            Layout::V1 { own } => Tree::V1(v1::Tree::take(own, &name)?),
            Layout::V2 { mount, own } => Tree::V2(v2::Tree::take(mount, own, &name)?),
        };
        let cgroups = Self { tree };
        for directory in cgroups.directories() {
            thaw(directory)?;
        }
        for directory in cgroups.directories() {
            clean(directory)?;
        }
        Ok(cgroups)
    }

    pub fn create(&self, fence: &FenceId, limits: Limits) -> Result<Cgroup, Error> {
        let name = format!("{PREFIX}{fence}");
        let (kind, limited) = match &self.tree {
            Tree::V1(tree) => {
                let cgroup = tree.create(&name)?;
                let limited = cgroup.limit(Limits::default(), limits);
                (Kind::V1(cgroup), limited)
            }
            Tree::V2(tree) => {
                let cgroup = tree.create(&name)?;
                let limited = cgroup.limit(Limits::default(), limits);
                (Kind::V2(cgroup), limited)
            }
        };
        let cgroup = Cgroup { kind };
        limited.map(|()| cgroup)
    }

    /// Removes what [`Self::take`] made; for when no fence is left.
    pub fn release(self) {
        match self.tree {
            Tree::V1(tree) => tree.release(),
            Tree::V2(tree) => tree.release(),
        }
    }

    /// Whether the controllers are in the unified hierarchy.
    pub fn are_unified(&self) -> bool {
        matches!(self.tree, Tree::V2(_))
    }

    fn directories(&self) -> Vec<&Path> {
        match &self.tree {
            Tree::V1(tree) => tree.directories().collect(),
            Tree::V2(tree) => vec![tree.directory()],
        }
    }
}

impl Cgroup {
    pub fn directories(&self) -> Vec<&Path> {
        match &self.kind {
            Kind::V1(cgroup) => cgroup.directories().collect(),
            Kind::V2(cgroup) => vec![cgroup.directory()],
        }
    }

    pub fn is_unified(&self) -> bool {
        matches!(self.kind, Kind::V2(_))
    }

    /// Moves a process in; its later children start there.
    pub fn add(&self, pid: i32) -> Result<(), Error> {
        self.directories()
            .into_iter()
            .try_for_each(|d| write(&d.join("cgroup.procs"), &pid.to_string()))
    }

    /// Writes what differs between the limits that hold and those that are to.
    pub fn limit(&self, from: Limits, to: Limits) -> Result<(), Error> {
        match &self.kind {
            Kind::V1(cgroup) => cgroup.limit(from, to),
            Kind::V2(cgroup) => cgroup.limit(from, to),
        }
    }

    /// Stops every process in it where it is, or lets them go on. The kernel may take a moment.
    pub fn freeze(&self, frozen: bool) -> Result<(), Error> {
        match &self.kind {
            Kind::V1(cgroup) => cgroup.freeze(frozen),
            Kind::V2(cgroup) => cgroup.freeze(frozen),
        }
    }

    /// SIGKILL to every process in it.
    pub fn kill(&self) {
        for directory in self.directories() {
            kill(directory);
        }
    }

    /// True once it is gone; false while a process is still in it.
    pub fn remove(&self) -> Result<bool, Error> {
        self.directories()
            .into_iter()
            .try_fold(true, |gone, directory| Ok(remove(directory)? && gone))
    }

    pub fn usage(&self) -> Result<Usage, Error> {
        match &self.kind {
            Kind::V1(cgroup) => cgroup.usage(),
            Kind::V2(cgroup) => cgroup.usage(),
        }
    }

    pub fn load(&self) -> Result<Load, Error> {
        match &self.kind {
            Kind::V1(cgroup) => cgroup.load(),
            Kind::V2(cgroup) => cgroup.load(),
        }
    }

    /// OOM kills so far; none where the kernel does not count them.
    pub fn oom_kills(&self) -> u64 {
        match &self.kind {
            Kind::V1(cgroup) => cgroup.oom_kills(),
            Kind::V2(cgroup) => cgroup.oom_kills(),
        }
    }
}

/// One that nothing was put into, since a fence could not be started, goes at once. (Any other is removed before.)
impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = self.remove();
    }
}

/// In v1 what is frozen does not even die.
fn thaw(directory: &Path) -> Result<(), Error> {
    for fence in children(directory)? {
        let freezer = fence.join(v1::FREEZER);
        if freezer.exists() {
            write(&freezer, v1::THAWED)?;
        }
    }
    Ok(())
}

/// Ends and removes the fences of a launcher that is no more. Its processes are not this one's children.
fn clean(directory: &Path) -> Result<(), Error> {
    let deadline = Instant::now() + CLEANING;
    for fence in children(directory)? {
        while !remove(&fence)? {
            let watches: Vec<_> = members(&fence)
                .into_iter()
                .filter_map(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok())
                .collect();
            kill(&fence);
            let mut sources: Vec<_> = watches
                .iter()
                .map(|w| PollFd::from_borrowed_fd(w.as_fd(), PollFlags::IN))
                .collect();
            // Each end wakes this; the limit is for what the kernel still tidies up after an end.
            let pause = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
            let _ = poll(&mut sources, Some(&pause));
            if Instant::now() > deadline {
                return Err(Error::Stubborn(fence));
            }
        }
    }
    Ok(())
}

fn children(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = fs::read_dir(directory).map_err(|e| Error::File(directory.to_owned(), e))?;
    Ok(entries
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX)))
        .map(|entry| entry.path())
        .collect())
}

fn members(directory: &Path) -> Vec<Pid> {
    let text = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)).collect()
}

fn kill(directory: &Path) {
    // v2 since 5.14; elsewhere one by one, again and again until the caller sees none.
    if fs::write(directory.join("cgroup.kill"), "1").is_err() {
        for pid in members(directory) {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
    }
}

fn remove(directory: &Path) -> Result<bool, Error> {
    match fs::remove_dir(directory) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::ResourceBusy => Ok(false),
        Err(e) => Err(Error::File(directory.to_owned(), e)),
    }
}

fn create(directory: &Path) -> Result<(), Error> {
    match fs::create_dir(directory) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
            Err(Error::File(directory.to_owned(), e))
        }
        _ => Ok(()),
    }
}

fn write(file: &Path, text: &str) -> Result<(), Error> {
    fs::write(file, text).map_err(|e| Error::File(file.to_owned(), e))
}

fn read(file: &Path) -> Result<String, Error> {
    fs::read_to_string(file).map_err(|e| Error::File(file.to_owned(), e))
}

fn read_number(file: &Path) -> Result<u64, Error> {
    let text = read(file)?;
    let invalid = |e| Error::File(file.to_owned(), io::Error::new(io::ErrorKind::InvalidData, e));
    text.trim().parse().map_err(invalid)
}

/// The value of a line `name value`.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}
