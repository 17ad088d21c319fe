//! What configuration says of the fences' network: `[network]`, and the ports that a grant publishes.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// `[network]`: the private network of fences that are joined to the host by NAT.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct NetworkSettings {
    /// Addresses of fences. `None`: the first of [`DEFAULT_RANGES`] that no route of the host touches.
    pub range: Option<Range>,
    /// Name servers of fences. Empty: the host's own that a fence can reach.
    pub dns: Vec<IpAddr>,
    /// Whether fences reach link-local addresses and 100.100.100.200: 169.254.169.254 and that give out the rights of a
    /// cloud machine.
    pub link_local: bool,
    /// Networks that fences do not reach.
    pub deny: Vec<Block>,
    /// How many connections a fence may have through the host at once; 0: any number. `None`: [`CONNECTIONS`], or a
    /// quarter of what the host can keep in mind (net.netfilter.nf_conntrack_max) where that is less.
    pub connections: Option<u32>,
    /// Whether a host that would not pass packets on, were it not for fences, does so for others as well.
    pub forward_for_others: bool,
}

pub const CONNECTIONS: u32 = 4096;

/// Tried in this order.
pub const DEFAULT_RANGES: [Range; 3] = [
    Range { first: Ipv4Addr::new(172, 31, 224, 0), length: 20 },
    Range { first: Ipv4Addr::new(10, 201, 224, 0), length: 20 },
    Range { first: Ipv4Addr::new(192, 168, 224, 0), length: 20 },
];

/// A block of IPv4 addresses, as `172.31.224.0/20`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Range {
    first: Ipv4Addr,
    length: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a range of addresses: write its first address and 8 to 28 bits, as 172.31.224.0/20"
)]
pub struct BadRange(String);

impl Range {
    /// `None` where the address is not the first of its block, or the block is smaller than 16 addresses or larger
    /// than 2^24.
    pub fn new(first: Ipv4Addr, length: u8) -> Option<Self> {
        let range = Self { first, length };
        ((8..=28).contains(&length) && u32::from(first) & !range.mask() == 0).then_some(range)
    }

    fn mask(self) -> u32 {
        u32::MAX << (32 - u32::from(self.length))
    }

    /// Addresses in it.
    pub fn size(self) -> u32 {
        1 << (32 - u32::from(self.length))
    }

    /// The address at `offset`, counted modulo the size.
    pub fn nth(self, offset: u32) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.first) | (offset & !self.mask()))
    }

    pub fn network(self) -> Ipv4Addr {
        self.first
    }

    pub fn netmask(self) -> Ipv4Addr {
        Ipv4Addr::from(self.mask())
    }

    /// Whether it shares an address with the block of `length` bits at `first`.
    pub fn overlaps(self, first: Ipv4Addr, length: u8) -> bool {
        let shorter = self.length.min(length);
        let mask = u32::MAX.checked_shl(32 - u32::from(shorter)).unwrap_or(0);
        (u32::from(self.first) ^ u32::from(first)) & mask == 0
    }
}

impl FromStr for Range {
    type Err = BadRange;

    fn from_str(text: &str) -> Result<Self, BadRange> {
        let parse = || {
            let (first, length) = text.split_once('/')?;
            Self::new(first.parse().ok()?, length.parse().ok()?)
        };
        parse().ok_or_else(|| BadRange(text.to_owned()))
    }
}

impl TryFrom<String> for Range {
    type Error = BadRange;

    fn try_from(text: String) -> Result<Self, BadRange> {
        text.parse()
    }
}

impl From<Range> for String {
    fn from(range: Range) -> Self {
        range.to_string()
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.length)
    }
}

/// A network of whatever size, as `10.0.0.0/8`; `192.168.1.7` is short for `192.168.1.7/32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Block {
    first: Ipv4Addr,
    mask: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an IPv4 network: write its first address and its bits, as 10.0.0.0/8")]
pub struct BadBlock(String);

impl Block {
    pub fn network(self) -> Ipv4Addr {
        self.first
    }

    pub fn netmask(self) -> Ipv4Addr {
        Ipv4Addr::from(self.mask)
    }
}

impl TryFrom<String> for Block {
    type Error = BadBlock;

    fn try_from(text: String) -> Result<Self, BadBlock> {
        let parse = || {
            let (first, length) = text.split_once('/').unwrap_or((&text, "32"));
            let first: Ipv4Addr = first.parse().ok()?;
            let host_bits = 32_u32.checked_sub(length.parse().ok()?)?;
            let mask = u32::MAX.checked_shl(host_bits).unwrap_or(0);
            (u32::from(first) & !mask == 0).then_some(Self { first, mask })
        };
        parse().ok_or(BadBlock(text))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    Tcp,
    Udp,
}

/// A port of the host that leads into a fence, as `8080:80/tcp`; `80` is short for `80:80/tcp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Port {
    pub host: u16,
    pub inside: u16,
    pub transport: Transport,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a port to publish: write HOST:INSIDE/tcp or /udp, as 8080:80/tcp")]
pub struct BadPort(String);

impl FromStr for Port {
    type Err = BadPort;

    fn from_str(text: &str) -> Result<Self, BadPort> {
        let parse = || {
            let (ports, transport) = text.split_once('/').unwrap_or((text, "tcp"));
            let (host, inside) = ports.split_once(':').unwrap_or((ports, ports));
            let number = |text: &str| text.parse().ok().filter(|port| *port != 0);
            let transport = match transport {
                "tcp" => Transport::Tcp,
                "udp" => Transport::Udp,
                _ => return None,
            };
            Some(Self { host: number(host)?, inside: number(inside)?, transport })
        };
        parse().ok_or_else(|| BadPort(text.to_owned()))
    }
}

impl TryFrom<String> for Port {
    type Error = BadPort;

    fn try_from(text: String) -> Result<Self, BadPort> {
        text.parse()
    }
}

impl From<Port> for String {
    fn from(port: Port) -> Self {
        port.to_string()
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}", self.host, self.inside, self.transport)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_a_whole_block() {
        let range: Range = "172.31.224.0/20".parse().unwrap();
        assert_eq!((range.size(), range.nth(1)), (4096, Ipv4Addr::new(172, 31, 224, 1)));
        assert_eq!(range.nth(4096 + 257), Ipv4Addr::new(172, 31, 225, 1));
        assert_eq!(range.netmask(), Ipv4Addr::new(255, 255, 240, 0));
        for bad in ["172.31.225.0/20", "10.0.0.0/7", "10.0.0.0/29", "10.0.0.0", "x/8", "10.0.0.0/"]
        {
            assert!(bad.parse::<Range>().is_err(), "{bad}");
        }
        for range in DEFAULT_RANGES {
            assert_eq!(range.to_string().parse(), Ok(range));
        }
    }

    #[test]
    fn ranges_overlap_where_they_share_an_address() {
        let range: Range = "172.31.224.0/20".parse().unwrap();
        let cases = [
            ("172.31.0.0", 16, true),
            ("172.31.230.7", 32, true),
            ("0.0.0.0", 0, true),
            ("172.31.240.0", 20, false),
            ("172.31.0.0", 20, false),
        ];
        for (first, length, expected) in cases {
            assert_eq!(
                range.overlaps(first.parse().unwrap(), length),
                expected,
                "{first}/{length}"
            );
        }
    }

    #[test]
    fn a_network_is_a_whole_block_of_any_size() {
        let block = |text: &str| Block::try_from(text.to_owned());
        let masks = [
            ("0.0.0.0/0", "0.0.0.0"),
            ("10.0.0.0/8", "255.0.0.0"),
            ("192.168.1.7", "255.255.255.255"),
        ];
        for (text, mask) in masks {
            assert_eq!(block(text).unwrap().netmask().to_string(), mask, "{text}");
        }
        for bad in ["", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/-1", "fd00::/8", "10/8"] {
            assert!(block(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_port_has_a_short_form() {
        let port = |host, inside, transport| Port { host, inside, transport };
        assert_eq!("8080:80/tcp".parse(), Ok(port(8080, 80, Transport::Tcp)));
        assert_eq!("53/udp".parse(), Ok(port(53, 53, Transport::Udp)));
        assert_eq!("80".parse(), Ok(port(80, 80, Transport::Tcp)));
        for bad in ["", "0", "80:", "80/sctp", "65536", "1:2:3", "a:b/tcp"] {
            assert!(bad.parse::<Port>().is_err(), "{bad}");
        }
    }
}
