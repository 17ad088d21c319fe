//! The descriptors that the launcher's builder leaves open for process 1.

use std::fs::File;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::fs::FileExt;

use hedgerow_isolation::connection::Connection;
use hedgerow_isolation::control::descriptor;
use rustix::io::{FdFlags, fcntl_setfd};

/// Takes over the control socket, so that no step inherits it.
pub fn control() -> io::Result<Connection> {
    // SAFETY: main() calls this once, before anything else opens or takes a descriptor.
    let socket = unsafe { OwnedFd::from_raw_fd(descriptor::CONTROL) };
    fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
    Ok(socket.into())
}

/// The instructions of the seccomp filter of steps, read whole.
pub fn filter() -> io::Result<Vec<libc::sock_filter>> {
    // SAFETY: as above; the file is closed at the end.
    let file = unsafe { File::from_raw_fd(descriptor::FILTER) };
    let mut bytes = vec![0; usize::try_from(file.metadata()?.len()).unwrap_or(0)];
    // The inits of all fences share the file's position.
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes
        .as_chunks::<8>()
        .0
        .iter()
        .map(|&[c0, c1, jt, jf, k0, k1, k2, k3]| libc::sock_filter {
            code: u16::from_ne_bytes([c0, c1]),
            jt,
            jf,
            k: u32::from_ne_bytes([k0, k1, k2, k3]),
        })
        .collect())
}
