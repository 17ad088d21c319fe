//! Which addresses the host's routes speak of.

use std::io;
use std::net::Ipv4Addr;

use hedgerow_isolation::network::Range;

use super::netlink::{Family, Netlink, attributes};

const RTM_GETROUTE: u16 = 26;
const RTA_DST: u16 = 1;
const RT_TABLE_LOCAL: u8 = 255;
const HEADER: usize = 12;

/// Destinations of the host's IPv4 routes, but for its own addresses and for default routes.
#[derive(Debug)]
pub struct Routes(Vec<(Ipv4Addr, u8)>);

impl Routes {
    pub fn read() -> io::Result<Self> {
        let mut found = Vec::new();
        let header = [libc::AF_INET as u8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        Netlink::open(Family::Route)?
            .dump(RTM_GETROUTE, &header, |route| found.extend(destination(route)))?;
        Ok(Self(found))
    }

    /// A route of the host to a network in `range`, or around it. (One to a single address is a fence's, this
    /// launcher's or another's.)
    pub fn clash(&self, range: Range) -> Option<(Ipv4Addr, u8)> {
        let networks = self.0.iter().filter(|(_, length)| *length < 32);
        networks.copied().find(|(first, length)| range.overlaps(*first, *length))
    }

    pub fn has_address(&self, address: Ipv4Addr) -> bool {
        self.0.contains(&(address, 32))
    }
}

/// Of the kernel's description of a route.
pub fn destination(route: &[u8]) -> Option<(Ipv4Addr, u8)> {
    let (length, table) = (*route.get(1)?, *route.get(4)?);
    let (_, value) = attributes(route.get(HEADER..)?).find(|(kind, _)| *kind == RTA_DST)?;
    let address = Ipv4Addr::from(<[u8; 4]>::try_from(value).ok()?);
    (table != RT_TABLE_LOCAL && length > 0).then_some((address, length))
}
