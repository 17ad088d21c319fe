//! Payloads that come through a descriptor: to the end of a pipe or socket.

use std::fmt::{Debug, Display};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;

use bytes::{Bytes, BytesMut};
use hedgerow_api::{Error, PAYLOAD_TIME};
use hedgerow_function::PAYLOAD_LIMIT;
use nix::sys::stat::{SFlag, fstat};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// Bytes that are read at once.
const PIECE: usize = 64 * 1024;

/// Pieces of all payloads together that are being read: 16 MiB.
static ROOM: Semaphore = Semaphore::const_new(256);

trait Source: AsyncRead + Debug + Send + Unpin {}

impl<S: AsyncRead + Debug + Send + Unpin> Source for S {}

#[derive(Debug)]
pub struct Reader(Box<dyn Source>);

impl Reader {
    /// # Errors
    /// [`Error::InvalidArgument`] where nobody can wait for it: it is neither a pipe nor a socket, or not readable.
    pub fn new(fd: OwnedFd) -> Result<Self, Error> {
        let refuse = |why: &dyn Display| {
            Error::InvalidArgument(format!(
                "the payload's descriptor has to be the read end of a pipe, or a socket: {why}"
            ))
        };
        let kind = fstat(&fd).map_err(|errno| refuse(&errno.desc()))?.st_mode;
        Ok(match SFlag::from_bits_truncate(kind) & SFlag::S_IFMT {
            SFlag::S_IFSOCK => Self(Box::new(socket(fd).map_err(|error| refuse(&error))?)),
            _ => {
                let pipe = pipe::Receiver::from_owned_fd(fd).map_err(|error| refuse(&error))?;
                Self(Box::new(pipe))
            }
        })
    }

    /// All of it, to its end.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] where it is longer than any function takes, takes longer than [`PAYLOAD_TIME`], or
    /// breaks.
    pub async fn whole(self) -> Result<Bytes, Error> {
        let late = |_| {
            let seconds = PAYLOAD_TIME.as_secs();
            Error::InvalidArgument(format!("the payload did not end within {seconds} seconds"))
        };
        timeout(PAYLOAD_TIME, self.collect()).await.map_err(late)?
    }

    async fn collect(mut self) -> Result<Bytes, Error> {
        let mut whole = BytesMut::new();
        let mut piece = vec![0; PIECE];
        // Held until the payload is whole: from there on the functions count it.
        let mut room: Vec<SemaphorePermit<'_>> = vec![];
        loop {
            if whole.len() == room.len() * PIECE {
                let more = ROOM.acquire().await;
                room.push(more.map_err(|error| Error::Internal(error.to_string()))?);
            }
            let fits = room.len() * PIECE - whole.len();
            let count = self.0.read(&mut piece[..fits]).await.map_err(|error| broken(&error))?;
            if count == 0 {
                return Ok(whole.freeze());
            }
            whole.extend_from_slice(&piece[..count]);
            if whole.len() > PAYLOAD_LIMIT {
                return Err(Error::InvalidArgument(format!(
                    "the payload has more than {PAYLOAD_LIMIT} bytes"
                )));
            }
        }
    }
}

fn socket(fd: OwnedFd) -> io::Result<UnixStream> {
    let socket = StdStream::from(fd);
    socket.set_nonblocking(true)?;
    UnixStream::from_std(socket)
}

fn broken(error: &io::Error) -> Error {
    Error::InvalidArgument(format!("the payload cannot be read to its end: {error}"))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use super::*;

    #[tokio::test]
    async fn a_payload_comes_in_pieces_and_is_neither_endless_nor_a_file() {
        let (source, mut sink) = std::io::pipe().unwrap();
        let writer = std::thread::spawn(move || {
            for _ in 0..40 {
                sink.write_all(&[b'x'; 10_000]).unwrap();
            }
        });
        let reader = Reader::new(source.into()).unwrap();
        assert_eq!(reader.whole().await.unwrap(), vec![b'x'; 400_000]);
        writer.join().unwrap();

        let (source, mut sink) = std::io::pipe().unwrap();
        // It ends when nobody reads it any more.
        let writer = std::thread::spawn(move || while sink.write_all(&[0; PIECE]).is_ok() {});
        let error = Reader::new(source.into()).unwrap().whole().await.unwrap_err();
        assert!(error.to_string().contains("more than"), "{error}");
        writer.join().unwrap();

        let (source, sink) = std::io::pipe().unwrap();
        for fd in [File::open("/dev/null").unwrap().into(), sink.into()] {
            let error = Reader::new(fd).unwrap_err();
            assert!(error.to_string().contains("pipe"), "{error}");
        }
        drop(source);
    }

    #[tokio::test(start_paused = true)]
    async fn a_payload_that_does_not_end_has_a_deadline() {
        let (source, _sink) = std::io::pipe().unwrap();
        let error = Reader::new(source.into()).unwrap().whole().await.unwrap_err();
        assert!(error.to_string().contains("30 seconds"), "{error}");
    }
}
