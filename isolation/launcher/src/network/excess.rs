//! Who wants more connections than a fence may have: linux/netfilter/nfnetlink_log.h.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::io::Errno;

use super::netlink::{Family, Messages, Mode, Netlink, attributes};

const PACKET: u16 = 4 << 8;
const CONFIG: u16 = 4 << 8 | 1;

#[derive(Debug)]
pub struct Excess {
    socket: Netlink,
}

impl Excess {
    /// What is told to `group`, which must be nobody's.
    pub fn listen(group: u16) -> io::Result<Self> {
        const BIND: u8 = 1;
        const NOTHING_OF_THE_PACKET: u8 = 1;
        let socket = Netlink::open(Family::Netfilter)?;
        let [high, low] = group.to_be_bytes();
        let mut messages = Messages::default();
        messages.add(CONFIG, Mode::Change, &[0, 0, high, low], |config| {
            config.put(1, &[BIND]);
            config.put(2, &[0, 0, 0, 0, NOTHING_OF_THE_PACKET, 0]);
        });
        socket.run(&messages)?;
        Ok(Self { socket })
    }

    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The numbers of the interfaces by which too much came.
    pub fn take(&self) -> Result<Vec<u32>, Errno> {
        let mut found = Vec::new();
        self.socket.take(|kind, body| {
            found.extend(Some(body).filter(|_| kind == PACKET).and_then(interface));
        })?;
        found.dedup();
        Ok(found)
    }
}

/// The kernel's message of a packet.
pub fn interface(body: &[u8]) -> Option<u32> {
    const HEADER: usize = 4;
    const ARRIVED_BY: u16 = 4;
    let (_, number) = attributes(body.get(HEADER..)?).find(|(kind, _)| *kind == ARRIVED_BY)?;
    Some(u32::from_be_bytes(number.try_into().ok()?))
}
