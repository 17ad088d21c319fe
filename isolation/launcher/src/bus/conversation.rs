//! One connection: what either side writes goes to the other, descriptors too. Only the client's word on who it is
//! becomes the truth (D-Bus specification, "Authentication Protocol").

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

const BUFFER: usize = 64 * 1024;

/// Most descriptors of one message: SCM_MAX_FD of unix(7).
const DESCRIPTORS: usize = 253;

/// Longest line of the authentication, as in the reference implementation.
const LINE: usize = 16 * 1024;

/// Until either side has closed.
pub fn relay(client: BorrowedFd<'_>, server: BorrowedFd<'_>, user: u32) -> io::Result<()> {
    let mut authentication = Authentication::of(user);
    let mut buffer = vec![0; BUFFER];
    let mut there = Way::new(client, server);
    let mut back = Way::new(server, client);
    loop {
        let mut awaited = [there.awaits(), back.awaits()];
        rustix::io::retry_on_intr(|| poll(&mut awaited, None))?;
        let [there_ready, back_ready] = awaited.map(|source| !source.revents().is_empty());
        if there_ready && !there.go_on(&mut buffer, |bytes| authentication.pass(bytes))? {
            return Ok(());
        }
        if back_ready && !back.go_on(&mut buffer, |bytes| Ok(bytes.to_vec()))? {
            return Ok(());
        }
    }
}

/// One direction. Nothing more is read before what was read is written: neither side makes this process grow, and
/// neither waits for the other direction.
struct Way<'a> {
    from: BorrowedFd<'a>,
    to: BorrowedFd<'a>,
    bytes: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

impl<'a> Way<'a> {
    fn new(from: BorrowedFd<'a>, to: BorrowedFd<'a>) -> Self {
        Self { from, to, bytes: Vec::new(), descriptors: Vec::new() }
    }

    fn awaits(&self) -> PollFd<'a> {
        match self.bytes.is_empty() {
            true => PollFd::from_borrowed_fd(self.from, PollFlags::IN),
            false => PollFd::from_borrowed_fd(self.to, PollFlags::OUT),
        }
    }

    /// False once `from` has closed.
    fn go_on(
        &mut self,
        buffer: &mut [u8],
        change: impl FnOnce(&[u8]) -> io::Result<Vec<u8>>,
    ) -> io::Result<bool> {
        if self.bytes.is_empty() {
            let (count, descriptors) = receive(self.from, buffer)?;
            if count == 0 {
                return Ok(false);
            }
            self.bytes = change(buffer.get(..count).unwrap_or_default())?;
            self.descriptors.extend(descriptors);
        }
        match send(self.to, &self.bytes, &self.descriptors) {
            Ok(sent) => {
                self.bytes.drain(..sent);
                self.descriptors.clear();
                Ok(true)
            }
            Err(Errno::AGAIN) => Ok(true),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// What a client says before its first message.
struct Authentication {
    /// The bus's words for the user.
    identity: String,
    /// The beginning of a line.
    begun: Vec<u8>,
    is_over: bool,
}

impl Authentication {
    fn of(user: u32) -> Self {
        let identity = user.to_string().bytes().map(|digit| format!("{digit:02x}")).collect();
        Self { identity, begun: Vec::new(), is_over: false }
    }

    /// What goes on to the bus of what the client has written.
    fn pass(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        if self.is_over {
            return Ok(bytes.to_vec());
        }
        self.begun.extend_from_slice(bytes);
        let mut passed = Vec::new();
        while !self.is_over
            && let Some(end) = self.begun.windows(2).position(|pair| pair == b"\r\n")
        {
            let rest = self.begun.split_off(end + 2);
            let line = std::mem::replace(&mut self.begun, rest);
            passed.extend(self.line(&line));
        }
        if self.is_over {
            passed.append(&mut self.begun);
        }
        if self.begun.len() > LINE {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(passed)
    }

    /// `line` has its end, and the first one the byte 0 that opens a connection.
    fn line(&mut self, line: &[u8]) -> Vec<u8> {
        let (start, text) = match line.split_first() {
            Some((0, text)) => (&b"\0"[..], text),
            _ => (&b""[..], line),
        };
        self.is_over = text == b"BEGIN\r\n";
        let says_who = [&b"AUTH EXTERNAL "[..], b"DATA "];
        match says_who.iter().find(|words| text.starts_with(words)) {
            Some(words) => [start, *words, self.identity.as_bytes(), b"\r\n"].concat(),
            None => line.to_vec(),
        }
    }
}

fn receive(from: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        recvmsg(from, &mut [IoSliceMut::new(buffer)], &mut control, RecvFlags::CMSG_CLOEXEC)
    })?;
    let descriptors = control.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(received) => received.collect(),
        _ => Vec::new(),
    });
    let descriptors = descriptors.collect();
    Ok((received.bytes, descriptors))
}

/// As many bytes as there is room for; all descriptors go with the first.
fn send(to: BorrowedFd<'_>, bytes: &[u8], descriptors: &[OwnedFd]) -> Result<usize, Errno> {
    if bytes.is_empty() {
        return Ok(0);
    }
    let borrowed: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !borrowed.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(&borrowed));
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    rustix::io::retry_on_intr(|| sendmsg(to, &[IoSlice::new(bytes)], &mut control, flags))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(parts: &[&[u8]]) -> Vec<u8> {
        let mut authentication = Authentication::of(12);
        parts.iter().flat_map(|part| authentication.pass(part).unwrap()).collect()
    }

    #[test]
    fn who_a_client_is_becomes_the_truth_and_nothing_else_changes() {
        let said =
            b"\0AUTH EXTERNAL 31303030\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\nl\x01AUTH EXTERNAL 30\r\n";
        let expected =
            b"\0AUTH EXTERNAL 3132\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\nl\x01AUTH EXTERNAL 30\r\n";
        assert_eq!(passed(&[said]), expected);
        let single: Vec<&[u8]> = said.chunks(1).collect();
        assert_eq!(passed(&single), expected);
        let silent = b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";
        assert_eq!(passed(&[silent]), silent);
        assert_eq!(
            passed(&[b"\0AUTH EXTERNAL\r\nDATA 30\r\n"]),
            b"\0AUTH EXTERNAL\r\nDATA 3132\r\n"
        );
    }

    #[test]
    fn a_line_without_an_end_is_refused() {
        assert!(Authentication::of(1).pass(&vec![b'A'; LINE + 1]).is_err());
    }
}
