//! Removing what fences have written: `hedgerow-launch discard`, an [`errand`] for each request.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use hedgerow_isolation::protocol::{DISCARDED, Error, ErrorKind, Response};
use rustix::fs::{AtFlags, Dir, Mode, OFlags, RenameFlags, ResolveFlags};
use rustix::io::Errno;

use crate::daemon::{Output, Ticket};
use crate::errand::{self, Errand, Place};

/// Most of these processes at once.
const MAX_RUNNING: usize = 8;

/// Those that run.
#[derive(Debug, Default)]
pub struct Discards {
    running: Vec<Discard>,
}

#[derive(Debug)]
struct Discard {
    errand: Errand,
    sources: Vec<PathBuf>,
    ticket: Ticket,
}

fn system(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::System, message)
}

impl Discards {
    /// Whether this directory, or one above or below it, is just being removed.
    pub fn touch(&self, directory: &Path) -> bool {
        let mut sources = self.running.iter().flat_map(|discard| &discard.sources);
        sources.any(|source| source.starts_with(directory) || directory.starts_with(source))
    }

    /// `found`: where each of `sources` is that exists. The answer to `ticket` comes later.
    pub fn begin(
        &mut self,
        sources: Vec<PathBuf>,
        found: Vec<Place>,
        ticket: Ticket,
    ) -> Result<(), Error> {
        if self.running.len() >= MAX_RUNNING {
            return Err(system(format!("{MAX_RUNNING} removals run already: try again later")));
        }
        let errand = Errand::start("discard", found)
            .map_err(|e| system(format!("cannot start removing directories: {e}")))?;
        self.running.push(Discard { errand, sources, ticket });
        Ok(())
    }

    /// A child of the launcher has ended; false if it was none of these.
    pub fn reaped(&mut self, pid: i32, how: &str, out: &mut Vec<Output>) -> bool {
        let Some(index) = self.running.iter().position(|discard| discard.errand.is(pid)) else {
            return false;
        };
        let ended = self.running.swap_remove(index);
        let outcome = ended.errand.outcome::<()>("the removal of directories", how);
        let result = outcome.map(|()| Response::Done).map_err(system);
        out.push(Output::Reply(ended.ticket, result, Vec::new()));
        true
    }
}

/// The one-shot process.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    errand::run(|places| {
        places.iter().try_for_each(|(parent, name)| {
            remove(parent.as_fd(), name).map_err(|e| format!("cannot remove {name:?}: {e}"))
        })
    })
}

fn remove(parent: BorrowedFd<'_>, name: &CString) -> Result<(), Errno> {
    let tree = match open(parent, name) {
        Err(Errno::NOENT) => return Ok(()),
        opened => opened?,
    };
    let name = set_aside(parent, name)?;
    // A tree may be deeper than there are descriptors or stack: what lies two levels down comes one level up
    // until nothing does.
    let mut moved = 0u64;
    loop {
        let mut is_flat = true;
        for entry in entries(tree.as_fd())? {
            if !unlink(tree.as_fd(), &entry)? {
                is_flat = false;
                raise_children(tree.as_fd(), &entry, &mut moved)?;
            }
        }
        if is_flat {
            return rustix::fs::unlinkat(parent, &name, AtFlags::REMOVEDIR);
        }
    }
}

/// Gives a directory another name beside itself, so that whatever ends the removal, its own is free and no half of it
/// is taken for the whole. Returns the name; what is set aside already stays where it is.
fn set_aside(parent: BorrowedFd<'_>, name: &CString) -> Result<CString, Errno> {
    if name.to_bytes().starts_with(DISCARDED.as_bytes()) {
        return Ok(name.clone());
    }
    let mut number = 0u64;
    loop {
        number += 1;
        let free = CString::new(format!("{DISCARDED}{number}")).map_err(|_| Errno::INVAL)?;
        match rustix::fs::renameat_with(parent, name, parent, &free, RenameFlags::NOREPLACE) {
            // Another removal's.
            Err(Errno::EXIST) => {}
            renamed => return renamed.map(|()| free),
        }
    }
}

/// Removes `name` in `tree`, a directory that is not empty, and puts its own such directories into `tree`.
fn raise_children(tree: BorrowedFd<'_>, name: &CString, moved: &mut u64) -> Result<(), Errno> {
    let directory = open(tree, name)?;
    for child in entries(directory.as_fd())? {
        if unlink(directory.as_fd(), &child)? {
            continue;
        }
        loop {
            *moved += 1;
            let free = format!("moved-{moved}");
            let flags = RenameFlags::NOREPLACE;
            match rustix::fs::renameat_with(&directory, &child, tree, free.as_str(), flags) {
                // The tree has one of that name.
                Err(Errno::EXIST) => {}
                renamed => break renamed?,
            }
        }
    }
    rustix::fs::unlinkat(tree, name, AtFlags::REMOVEDIR)
}

/// Removes anything but a directory with something in it; false for that.
fn unlink(parent: BorrowedFd<'_>, name: &CString) -> Result<bool, Errno> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Err(Errno::ISDIR) => match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
            Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
            removed => removed.map(|()| true),
        },
        removed => removed.map(|()| true),
    }
}

/// Through no link, and not into another mount.
pub fn open(parent: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    rustix::fs::openat2(parent, name, flags, Mode::empty(), resolve)
}

fn entries(directory: BorrowedFd<'_>) -> Result<Vec<CString>, Errno> {
    let names = Dir::read_from(directory)?.map(|entry| Ok(entry?.file_name().to_owned()));
    let names: Vec<CString> = names.collect::<Result<_, Errno>>()?;
    Ok(names.into_iter().filter(|name| ![c".", c".."].contains(&name.as_c_str())).collect())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_tree_of_any_depth_goes_and_what_links_lead_to_stays() {
        let home = tempfile::tempdir().unwrap();
        let at = |path: &str| home.path().join(path);
        fs::create_dir_all(at("tree/a/b/c")).unwrap();
        fs::create_dir_all(at("tree/moved-1/x/y")).unwrap();
        fs::create_dir(at("kept")).unwrap();
        fs::write(at("kept/file"), "").unwrap();
        std::os::unix::fs::symlink(at("kept"), at("tree/a/b/link")).unwrap();
        fs::write(at("tree/a/b/c/file"), "").unwrap();
        let mut deep = rustix::fs::open(at("tree"), OFlags::PATH, Mode::empty()).unwrap();
        for _ in 0..1500 {
            rustix::fs::mkdirat(&deep, "d", Mode::RWXU).unwrap();
            deep = rustix::fs::openat(&deep, "d", OFlags::PATH, Mode::empty()).unwrap();
        }
        let parent = rustix::fs::open(home.path(), OFlags::PATH, Mode::empty()).unwrap();
        remove(parent.as_fd(), &c"tree".to_owned()).unwrap();
        remove(parent.as_fd(), &c"tree".to_owned()).unwrap();
        assert!(!at("tree").exists() && at("kept/file").exists());
        std::os::unix::fs::symlink(at("kept"), at("link")).unwrap();
        remove(parent.as_fd(), &c"link".to_owned()).unwrap_err();
        assert!(at("kept/file").exists());
    }

    #[test]
    fn what_is_being_removed_does_not_have_its_name_any_more() {
        let home = tempfile::tempdir().unwrap();
        let at = |path: &str| home.path().join(path);
        let parent = rustix::fs::open(home.path(), OFlags::PATH, Mode::empty()).unwrap();
        for expected in [c"discarded-1", c"discarded-2"] {
            fs::create_dir_all(at("layer/usr/upper")).unwrap();
            let aside = set_aside(parent.as_fd(), &c"layer".to_owned()).unwrap();
            assert_eq!((aside.as_c_str(), at("layer").exists()), (expected, false));
        }
        // As for one that was cut short.
        assert!(at("discarded-1/usr/upper").exists());
        remove(parent.as_fd(), &c"discarded-1".to_owned()).unwrap();
        assert!(!at("discarded-1").exists() && at("discarded-2/usr").exists());
    }
}
