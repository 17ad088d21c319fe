//! The pair of virtual interfaces that joins a fence to the host, made by rtnetlink(7) in the builder.
//!
//! ```text
//!  host                                         fence
//!  hr<launcher>-<number>  ───── veth pair ─────  eth0
//!  gateway/32, a route to address/32             address/32, everything by way of the gateway
//! ```
//! No bridge: fences share no segment, so none can answer for another. Both ends go with the fence's namespace,
//! however it ends.

use std::fs;
use std::io;
use std::net::Ipv4Addr;

use hedgerow_isolation::plan::IdRange;
use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketType, socket};
use serde::{Deserialize, Serialize};

use super::namespace::Namespace;
use super::netlink::{Family, Messages, Mode, Netlink};

/// Name of a fence's own end.
pub const INSIDE: &str = "eth0";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Name of the host's end.
    pub name: String,
    /// The fence's.
    pub address: Ipv4Addr,
    /// The host's, on each link the same.
    pub gateway: Ipv4Addr,
    /// Whether the host reaches the fence by way of its own loopback address as well.
    pub from_loopback: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}: {1}")]
    System(&'static str, io::Error),
}

// linux/rtnetlink.h, linux/if_link.h, linux/veth.h, linux/if_addr.h
const RTM_NEWLINK: u16 = 16;
const RTM_SETLINK: u16 = 19;
const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINKINFO: u16 = 18;
const IFLA_AF_SPEC: u16 = 26;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const IFLA_INET_CONF: u16 = 1;
const IPV4_DEVCONF_ROUTE_LOCALNET: u16 = 26;
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
const ADDR_GEN_MODE_NONE: u8 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PREFSRC: u16 = 7;
const RT_TABLE_MAIN: u8 = 254;
const RTPROT_STATIC: u8 = 4;
const RT_SCOPE_UNIVERSE: u8 = 0;
const RT_SCOPE_LINK: u8 = 253;
const RTN_UNICAST: u8 = 1;
const RTNH_F_ONLINK: u32 = 4;
const IFF_UP: u32 = 1;
const AF_INET: u8 = libc::AF_INET as u8;
const AF_INET6: u8 = libc::AF_INET6 as u8;

/// Joins the network namespace of process `pid`, of the fence with these ids, to this one.
pub fn join(link: &Link, pid: i32, ids: IdRange) -> Result<(), Error> {
    let failed = |what| move |e: io::Error| Error::System(what, e);
    let theirs = Namespace::of(pid).map_err(failed("cannot open the fence's network namespace"))?;
    let host = Netlink::open(Family::Route).map_err(failed("rtnetlink"))?;
    make_pair(&host, link, &theirs).map_err(failed("cannot make the fence's link"))?;
    set_up_host_end(&host, link).map_err(failed("cannot set up the host's end of the link"))?;
    theirs
        .within(|| set_up_fence_end(link).and_then(|()| loosen(ids)))
        .map_err(failed("cannot set up the fence's end of the link"))
}

/// Whether the kernel knows this kind of link: it looks for the kind before it looks at the address, which is one
/// that no interface may have.
pub fn probe() -> io::Result<()> {
    let mut messages = Messages::default();
    messages.add(RTM_NEWLINK, Mode::Create, &interface(0, 0), |link| {
        link.text(IFLA_IFNAME, "hedgerow-probe");
        link.put(IFLA_ADDRESS, &[0xff; 6]);
        link.nest(IFLA_LINKINFO, |info| info.put(IFLA_INFO_KIND, b"veth"));
    });
    match Netlink::open(Family::Route)?.run(&messages) {
        Err(rustix::io::Errno::ADDRNOTAVAIL) => Ok(()),
        Err(errno) => Err(errno.into()),
        Ok(()) => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// One message makes both, the second where it belongs: there is never a moment with one of them alone.
fn make_pair(host: &Netlink, link: &Link, theirs: &Namespace) -> io::Result<()> {
    let mut messages = Messages::default();
    messages.add(RTM_NEWLINK, Mode::Create, &interface(0, 0), |pair| {
        pair.text(IFLA_IFNAME, &link.name);
        pair.nest(IFLA_LINKINFO, |info| {
            info.put(IFLA_INFO_KIND, b"veth");
            info.nest(IFLA_INFO_DATA, |data| {
                data.nest(VETH_INFO_PEER, |peer| {
                    peer.fixed(&interface(0, 0));
                    peer.text(IFLA_IFNAME, INSIDE);
                    peer.put(IFLA_NET_NS_FD, &theirs.as_raw_fd().to_ne_bytes());
                });
            });
        });
    });
    Ok(host.run(&messages)?)
}

fn set_up_host_end(host: &Netlink, link: &Link) -> io::Result<()> {
    let index = index_of(&link.name)?;
    let mut messages = Messages::default();
    configure(&mut messages, index, link.from_loopback);
    add_address(&mut messages, index, link.gateway);
    bring_up(&mut messages, index);
    messages.add(RTM_NEWROUTE, Mode::Create, &route(32, RT_SCOPE_LINK, 0), |to| {
        to.put(RTA_DST, &link.address.octets());
        to.put(RTA_OIF, &index.to_ne_bytes());
        to.put(RTA_PREFSRC, &link.gateway.octets());
    });
    Ok(host.run(&messages)?)
}

fn set_up_fence_end(link: &Link) -> io::Result<()> {
    let fence = Netlink::open(Family::Route)?;
    let index = index_of(INSIDE)?;
    let mut messages = Messages::default();
    configure(&mut messages, index, false);
    add_address(&mut messages, index, link.address);
    bring_up(&mut messages, index);
    messages.add(RTM_NEWROUTE, Mode::Create, &route(0, RT_SCOPE_UNIVERSE, RTNH_F_ONLINK), |to| {
        to.put(RTA_GATEWAY, &link.gateway.octets());
        to.put(RTA_OIF, &index.to_ne_bytes());
    });
    Ok(fence.run(&messages)?)
}

/// In a fence: lets the link carry what is from its loopback, or for it, once rules have given it other addresses.
pub fn join_loopback() -> io::Result<()> {
    fs::write(format!("/proc/sys/net/ipv4/conf/{INSIDE}/route_localnet"), "1")
}

/// The kernel's number of an interface of this network namespace.
pub fn index_of(name: &str) -> io::Result<u32> {
    let any = socket(AddressFamily::UNIX, SocketType::DGRAM, None)?;
    Ok(name_to_index(any, name)?)
}

/// What is a privilege on a shared network is none on one's own: ports below 1024, and ping(8) without raw
/// sockets. (These switches are of the namespace in which they are written.)
fn loosen(ids: IdRange) -> io::Result<()> {
    fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0")?;
    let groups = format!("{} {}", ids.first, ids.first + (IdRange::COUNT - 1));
    fs::write("/proc/sys/net/ipv4/ping_group_range", groups)
}

/// No link-local address: by it, each end would reach what listens on all addresses of the other.
fn configure(messages: &mut Messages, index: u32, from_loopback: bool) {
    messages.add(RTM_SETLINK, Mode::Change, &interface(index, 0), |link| {
        link.nest(IFLA_AF_SPEC, |families| {
            families.nest(AF_INET6.into(), |six| {
                six.put(IFLA_INET6_ADDR_GEN_MODE, &[ADDR_GEN_MODE_NONE]);
            });
        });
    });
    if from_loopback {
        messages.add(RTM_SETLINK, Mode::Change, &interface(index, 0), |link| {
            link.nest(IFLA_AF_SPEC, |families| {
                families.nest(AF_INET.into(), |four| {
                    four.nest(IFLA_INET_CONF, |settings| {
                        settings.put(IPV4_DEVCONF_ROUTE_LOCALNET, &1_u32.to_ne_bytes());
                    });
                });
            });
        });
    }
}

fn add_address(messages: &mut Messages, index: u32, address: Ipv4Addr) {
    let [a, b, c, d] = index.to_ne_bytes();
    let header = [AF_INET, 32, 0, RT_SCOPE_UNIVERSE, a, b, c, d];
    messages.add(RTM_NEWADDR, Mode::Create, &header, |into| {
        into.put(IFA_LOCAL, &address.octets());
        into.put(IFA_ADDRESS, &address.octets());
    });
}

/// Brings up the loopback interface of this network namespace.
#[cfg(test)]
pub fn bring_up_loopback() -> io::Result<()> {
    let mut messages = Messages::default();
    bring_up(&mut messages, index_of("lo")?);
    Ok(Netlink::open(Family::Route)?.run(&messages)?)
}

fn bring_up(messages: &mut Messages, index: u32) {
    messages.add(RTM_SETLINK, Mode::Change, &interface(index, IFF_UP), |_| {});
}

/// `struct ifinfomsg`.
fn interface(index: u32, flags: u32) -> [u8; 16] {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..].copy_from_slice(&flags.to_ne_bytes());
    header
}

/// `struct rtmsg`.
fn route(length: u8, scope: u8, flags: u32) -> [u8; 12] {
    let [a, b, c, d] = flags.to_ne_bytes();
    [AF_INET, length, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, scope, RTN_UNICAST, a, b, c, d]
}
