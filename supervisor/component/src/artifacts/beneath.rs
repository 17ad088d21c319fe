//! Opening what lies beneath a directory, and only that.

use std::fs::File;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

/// A directory that an author's files are read beneath.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    pub directory: BorrowedFd<'a>,
    /// Someone named it by its path, so that this process opened it and not they: only files that every user
    /// may read (mode `o+r`) are read.
    pub public_only: bool,
}

/// Why a file beneath a directory could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotOpened {
    Missing,
    SymbolicLink,
    NotAFile,
    NotPublic,
    Device(Errno),
}

/// Opens a regular file for reading. A pipe or a device is refused without waiting for it.
pub(super) fn open_file(source: Source<'_>, path: &Path) -> Result<(File, u64), NotOpened> {
    // Without O_NONBLOCK the open of a pipe waits for its writer.
    let file = File::from(open(source, path, OFlag::O_NONBLOCK | OFlag::O_NOCTTY)?);
    let metadata = file.metadata().map_err(|error| {
        NotOpened::Device(Errno::from_raw(error.raw_os_error().unwrap_or_default()))
    })?;
    if !metadata.is_file() {
        return Err(NotOpened::NotAFile);
    }
    let public = metadata.permissions().mode() & 0o004 != 0;
    if source.public_only && !public {
        return Err(NotOpened::NotPublic);
    }
    Ok((file, metadata.len()))
}

/// Opens a directory for listing it.
pub(super) fn open_directory(source: Source<'_>, path: &Path) -> Result<OwnedFd, NotOpened> {
    open(source, path, OFlag::O_DIRECTORY)
}

fn open(source: Source<'_>, path: &Path, flags: OFlag) -> Result<OwnedFd, NotOpened> {
    let how = OpenHow::new().flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | flags).resolve(
        ResolveFlag::RESOLVE_BENEATH
            | ResolveFlag::RESOLVE_NO_SYMLINKS
            | ResolveFlag::RESOLVE_NO_MAGICLINKS,
    );
    loop {
        match openat2(source.directory, path, how) {
            Ok(descriptor) => return Ok(descriptor),
            // RESOLVE_BENEATH gives up with EAGAIN when something was renamed meanwhile.
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(Errno::ENOENT | Errno::ENOTDIR) => return Err(NotOpened::Missing),
            Err(Errno::ELOOP | Errno::EXDEV) => return Err(NotOpened::SymbolicLink),
            // A socket, or a device without a driver.
            Err(Errno::ENXIO | Errno::ENODEV) => return Err(NotOpened::NotAFile),
            Err(errno) => return Err(NotOpened::Device(errno)),
        }
    }
}
