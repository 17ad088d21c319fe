//! `hedgerow logs`.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;

use crate::failure::Failure;
use crate::session::Session;

pub async fn run(
    session: &Session,
    name: &str,
    follow: bool,
    lines: Option<u32>,
) -> Result<(), Failure> {
    let component = session.component(name).await?;
    let stream = component.open_log(follow, lines.unwrap_or(0)).await?;
    copy(File::from(OwnedFd::from(stream)))
}

/// Byte for byte, and at once: a follower wants to see each line when it is written.
fn copy(mut stream: File) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Failure::Stream(error)),
        };
        let read = buffer.get(..count).unwrap_or_default();
        stdout.write_all(read).and_then(|()| stdout.flush()).map_err(Failure::Output)?;
    }
}
