//! The reference: a bare echo over a Unix socket, the least that any broker could do.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;

use anyhow::Result;

/// Echoes on one connection after the other, for ever.
pub fn serve(socket: &Path) -> Result<()> {
    let listener = UnixListener::bind(socket)?;
    let mut buffer = [0; 64 * 1024];
    loop {
        let (mut peer, _) = listener.accept()?;
        loop {
            // A peer that went away between two messages ends its connection only.
            match peer.read(&mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(length) => peer.write_all(&buffer[..length])?,
            }
        }
    }
}
