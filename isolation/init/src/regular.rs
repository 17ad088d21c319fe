//! Files of the fence: a component may have put anything in their place.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// What is no regular file is refused, and nothing waits for somebody at the other end.
pub fn open(how: &mut OpenOptions, path: impl AsRef<Path>) -> io::Result<File> {
    let file = how.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(io::ErrorKind::InvalidData, "it is no regular file")),
    }
}
