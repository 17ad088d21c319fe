//! netlink(7), as little of it as three families need: messages are put together here, and the kernel's verdict on
//! them is read. It works on a message before sendmsg(2) returns, so nothing here waits.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, sendto,
    socket_with,
};

const REQUEST: u16 = 0x1;
const ACK: u16 = 0x4;
const DUMP: u16 = 0x300;
const EXCL: u16 = 0x200;
const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;

const NESTED: u16 = 0x8000;

const ERROR: u16 = 2;
const DONE: u16 = 3;

const HEADER: usize = 16;

/// Larger than any answer of the kernel: it writes 32 KiB at most at once.
const ANSWER: usize = 64 << 10;

/// What a message does with what may be there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It must be there.
    Change,
    /// It must not.
    Create,
    /// Made where it is missing.
    Ensure,
    /// Put after its like.
    Append,
}

impl Mode {
    fn flags(self) -> u16 {
        match self {
            Self::Change => 0,
            Self::Create => CREATE | EXCL,
            Self::Ensure => CREATE,
            Self::Append => CREATE | APPEND,
        }
    }
}

/// Messages that are sent together.
#[derive(Debug, Default)]
pub struct Messages {
    bytes: Vec<u8>,
    count: u32,
}

impl Messages {
    /// One message: `fixed` is the family's own header.
    pub fn add(&mut self, kind: u16, mode: Mode, fixed: &[u8], body: impl FnOnce(&mut Attributes)) {
        self.push(kind, REQUEST | ACK | mode.flags(), fixed, body);
    }

    /// One that the kernel does not answer unless it fails.
    pub fn add_silent(&mut self, kind: u16, fixed: &[u8], body: impl FnOnce(&mut Attributes)) {
        self.push(kind, REQUEST, fixed, body);
    }

    fn push(&mut self, kind: u16, flags: u16, fixed: &[u8], body: impl FnOnce(&mut Attributes)) {
        self.count += 1;
        let start = self.bytes.len();
        self.bytes.extend([0; 4]);
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(flags.to_ne_bytes());
        self.bytes.extend(self.count.to_ne_bytes());
        self.bytes.extend([0; 4]);
        self.bytes.extend(fixed);
        let mut attributes = Attributes { bytes: std::mem::take(&mut self.bytes) };
        body(&mut attributes);
        self.bytes = attributes.bytes;
        let length = u32::try_from(self.bytes.len() - start).unwrap_or(u32::MAX);
        self.bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
    }
}

/// Attributes of a message, or within one.
#[derive(Debug)]
pub struct Attributes {
    bytes: Vec<u8>,
}

impl Attributes {
    pub fn put(&mut self, kind: u16, value: &[u8]) {
        self.within(kind, |into| into.bytes.extend(value));
    }

    /// A text with its NUL.
    pub fn text(&mut self, kind: u16, value: &str) {
        self.within(kind, |into| {
            into.bytes.extend(value.as_bytes());
            into.bytes.push(0);
        });
    }

    pub fn nest(&mut self, kind: u16, body: impl FnOnce(&mut Self)) {
        self.within(kind | NESTED, body);
    }

    /// A header that stands before attributes within another.
    pub fn fixed(&mut self, value: &[u8]) {
        self.bytes.extend(value);
    }

    fn within(&mut self, kind: u16, body: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.bytes.extend([0; 2]);
        self.bytes.extend(kind.to_ne_bytes());
        body(self);
        let length = u16::try_from(self.bytes.len() - start).unwrap_or(u16::MAX);
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    Route,
    Netfilter,
    /// sock_diag(7).
    Sockets,
}

impl Family {
    fn protocol(self) -> Option<Protocol> {
        match self {
            // NETLINK_ROUTE is 0, which is what no protocol is as well.
            Self::Route => None,
            Self::Netfilter => Some(rustix::net::netlink::NETFILTER),
            Self::Sockets => Some(rustix::net::netlink::SOCK_DIAG),
        }
    }
}

/// A socket to one family of the kernel, in the network namespace in which it was made.
#[derive(Debug)]
pub struct Netlink {
    socket: OwnedFd,
}

impl Netlink {
    pub fn open(family: Family) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let kind = SocketType::RAW;
        let socket = socket_with(AddressFamily::NETLINK, kind, flags, family.protocol())?;
        Ok(Self { socket })
    }

    /// One that is readable once somebody has changed what this machine has of nftables.
    pub fn watch_rules() -> io::Result<Self> {
        // linux/netfilter/nfnetlink.h: the group NFNLGRP_NFTABLES, as a bit.
        const NFTABLES: u32 = 1 << (7 - 1);
        let watch = Self::open(Family::Netfilter)?;
        bind(&watch.socket, &SocketAddrNetlink::new(0, NFTABLES))?;
        Ok(watch)
    }

    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Forgets what has arrived.
    pub fn drain(&self) -> Result<(), Errno> {
        self.take(|_, _| {})
    }

    /// What has arrived: kind and body of each message.
    pub fn take(&self, mut each: impl FnMut(u16, &[u8])) -> Result<(), Errno> {
        match self.receive(&mut each) {
            // More than it keeps: what was lost is lost.
            Err(Errno::NOBUFS) => self.receive(each),
            taken => taken,
        }
    }

    /// Sends the messages; the first refusal is the error.
    pub fn run(&self, messages: &Messages) -> Result<(), Errno> {
        self.send(&messages.bytes)?;
        let mut verdict = Ok(());
        self.receive(|kind, body| {
            if let (ERROR, Some(code)) = (kind, integer(body)) {
                verdict = verdict.and(refusal(code));
            }
        })?;
        verdict
    }

    /// Sends messages that are not answered, and leaves what has arrived meanwhile to be taken.
    pub fn tell(&self, messages: &Messages) -> Result<(), Errno> {
        self.send(&messages.bytes)
    }

    /// Asks for everything of a kind; `each` is called with the family's header and attributes of each.
    pub fn dump(&self, kind: u16, fixed: &[u8], each: impl FnMut(&[u8])) -> Result<(), Errno> {
        self.query(kind, REQUEST | DUMP, fixed, each)
    }

    /// Asks for one of a kind.
    pub fn ask(&self, kind: u16, fixed: &[u8], each: impl FnMut(&[u8])) -> Result<(), Errno> {
        self.query(kind, REQUEST, fixed, each)
    }

    fn query(
        &self,
        kind: u16,
        flags: u16,
        fixed: &[u8],
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), Errno> {
        let mut messages = Messages::default();
        messages.push(kind, flags, fixed, |_| {});
        self.send(&messages.bytes)?;
        let mut verdict = Ok(());
        self.receive(|kind, body| match (kind, integer(body)) {
            (ERROR, Some(code)) => verdict = verdict.and(refusal(code)),
            (DONE, _) => {}
            _ => each(body),
        })?;
        verdict
    }

    fn send(&self, bytes: &[u8]) -> Result<(), Errno> {
        sendto(&self.socket, bytes, SendFlags::empty(), &SocketAddrNetlink::new(0, 0)).map(drop)
    }

    fn receive(&self, mut each: impl FnMut(u16, &[u8])) -> Result<(), Errno> {
        let mut buffer = vec![0; ANSWER];
        loop {
            let length = match recv(&self.socket, &mut buffer[..], RecvFlags::empty()) {
                Ok((_, length)) => length,
                Err(Errno::AGAIN) => return Ok(()),
                Err(errno) => return Err(errno),
            };
            for (kind, body) in messages(buffer.get(..length).unwrap_or_default()) {
                each(kind, body);
            }
        }
    }
}

/// The attributes in `bytes`: kind and value.
pub fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(bytes.get(2..4)?.try_into().ok()?) & !NESTED;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The messages in `bytes`: kind and body.
pub fn messages(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?)).ok()?;
        let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
        let body = bytes.get(HEADER..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, body))
    })
}

fn integer(body: &[u8]) -> Option<i32> {
    Some(i32::from_ne_bytes(body.get(..4)?.try_into().ok()?))
}

/// 0, or an error number below it.
fn refusal(code: i32) -> Result<(), Errno> {
    if code == 0 { Ok(()) } else { Err(Errno::from_raw_os_error(-code)) }
}
