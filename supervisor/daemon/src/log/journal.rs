//! The journal's native protocol: one datagram of fields for each entry.
//!
//! <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::OnceLock;

/// A longer message is cut: a datagram holds about 200 KiB.
const MAX_MESSAGE: usize = 64 * 1024;

#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    /// `None` where no descriptor was left.
    socket: OnceLock<Option<UnixDatagram>>,
}

impl Journal {
    /// The journal at this socket, which may come and go.
    pub fn new(path: PathBuf) -> Self {
        Self { path, socket: OnceLock::new() }
    }

    /// Sends an entry, or drops it where there is no journal or it does not keep up: the file has it too.
    pub fn send(&self, fields: &[(&str, &str)]) {
        let Some(socket) = self.socket.get_or_init(|| open().ok()) else { return };
        let mut datagram = Vec::with_capacity(512);
        for (name, value) in fields {
            put(&mut datagram, name, value);
        }
        // The file is the record; that a machine has no journal is no news.
        let _ = socket.send_to(&datagram, &self.path);
    }
}

fn open() -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// `NAME=value`, or where the value has a line feed: the name, its length in 64 bits (little endian), the value.
fn put(datagram: &mut Vec<u8>, name: &str, value: &str) {
    let value = value.as_bytes();
    let value = value.get(..MAX_MESSAGE).unwrap_or(value);
    datagram.extend_from_slice(name.as_bytes());
    match value.contains(&b'\n') {
        false => datagram.push(b'='),
        true => {
            datagram.push(b'\n');
            datagram.extend_from_slice(&(value.len() as u64).to_le_bytes());
        }
    }
    datagram.extend_from_slice(value);
    datagram.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_one_datagram_of_fields() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("socket");
        let journal = Journal::new(path.clone());
        journal.send(&[("MESSAGE", "nobody listens")]);
        let listener = UnixDatagram::bind(&path).expect("bound");
        journal.send(&[("MESSAGE", "two\nlines"), ("PRIORITY", "3")]);
        let mut received = [0; 128];
        let length = listener.recv(&mut received).expect("received");
        assert_eq!(
            received.get(..length).expect("in range"),
            b"MESSAGE\n\x09\0\0\0\0\0\0\0two\nlines\nPRIORITY=3\n"
        );
    }
}
