//! Sockets of the daemon's in the network of a fence.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::namespace::Namespace;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 128;

/// TCP sockets that listen at ports of 127.0.0.1 in the network namespace of process `init`. They are the host root's:
/// to dependents of the fence, the ports are not the fence's to lead to (see [`super::loopback`]).
pub fn on_loopback(init: i32, ports: &[u16]) -> io::Result<Vec<OwnedFd>> {
    if ports.is_empty() {
        return Ok(Vec::new());
    }
    Namespace::of(init)?.within(|| ports.iter().copied().map(listen).collect())
}

fn listen(port: u16) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    rustix::net::bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket)
}
