//! One inotify instance, on the path itself, or on what there is of the way to it.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::read_dir;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::pending::Kind;
use crate::source::{Place, SourceFault};

/// Files of a directory that appeared with them in it, and files being written, as many as are looked after.
const MOST: usize = 1024;

#[derive(Debug)]
pub struct Seen {
    /// `None`: the watched path itself.
    pub name: Option<OsString>,
    pub kind: Kind,
}

#[derive(Debug)]
pub struct Watcher {
    place: Place,
    inotify: AsyncFd<OwnedFd>,
    at: At,
    /// Files that were created and not closed yet.
    fresh: BTreeSet<OsString>,
}

/// Which directory is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
enum At {
    /// The path is a directory: what is in it counts.
    Target,
    /// The one that has the file of that name, or will have.
    Parent(OsString),
    /// So many levels above the parent.
    Above(usize),
}

impl Watcher {
    pub fn new(place: &Place) -> Result<Self, SourceFault> {
        let (inotify, at) = begin(place)?;
        Ok(Self { place: place.clone(), inotify, at, fresh: BTreeSet::new() })
    }

    /// What has changed since; nothing, where only the way to the path has.
    pub async fn next(&mut self) -> Result<Vec<Seen>, SourceFault> {
        let mut ready = self.inotify.readable().await.map_err(|error| failing(&error))?;
        let (mut seen, mut is_way_changed) = (vec![], false);
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = Reader::new(self.inotify.get_ref(), &mut buffer);
        loop {
            let event = match events.next() {
                Ok(event) => event,
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(failing(&error.into())),
            };
            let flags = event.events();
            if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                seen.push(Seen { name: None, kind: Kind::Overflow });
                continue;
            }
            let gone = ReadFlags::DELETE_SELF
                | ReadFlags::MOVE_SELF
                | ReadFlags::UNMOUNT
                | ReadFlags::IGNORED;
            is_way_changed |= flags.intersects(gone);
            let Some(name) = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()))
            else {
                continue;
            };
            match &self.at {
                At::Above(_) => is_way_changed = true,
                At::Parent(wanted) if name != wanted => {}
                // A directory is watched from within.
                At::Parent(_) if flags.contains(ReadFlags::ISDIR) => is_way_changed = true,
                At::Parent(_) => {
                    let kind = kind(&mut self.fresh, name, flags);
                    seen.extend(kind.map(|kind| Seen { name: None, kind }));
                }
                At::Target => {
                    let kind = kind(&mut self.fresh, name, flags);
                    seen.extend(kind.map(|kind| Seen { name: Some(name.to_owned()), kind }));
                }
            }
        }
        ready.clear_ready();
        if is_way_changed {
            self.begin_again(&mut seen)?;
        }
        Ok(seen)
    }

    fn begin_again(&mut self, seen: &mut Vec<Seen>) -> Result<(), SourceFault> {
        let was = self.at.clone();
        (self.inotify, self.at) = begin(&self.place)?;
        self.fresh.clear();
        match (&was, &self.at) {
            (At::Target, At::Target) => {}
            (At::Target, At::Parent(_) | At::Above(_)) => {
                seen.push(Seen { name: None, kind: Kind::Deleted });
            }
            // It may have come with files in it.
            (At::Parent(_) | At::Above(_), At::Target) => {
                let names = open(&self.place, 0).and_then(|directory| entries(&directory));
                let created = |name| Seen { name: Some(name), kind: Kind::Created };
                seen.extend(names.unwrap_or_default().into_iter().map(created));
            }
            (At::Above(_), At::Parent(name)) => {
                let is_there = open(&self.place, 1)
                    .and_then(|parent| entries(&parent))
                    .is_ok_and(|names| names.contains(name));
                seen.extend(is_there.then_some(Seen { name: None, kind: Kind::Created }));
            }
            (At::Parent(_) | At::Above(_), At::Parent(_) | At::Above(_)) => {}
        }
        Ok(())
    }
}

fn kind(fresh: &mut BTreeSet<OsString>, name: &OsStr, flags: ReadFlags) -> Option<Kind> {
    if flags.intersects(ReadFlags::DELETE | ReadFlags::MOVED_FROM) {
        fresh.remove(name);
        return Some(Kind::Deleted);
    }
    if flags.contains(ReadFlags::MOVED_TO) || flags.contains(ReadFlags::CREATE | ReadFlags::ISDIR) {
        return Some(Kind::Created);
    }
    if flags.contains(ReadFlags::CREATE) {
        // It counts when whoever writes it has closed it.
        if fresh.len() < MOST {
            fresh.insert(name.to_owned());
        }
        return None;
    }
    let is_written = flags.contains(ReadFlags::CLOSE_WRITE);
    is_written.then(|| if fresh.remove(name) { Kind::Created } else { Kind::Modified })
}

/// Watches the nearest directory that there is. Looks again afterwards: what came meanwhile was not seen coming.
fn begin(place: &Place) -> Result<(AsyncFd<OwnedFd>, At), SourceFault> {
    loop {
        let (level, directory) = nearest(place)?;
        let inotify = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)
            .map_err(|error| failing(&error.into()))?;
        let way = WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF | WatchFlags::ONLYDIR;
        let content = WatchFlags::CREATE
            | WatchFlags::MOVED_TO
            | WatchFlags::MOVED_FROM
            | WatchFlags::DELETE
            | WatchFlags::CLOSE_WRITE;
        let by_descriptor = format!("/proc/self/fd/{}", directory.as_raw_fd());
        add_watch(&inotify, by_descriptor, way | content)
            .map_err(|error| refused(place, level, error))?;
        if nearest(place)?.0 == level {
            let inotify = register(inotify).map_err(|error| failing(&error))?;
            return Ok((inotify, at(place, level)));
        }
    }
}

fn at(place: &Place, level: usize) -> At {
    match level {
        0 => At::Target,
        1 => At::Parent(path(place, 0).file_name().unwrap_or_default().to_owned()),
        above => At::Above(above - 1),
    }
}

/// The path without its last `level` parts.
fn path(place: &Place, level: usize) -> PathBuf {
    let whole = place.base.join(&place.below);
    whole.ancestors().nth(level).unwrap_or(Path::new("/")).to_owned()
}

/// The nearest directory that there is, and how many levels above the path it is.
fn nearest(place: &Place) -> Result<(usize, OwnedFd), SourceFault> {
    let levels = path(place, 0).components().count();
    for level in 0..levels {
        match open(place, level) {
            Ok(directory) => return Ok((level, directory)),
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(error) => return Err(refused(place, level, error)),
        }
    }
    Err(refused(place, levels, Errno::NOENT))
}

/// Below the base, which components may change, nothing leads elsewhere.
fn open(place: &Place, level: usize) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let depth = place.below.components().count();
    if level >= depth {
        return openat(CWD, path(place, level), flags, Mode::empty());
    }
    let base = openat(CWD, &place.base, flags, Mode::empty())?;
    let below = place.below.ancestors().nth(level).unwrap_or(Path::new(""));
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    openat2(base, below, flags, Mode::empty(), resolve)
}

fn entries(directory: &OwnedFd) -> Result<Vec<OsString>, Errno> {
    let path = format!("/proc/self/fd/{}", directory.as_fd().as_raw_fd());
    let entries =
        read_dir(path).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    Ok(entries.take(MOST).filter_map(|entry| Some(entry.ok()?.file_name())).collect())
}

fn refused(place: &Place, level: usize, error: Errno) -> SourceFault {
    let path = path(place, level);
    let path = path.display();
    SourceFault::Failing(match error {
        Errno::ACCESS | Errno::PERM => {
            format!("the daemon may not read {path}; let others read and enter it (chmod o+rx)")
        }
        Errno::LOOP | Errno::XDEV => {
            format!(
                "{path}: a symbolic link lies on the way, which is not followed; name where it leads"
            )
        }
        Errno::NOSPC => {
            format!("{path}: no more can be watched; raise fs.inotify.max_user_watches (sysctl)")
        }
        error => format!("{path}: {error}"),
    })
}

fn failing(error: &io::Error) -> SourceFault {
    SourceFault::Failing(match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::MFILE) => {
            "no more can be watched; raise fs.inotify.max_user_instances (sysctl)".to_owned()
        }
        Some(_) | None => error.to_string(),
    })
}

#[expect(
    deprecated,
    reason = "its replacement is unsafe; an OwnedFd is one descriptor all its life"
)]
fn register(inotify: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(inotify, Interest::READABLE)
}
