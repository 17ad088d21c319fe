//! The IPC socket of one component.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};

use tokio::net::UnixListener;

use super::fence::FenceError;
use crate::layout::Layout;

/// The component's own socket, new, and a second descriptor of it for the launcher to keep.
pub fn bind(layout: &Layout, slot: u32) -> Result<(UnixListener, OwnedFd), FenceError> {
    let path = layout.ipc_socket(slot);
    let bound = || -> io::Result<_> {
        if let Some(directory) = path.parent() {
            // Nobody on the host gets this far: the directory above is the daemon's alone.
            fs::DirBuilder::new().recursive(true).mode(0o755).create(directory)?;
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = std::os::unix::net::UnixListener::bind(&path)?;
        // Any user of the fence may connect; who is in the fence is what counts.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666))?;
        let spare = OwnedFd::from(listener.try_clone()?);
        Ok((listener_from(listener.into())?, spare))
    };
    bound().map_err(|source| FenceError::Socket { path: path.clone(), source })
}

pub(super) fn listener_from(descriptor: OwnedFd) -> io::Result<UnixListener> {
    let listener = std::os::unix::net::UnixListener::from(descriptor);
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}
