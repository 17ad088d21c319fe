//! One message per SOCK_SEQPACKET datagram, descriptors beside it: see unix(7).
//!
//! Works on a blocking and on a non-blocking socket alike. Whoever waits with an event loop takes the
//! descriptor from [`AsFd`] and asks [`Failure::would_block`].

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::protocol::MAX_MESSAGE;

/// Most descriptors in one message (the kernel's SCM_MAX_FD).
pub const MAX_DESCRIPTORS: usize = 253;

/// One end of a SOCK_SEQPACKET connection.
#[derive(Debug)]
pub struct Connection {
    socket: OwnedFd,
}

/// A message as it came, not yet understood.
#[derive(Debug)]
pub struct Packet {
    pub bytes: Vec<u8>,
    /// Close-on-exec.
    pub descriptors: Vec<OwnedFd>,
    /// The sending process, numbered as this process sees it; only after [`Connection::name_senders`].
    pub sender: Option<i32>,
}

#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("socket: {0}")]
    Socket(#[from] Errno),
    #[error("a message of {0} bytes: {MAX_MESSAGE} at most")]
    TooLarge(usize),
    #[error("{0} descriptors: {MAX_DESCRIPTORS} at most")]
    TooMany(usize),
    #[error(
        "the peer sent more than fits: {MAX_MESSAGE} bytes and {MAX_DESCRIPTORS} descriptors at most"
    )]
    Truncated,
    #[error("the peer sent what is no message: {0}")]
    Malformed(serde_json::Error),
    #[error("a message that cannot be written: {0}")]
    Unwritable(serde_json::Error),
}

impl Failure {
    /// Whether a non-blocking socket was merely not ready.
    pub fn would_block(&self) -> bool {
        matches!(self, Self::Socket(Errno::AGAIN))
    }
}

impl From<Failure> for std::io::Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Socket(errno) => errno.into(),
            other => Self::new(std::io::ErrorKind::InvalidData, other),
        }
    }
}

impl From<OwnedFd> for Connection {
    fn from(socket: OwnedFd) -> Self {
        Self { socket }
    }
}

impl From<Connection> for OwnedFd {
    fn from(connection: Connection) -> Self {
        connection.socket
    }
}

impl AsRawFd for Connection {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Connection {
    /// Two connected ends; both block.
    pub fn pair() -> Result<(Self, Self), Failure> {
        let (one, other) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok((one.into(), other.into()))
    }

    /// Connects to a listening socket; the result does not block.
    pub fn connect(path: &Path) -> Result<Self, Failure> {
        let socket = rustix::net::socket_with(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            None,
        )?;
        rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
        Ok(Self { socket })
    }

    /// Makes later calls fail with [`Failure::would_block`] where they would have waited.
    pub fn set_nonblocking(&self) -> Result<(), Failure> {
        Ok(rustix::io::ioctl_fionbio(&self.socket, true)?)
    }

    /// From now on each [`Packet`] says who sent it (SO_PASSCRED).
    pub fn name_senders(&self) -> Result<(), Failure> {
        Ok(rustix::net::sockopt::set_socket_passcred(&self.socket, true)?)
    }

    pub fn send<T: Serialize>(
        &self,
        message: &T,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), Failure> {
        let bytes = serde_json::to_vec(message).map_err(Failure::Unwritable)?;
        self.send_bytes(&bytes, descriptors)
    }

    pub fn send_bytes(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<(), Failure> {
        if bytes.len() > MAX_MESSAGE {
            return Err(Failure::TooLarge(bytes.len()));
        }
        let mut space =
            vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if descriptors.len() > MAX_DESCRIPTORS {
            return Err(Failure::TooMany(descriptors.len()));
        }
        if !descriptors.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(descriptors));
        }
        rustix::io::retry_on_intr(|| {
            rustix::net::sendmsg(
                &self.socket,
                &[IoSlice::new(bytes)],
                &mut control,
                SendFlags::NOSIGNAL,
            )
        })?;
        Ok(())
    }

    /// The next message with its descriptors, or `None` once the peer is gone.
    pub fn recv<T: DeserializeOwned>(&self) -> Result<Option<(T, Vec<OwnedFd>)>, Failure> {
        self.recv_packet()?
            .map(|packet| {
                let message = serde_json::from_slice(&packet.bytes).map_err(Failure::Malformed)?;
                Ok((message, packet.descriptors))
            })
            .transpose()
    }

    /// Like [`Self::recv`], without looking at what the message says.
    pub fn recv_packet(&self) -> Result<Option<Packet>, Failure> {
        // MSG_TRUNC asks for the real length: the buffer is as large as this message, no larger.
        let peeked = rustix::io::retry_on_intr(|| {
            rustix::net::recv(&self.socket, &mut [0u8; 1][..], RecvFlags::PEEK | RecvFlags::TRUNC)
        });
        let length = match peeked {
            Ok((_, length)) => length,
            // The peer went without reading everything: gone all the same.
            Err(Errno::CONNRESET) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        let mut bytes = vec![0; length.clamp(1, MAX_MESSAGE)];
        let mut space = vec![
            MaybeUninit::uninit();
            rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS), ScmCredentials(1))
        ];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = rustix::io::retry_on_intr(|| {
            rustix::net::recvmsg(
                &self.socket,
                &mut [IoSliceMut::new(&mut bytes)],
                &mut control,
                RecvFlags::CMSG_CLOEXEC,
            )
        })?;

        let mut descriptors = Vec::new();
        let mut sender = None;
        for message in control.drain() {
            match message {
                RecvAncillaryMessage::ScmRights(received) => descriptors.extend(received),
                RecvAncillaryMessage::ScmCredentials(peer) => {
                    sender = Some(peer.pid.as_raw_nonzero().get())
                }
                _ => {}
            }
        }
        if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
            return Err(Failure::Truncated);
        }
        // No message of ours is empty, so that nothing means the end.
        if received.bytes == 0 {
            return Ok(None);
        }
        bytes.truncate(received.bytes);
        Ok(Some(Packet { bytes, descriptors, sender }))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn messages_and_descriptors_arrive_together_and_in_order() {
        let (one, other) = Connection::pair().unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        one.send(&"first", &[writer.as_fd()]).unwrap();
        one.send(&"second", &[]).unwrap();
        drop((one, writer));

        let (message, mut descriptors) = other.recv::<String>().unwrap().unwrap();
        assert_eq!(message, "first");
        std::fs::File::from(descriptors.remove(0)).write_all(b"through").unwrap();
        let mut text = String::new();
        (&reader).read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");
        assert_eq!(other.recv::<String>().unwrap().unwrap().0, "second");
        assert!(other.recv::<String>().unwrap().is_none(), "the peer is gone");
    }

    #[test]
    fn too_much_is_an_error_on_either_side() {
        let (one, other) = Connection::pair().unwrap();
        let long = vec![b' '; MAX_MESSAGE + 1];
        assert!(matches!(one.send_bytes(&long, &[]), Err(Failure::TooLarge(_))));
        rustix::net::send(&one, &long, SendFlags::empty()).unwrap();
        assert!(matches!(other.recv::<String>(), Err(Failure::Truncated)));
        let many = vec![one.as_fd(); MAX_DESCRIPTORS + 1];
        assert!(matches!(one.send(&1, &many), Err(Failure::TooMany(_))));
        one.send(&1, &many[1..]).unwrap();
        assert_eq!(other.recv::<u8>().unwrap().unwrap().1.len(), MAX_DESCRIPTORS);
    }

    #[test]
    fn what_is_no_message_is_malformed_and_the_next_one_still_arrives() {
        let (one, other) = Connection::pair().unwrap();
        one.send_bytes(b"\xff{", &[]).unwrap();
        one.send(&7u8, &[]).unwrap();
        assert!(matches!(other.recv::<u8>(), Err(Failure::Malformed(_))));
        assert_eq!(other.recv::<u8>().unwrap().unwrap().0, 7);
    }

    #[test]
    fn a_non_blocking_end_says_that_it_would_block_and_names_senders_when_asked() {
        let (one, other) = Connection::pair().unwrap();
        other.set_nonblocking().unwrap();
        assert!(other.recv::<u8>().unwrap_err().would_block());
        other.name_senders().unwrap();
        one.send(&1u8, &[]).unwrap();
        assert_eq!(other.recv_packet().unwrap().unwrap().sender, Some(std::process::id() as i32));
    }
}
