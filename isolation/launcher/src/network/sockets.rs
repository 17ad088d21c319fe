//! Whose socket would be given what comes to a port of the loopback, by sock_diag(7).

use std::io;
use std::net::Ipv4Addr;

use hedgerow_isolation::network::Transport;
use rustix::io::Errno;

use super::netlink::{Family, Netlink};

// linux/sock_diag.h, linux/inet_diag.h
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const TCP_LISTEN: u8 = 10;
/// Of UDP: one that is not connected.
const TCP_CLOSE: u8 = 7;

/// The user (by the host's number) of the socket that gets what is sent to `port` of 127.0.0.1 in this network
/// namespace. Whatever address it is bound to, and of either version of IP.
pub fn holder(transport: Transport, port: u16) -> io::Result<Option<u32>> {
    let mut found = None;
    let asked = Netlink::open(Family::Sockets)?.ask(
        SOCK_DIAG_BY_FAMILY,
        &request(transport, port),
        |socket| found = user(socket),
    );
    match asked {
        Ok(()) => Ok(found),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// `struct inet_diag_req_v2`. Which end is which is not the same for TCP and UDP: both ends are the same here.
fn request(transport: Transport, port: u16) -> Vec<u8> {
    let protocol = match transport {
        Transport::Tcp => libc::IPPROTO_TCP as u8,
        Transport::Udp => libc::IPPROTO_UDP as u8,
    };
    let mut address = [0; 16];
    address[..4].copy_from_slice(&Ipv4Addr::LOCALHOST.octets());
    let mut request = vec![libc::AF_INET as u8, protocol, 0, 0];
    request.extend(u32::MAX.to_ne_bytes());
    request.extend([port.to_be_bytes(), port.to_be_bytes()].concat());
    request.extend([address, address].concat());
    // Any interface; no cookie.
    request.extend([0_u32.to_ne_bytes(), u32::MAX.to_ne_bytes(), u32::MAX.to_ne_bytes()].concat());
    request
}

/// Of an answer, `struct inet_diag_msg`: the user, where it is a socket that takes what comes from anybody.
pub fn user(answer: &[u8]) -> Option<u32> {
    const USER: usize = 64;
    let takes = [TCP_LISTEN, TCP_CLOSE].contains(answer.get(1)?);
    let user = answer.get(USER..USER + 4)?.try_into().ok()?;
    takes.then_some(u32::from_ne_bytes(user))
}
