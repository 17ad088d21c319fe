//! Calls about sockets: whether they would not reach what they are for, since the fence has a network of its own.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use hedgerow_isolation::network::{Port, Transport};
use hedgerow_isolation::observation::Remedy;
use hedgerow_isolation::plan::Network;
use rustix::net::SocketType;

use super::Brief;
use super::paths::{self, Act, Wanted};
use super::tracee::Tracee;

/// `struct sockaddr_un` of the largest kind, which is longer than those of the internet.
const MAX_ADDRESS: usize = 110;

/// See [`crate::network`]: as link-local addresses are.
const METADATA: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);

/// The name service of the host is within reach.
const DOMAIN: u16 = 53;

#[derive(Debug, PartialEq, Eq)]
enum Address {
    Internet(SocketAddr),
    Path(Vec<u8>),
    Abstract(Vec<u8>),
}

impl Address {
    fn of(bytes: &[u8]) -> Option<Self> {
        let (family, rest) =
            bytes.split_first_chunk().map(|(f, rest)| (u16::from_ne_bytes(*f), rest))?;
        match i32::from(family) {
            libc::AF_UNIX => match rest.split_first()? {
                (0, name) => Some(Self::Abstract(name.to_owned())),
                _ => Some(Self::Path(rest.split(|&byte| byte == 0).next()?.to_owned())),
            },
            libc::AF_INET => {
                let (port, rest) = rest.split_first_chunk()?;
                let ip: [u8; 4] = *rest.first_chunk()?;
                Some(Self::internet(Ipv4Addr::from(ip).into(), *port))
            }
            libc::AF_INET6 => {
                let (port, rest) = rest.split_first_chunk()?;
                let ip: [u8; 16] = *rest.get(4..)?.first_chunk()?;
                Some(Self::internet(Ipv6Addr::from(ip).to_canonical(), *port))
            }
            _ => None,
        }
    }

    fn internet(ip: IpAddr, port: [u8; 2]) -> Self {
        Self::Internet(SocketAddr::new(ip, u16::from_be_bytes(port)))
    }
}

/// What a call was for, and what would give it. `None` where nothing is denied.
pub fn judge(
    tracee: &Tracee,
    call: &str,
    arguments: [u64; 6],
    brief: &Brief,
) -> io::Result<Option<(String, Remedy)>> {
    let [a, b, c, d, _, _] = arguments;
    let is_own = brief.network != Network::Host;
    match call {
        "socket" => Ok(kind(tracee, a as i32, b as i32, is_own)),
        "setsockopt" if is_own => {
            let group: Option<[u8; 4]> = tracee.bytes(d, 4)?.try_into().ok();
            let group = group.map(|group| format!("multicast {}", Ipv4Addr::from(group)));
            Ok(group.map(|group| (group, Remedy::HostNetwork)))
        }
        "connect" | "bind" => {
            let length = usize::try_from(c).unwrap_or(usize::MAX).min(MAX_ADDRESS);
            let Some(address) = Address::of(&tracee.bytes(b, length)?) else { return Ok(None) };
            match (call, address) {
                ("connect", Address::Path(path)) => connect_path(tracee, &path, brief),
                ("connect", Address::Abstract(name)) if is_own => Ok(connect_abstract(&name)),
                ("connect", Address::Internet(to)) if is_own => {
                    connect(tracee, a as i32, to, brief)
                }
                ("bind", Address::Internet(at)) if is_own => bind(tracee, a as i32, at, brief),
                _ => Ok(None),
            }
        }
        _ => Ok(None),
    }
}

fn kind(tracee: &Tracee, family: i32, kind: i32, is_own: bool) -> Option<(String, Remedy)> {
    let is_raw = kind & 0xf == libc::SOCK_RAW && !tracee.credentials.may_send_raw();
    match family {
        libc::AF_CAN if is_own => Some(("CAN bus".to_owned(), Remedy::HostNetwork)),
        libc::AF_BLUETOOTH if is_own => Some(("Bluetooth".to_owned(), Remedy::HostNetwork)),
        libc::AF_PACKET => Some(("raw packets".to_owned(), Remedy::None)),
        libc::AF_INET | libc::AF_INET6 if is_raw => {
            Some(("raw internet packets".to_owned(), Remedy::None))
        }
        _ => None,
    }
}

fn connect_path(
    tracee: &Tracee,
    path: &[u8],
    brief: &Brief,
) -> io::Result<Option<(String, Remedy)>> {
    let named = Path::new(std::ffi::OsStr::from_bytes(path));
    let path = paths::absolute(tracee, libc::AT_FDCWD, named)?;
    let wanted = Wanted { path, act: Act::Connect, follows: true };
    let remedy = paths::judge(tracee, &wanted, brief.ids);
    Ok(remedy.map(|remedy| (wanted.path.display().to_string(), remedy)))
}

/// Names of sockets in `/proc/net/unix` begin with `@` where they are abstract.
fn connect_abstract(name: &[u8]) -> Option<(String, Remedy)> {
    let name = format!("@{}", String::from_utf8_lossy(name).replace('\0', "@"));
    let sockets = fs::read("/proc/net/unix").unwrap_or_default();
    let sockets = String::from_utf8_lossy(&sockets);
    let is_there = sockets.lines().any(|line| line.split_whitespace().nth(7) == Some(&name));
    is_there.then_some((name, Remedy::HostNetwork))
}

fn connect(
    tracee: &Tracee,
    socket: i32,
    to: SocketAddr,
    brief: &Brief,
) -> io::Result<Option<(String, Remedy)>> {
    let transport = transport(tracee, socket)?;
    let is_published = |port: &Port| port.host == to.port() && Some(port.transport) == transport;
    let is_published = brief.elsewhere.iter().chain(&brief.grant.ports).any(is_published);
    // Port 0 is what address sorting asks routes about.
    if to.port() == 0 || is_published {
        return Ok(None);
    }
    let remedy = if to.ip().is_loopback() {
        let (own, host) = tables(tracee, transport)?;
        (!is_served(&own, to.port()) && is_served(&host, to.port())).then_some(Remedy::HostNetwork)
    } else if is_guarded(to.ip()) {
        (!brief.link_local).then_some(Remedy::LinkLocal)
    } else {
        (to.port() != DOMAIN && is_of_this_host(to.ip())).then_some(Remedy::HostNetwork)
    };
    Ok(remedy.map(|remedy| (to.to_string(), remedy)))
}

fn bind(
    tracee: &Tracee,
    socket: i32,
    at: SocketAddr,
    brief: &Brief,
) -> io::Result<Option<(String, Remedy)>> {
    let Some(transport) = transport(tracee, socket)? else { return Ok(None) };
    let (host, inside) = (at.port(), at.port());
    let is_published =
        brief.grant.ports.iter().any(|port| port.inside == inside && port.transport == transport);
    if inside == 0 || at.ip().is_loopback() || is_published {
        return Ok(None);
    }
    let remedy = Remedy::Port(Port { host, inside, transport });
    Ok(Some((format!("{at} for others"), remedy)))
}

fn transport(tracee: &Tracee, socket: i32) -> io::Result<Option<Transport>> {
    Ok(match tracee.socket_type(socket)? {
        SocketType::STREAM => Some(Transport::Tcp),
        SocketType::DGRAM => Some(Transport::Udp),
        _ => None,
    })
}

/// The sockets of the fence, and those of the host: proc_pid_net(5).
fn tables(tracee: &Tracee, transport: Option<Transport>) -> io::Result<(String, String)> {
    let names = match transport {
        Some(Transport::Tcp) => ["net/tcp", "net/tcp6"],
        Some(Transport::Udp) => ["net/udp", "net/udp6"],
        None => return Ok(Default::default()),
    };
    // A kernel without IPv6 has no such table.
    let own = names.map(|name| tracee.text(name).unwrap_or_default());
    let host = names.map(|name| fs::read_to_string(Path::new("/proc/self").join(name)));
    Ok((own.concat(), host.map(Result::unwrap_or_default).concat()))
}

/// TCP_LISTEN, and what unconnected UDP sockets have.
const SERVING: [&str; 2] = ["0A", "07"];

fn is_served(table: &str, port: u16) -> bool {
    let end = format!(":{port:04X}");
    table.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, state) = (fields.next(), fields.nth(1));
        local.is_some_and(|local| local.ends_with(&end))
            && state.is_some_and(|state| SERVING.contains(&state))
    })
}

fn is_guarded(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip == METADATA,
        IpAddr::V6(_) => false,
    }
}

/// Nobody can be given an address that is not the host's.
fn is_of_this_host(ip: IpAddr) -> bool {
    !ip.is_unspecified() && !ip.is_multicast() && UdpSocket::bind((ip, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_the_kernel_reads_them() {
        let with = |family: i32, rest: &[u8]| [&(family as u16).to_ne_bytes()[..], rest].concat();
        let internet = |text: &str| Some(Address::Internet(text.parse().unwrap()));
        let cases = [
            (with(libc::AF_INET, b"\x07\x5b\x7f\0\0\x01\0\0"), internet("127.0.0.1:1883")),
            (
                with(libc::AF_INET6, &[&[0, 80, 0, 0, 0, 0][..], &[0; 15], &[1]].concat()),
                internet("[::1]:80"),
            ),
            (
                with(libc::AF_INET6, b"\0\x50\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\x01"),
                internet("10.0.0.1:80"),
            ),
            (with(libc::AF_UNIX, b"/run/x\0junk"), Some(Address::Path(b"/run/x".to_vec()))),
            (with(libc::AF_UNIX, b"\0bus"), Some(Address::Abstract(b"bus".to_vec()))),
            (with(libc::AF_UNIX, b""), None),
            (with(libc::AF_INET, b"\0\x50\x7f"), None),
            (with(libc::AF_NETLINK, b"\0\0\0\0"), None),
            (vec![1], None),
        ];
        for (bytes, expected) in cases {
            assert_eq!(Address::of(&bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn who_listens_is_read_from_the_kernels_tables() {
        let table = "  sl  local_address rem_address   st tx_queue\n   \
             0: 0100007F:075B 00000000:0000 0A 00000000:00000000\n   \
             1: 0100007F:0050 0100007F:9999 01 00000000:00000000\n";
        assert!(is_served(table, 1883) && !is_served(table, 80) && !is_served(table, 9999));
        assert!(is_of_this_host(Ipv4Addr::LOCALHOST.into()));
        assert!(!is_of_this_host(Ipv4Addr::new(192, 0, 2, 1).into()));
    }
}
