//! Packets that a fence holds until the launcher has looked at them: linux/netfilter/nfnetlink_queue.h.

use std::io;
use std::os::fd::BorrowedFd;

use hedgerow_isolation::network::Transport;
use rustix::io::Errno;

use super::netlink::{Family, Messages, Mode, Netlink, attributes};

const PACKET: u16 = 3 << 8;
const VERDICT: u16 = 3 << 8 | 1;
const CONFIG: u16 = 3 << 8 | 2;

/// `struct nfgenmsg` of queue 0.
const QUEUE: [u8; 4] = [0; 4];

/// Bytes that hold the largest IPv4 header and two ports.
const COPIED: u32 = 64;

#[derive(Debug)]
pub struct Held {
    queue: Netlink,
}

/// A packet that waits, and where it wants to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    pub id: u32,
    /// `None`: neither TCP nor UDP.
    pub target: Option<(Transport, u16)>,
}

impl Held {
    /// Takes queue 0 of this network namespace.
    pub fn open() -> io::Result<Self> {
        const BIND: u8 = 1;
        const COPY_PACKET: u8 = 2;
        /// A queue that is full holds nothing more, and everything goes its way.
        const FAIL_OPEN: [u8; 4] = 1_u32.to_be_bytes();
        let queue = Netlink::open(Family::Netfilter)?;
        let mut messages = Messages::default();
        messages.add(CONFIG, Mode::Change, &QUEUE, |config| {
            let [a, b, c, d] = COPIED.to_be_bytes();
            config.put(1, &[BIND, 0, 0, 0]);
            config.put(2, &[a, b, c, d, COPY_PACKET]);
            config.put(4, &FAIL_OPEN);
            config.put(5, &FAIL_OPEN);
        });
        queue.run(&messages)?;
        Ok(Self { queue })
    }

    /// Readable when something waits.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }

    pub fn take(&self) -> Result<Vec<Packet>, Errno> {
        let mut packets = Vec::new();
        self.queue.take(|kind, body| {
            packets.extend(Some(body).filter(|_| kind == PACKET).and_then(packet));
        })?;
        Ok(packets)
    }

    /// Lets it go its way.
    pub fn let_go(&self, packet: Packet) -> Result<(), Errno> {
        const ACCEPT: u32 = 1;
        let mut messages = Messages::default();
        messages.add_silent(VERDICT, &QUEUE, |verdict| {
            verdict.put(2, &[ACCEPT.to_be_bytes(), packet.id.to_be_bytes()].concat());
        });
        // What comes meanwhile is not its answer, but the next packet.
        self.queue.tell(&messages)
    }
}

/// The kernel's message of one.
pub fn packet(body: &[u8]) -> Option<Packet> {
    const HEADER: u16 = 1;
    const PAYLOAD: u16 = 10;
    let value = |wanted| {
        let mut all = attributes(body.get(QUEUE.len()..)?);
        all.find(|(kind, _)| *kind == wanted).map(|(_, value)| value)
    };
    let id = u32::from_be_bytes(value(HEADER)?.get(..4)?.try_into().ok()?);
    Some(Packet { id, target: value(PAYLOAD).and_then(target) })
}

/// Of a packet of IPv4.
fn target(packet: &[u8]) -> Option<(Transport, u16)> {
    let first = *packet.first()?;
    let transport = match i32::from(*packet.get(9)?) {
        libc::IPPROTO_TCP => Transport::Tcp,
        libc::IPPROTO_UDP => Transport::Udp,
        _ => return None,
    };
    let ports = usize::from(first & 0xf) * 4;
    let port = packet.get(ports + 2..ports + 4)?.try_into().ok()?;
    (first >> 4 == 4).then_some((transport, u16::from_be_bytes(port)))
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::super::link;
    use super::super::loopback::Loopback;
    use super::super::nftables::Batch;
    use super::super::rules;
    use super::*;

    #[test]
    fn letting_one_go_forgets_none_that_came_meanwhile() {
        // This thread's alone.
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("needs root");
        link::bring_up_loopback().unwrap();
        let held = Held::open().unwrap();
        let mut batch = Batch::new();
        let netfilter = Netlink::open(Family::Netfilter).unwrap();
        rules::hold(&mut batch, Loopback::probe(&netfilter).unwrap(), 100);
        netfilter.run(&batch.finish()).unwrap();
        let send = || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.send_to(b"x", "127.0.0.1:9").unwrap();
        };
        send();
        let [first] = held.take().unwrap()[..] else { panic!("one is held") };
        send();
        held.let_go(first).unwrap();
        let [second] = held.take().unwrap()[..] else { panic!("the other one is held") };
        held.let_go(second).unwrap();
        assert_ne!(first.id, second.id);
    }

    #[test]
    fn a_packet_says_where_it_wants_to_go() {
        let message = |payload: &[u8]| {
            let length = u16::try_from(payload.len() + 4).unwrap().to_ne_bytes();
            let id = [11, 0, 1, 0, 0, 0, 0, 7, 8, 0, 3, 0];
            [QUEUE.as_slice(), &id, &length, &10_u16.to_ne_bytes(), payload].concat()
        };
        let mut tcp = [vec![0x46, 0, 0, 0, 0, 0, 0, 0, 64, 6], vec![0; 14]].concat();
        tcp.extend([0x80, 0, 0x1f, 0x90]);
        let wanted = |target| Some(Packet { id: 7, target });
        assert_eq!(packet(&message(&tcp)), wanted(Some((Transport::Tcp, 8080))));
        tcp[9] = 17;
        assert_eq!(packet(&message(&tcp)), wanted(Some((Transport::Udp, 8080))));
        for (index, other) in [(9, 1), (0, 0x66), (0, 0x4f)] {
            let mut payload = tcp.clone();
            payload[index] = other;
            assert_eq!(packet(&message(&payload)), wanted(None));
        }
        assert_eq!(packet(&message(&tcp[..20])), wanted(None));
        assert_eq!(packet(&QUEUE), None);
    }
}
