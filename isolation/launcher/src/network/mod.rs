//! How fences reach the network: a link each ([`link`]), rules for all of them ([`rules`]), and the host passing
//! their packets on ([`forwarding`]).
//!
//! IPv4 only: for IPv6 the host would have to forward, and a host that does so takes no address from its router
//! any more.

mod forwarding;
pub mod link;
mod netlink;
mod nftables;
pub mod resolver;
mod routes;
mod rules;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::os::fd::{BorrowedFd, OwnedFd};

use hedgerow_isolation::moment::Moment;
use hedgerow_isolation::network::{DEFAULT_RANGES, NetworkSettings, Port, Range, Transport};
use hedgerow_isolation::plan::FenceId;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};

use link::Link;
use netlink::{Family, Netlink};
use nftables::Batch;
use routes::Routes;
use rules::Names;

/// Why there is no NAT on this machine.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unavailable {
    #[error("[network] cannot be read: {0}")]
    Settings(String),
    #[error("the kernel has no veth interfaces (CONFIG_VETH): {0}")]
    Links(String),
    #[error(
        "the kernel does not take the nftables rules (CONFIG_NF_TABLES_INET, NFT_CT, NFT_NAT, NFT_MASQ, \
         NFT_REJECT_INET, NFT_FIB_INET): {0}"
    )]
    Rules(String),
    #[error("net.ipv4.ip_forward is off and cannot be turned on: {0}")]
    Forwarding(String),
    #[error("the host's routes cannot be read: {0}")]
    Routes(String),
    #[error("the host has a route to {clash}, within {range}: give fences another [network] range")]
    Range { range: Range, clash: String },
    #[error("the host has routes within each of the usual ranges: give fences a [network] range")]
    Ranges,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no NAT on this machine: {0}")]
    Unavailable(Unavailable),
    #[error("no address is free in {0}")]
    Full(Range),
    #[error("port {port} of the host is published for fence {holder} already")]
    Published { port: Port, holder: FenceId },
    #[error("port {port} cannot be published: {why}")]
    Port { port: Port, why: io::Error },
    #[error("{0}: {1}")]
    System(&'static str, io::Error),
}

#[derive(Debug)]
pub struct Network {
    nat: Result<Nat, Unavailable>,
    name_servers: Vec<IpAddr>,
}

/// What joins fences to the host.
#[derive(Debug)]
struct Nat {
    table: String,
    /// How the names of this launcher's links begin.
    links: String,
    range: Range,
    link_local: bool,
    netfilter: Netlink,
    /// Once the rules are there.
    laid_down: Option<LaidDown>,
    /// Of the last link.
    number: u32,
    fences: BTreeMap<FenceId, Joined>,
}

#[derive(Debug)]
struct LaidDown {
    /// Readable when somebody changes the machine's rules.
    watch: Netlink,
    /// Interfaces that this launcher guards forwarding against: none where it was on.
    guarded: Vec<String>,
}

#[derive(Debug)]
struct Joined {
    address: Ipv4Addr,
    ports: Vec<Port>,
    /// Bound to the published ports, so that no program of the host believes to have them.
    _reserved: Vec<OwnedFd>,
}

impl Network {
    /// Finds out whether fences can be joined to the host. Nothing is changed until the first one is.
    pub fn prepare(launcher: u32, settings: Result<&NetworkSettings, String>) -> Self {
        match settings {
            Ok(settings) => {
                Self { nat: Nat::prepare(launcher, settings), name_servers: settings.dns.clone() }
            }
            Err(why) => Self { nat: Err(Unavailable::Settings(why)), name_servers: Vec::new() },
        }
    }

    /// Those that fences are to ask in place of the host's.
    pub fn name_servers(&self) -> &[IpAddr] {
        &self.name_servers
    }

    pub fn range(&self) -> Result<Range, &Unavailable> {
        self.nat.as_ref().map(|nat| nat.range)
    }

    pub fn address(&self, fence: &FenceId) -> Option<Ipv4Addr> {
        Some(self.nat.as_ref().ok()?.fences.get(fence)?.address)
    }

    /// A link for a fence, with `ports` of the host leading into it. To be released when the fence is gone.
    pub fn join(&mut self, fence: &FenceId, ports: Vec<Port>) -> Result<Link, Error> {
        self.nat.as_mut().map_err(|why| Error::Unavailable(why.clone()))?.join(fence, ports)
    }

    /// The link itself goes with the fence.
    pub fn release(&mut self, fence: &FenceId) {
        if let Ok(nat) = &mut self.nat
            && let Some(joined) = nat.fences.remove(fence)
            && !joined.ports.is_empty()
            && let Err(error) = nat.publish()
        {
            say!("fence {fence}: its ports stay published: {error}");
        }
    }

    /// To be waited for; then [`Self::mend`].
    pub fn changes(&self) -> Option<BorrowedFd<'_>> {
        Some(self.nat.as_ref().ok()?.laid_down.as_ref()?.watch.as_fd())
    }

    /// Lays the rules down again where somebody has removed them, as a firewall does that is loaded anew: without
    /// them fences would reach the host and each other.
    pub fn mend(&self) {
        if let Ok(nat) = &self.nat
            && let Err(error) = nat.mend()
        {
            say!("the nftables rules of fences cannot be looked after: {error}");
        }
    }

    /// For an orderly end. (After any other, the next launcher takes over what is there.)
    pub fn leave(self) {
        if let Ok(nat) = self.nat
            && let Err(error) = nat.leave()
        {
            say!("the network's rules stay: {error}");
        }
    }
}

impl Nat {
    fn prepare(launcher: u32, settings: &NetworkSettings) -> Result<Self, Unavailable> {
        link::probe().map_err(|e| Unavailable::Links(e.to_string()))?;
        forwarding::check().map_err(|e| Unavailable::Forwarding(e.to_string()))?;
        let rules = |e: io::Error| Unavailable::Rules(e.to_string());
        let nat = Self {
            table: format!("{}{launcher:08x}", forwarding::TABLES),
            links: format!("{}{launcher:08x}", rules::LINKS),
            range: choose(settings.range)?,
            link_local: settings.link_local,
            netfilter: Netlink::open(Family::Netfilter).map_err(rules)?,
            laid_down: None,
            number: somewhere(launcher),
            fences: BTreeMap::new(),
        };
        // Without its end, the kernel looks at a batch and drops it.
        nat.netfilter.run(&nat.rules().unfinished()).map_err(|e| rules(e.into()))?;
        // A predecessor that was killed has published what leads nowhere now, or to another fence. Its filters stay,
        // for the links that are still going. Without it there is nothing to do.
        match nat.publish() {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(rules(e)),
            Ok(()) | Err(_) => {}
        }
        Ok(nat)
    }

    fn names(&self) -> Names<'_> {
        Names { table: &self.table, links: &self.links }
    }

    fn rules(&self) -> Batch {
        let mut batch = Batch::new();
        rules::lay_down(&mut batch, self.names(), self.range, self.link_local);
        batch
    }

    fn join(&mut self, fence: &FenceId, ports: Vec<Port>) -> Result<Link, Error> {
        if self.laid_down.is_none() {
            let watch = Netlink::watch_rules().map_err(|e| Error::System("nftables", e))?;
            self.netfilter
                .run(&self.rules().finish())
                .map_err(|e| Error::System("nftables", e.into()))?;
            let guarded = forwarding::turn_on(&self.netfilter)
                .map_err(|e| Error::System("net.ipv4.ip_forward", e))?;
            self.laid_down = Some(LaidDown { watch, guarded });
        }
        let reserved = self.reserve(&ports)?;
        let address = self.free_address()?;
        let link = Link {
            name: format!("{}{:04x}", self.links, self.number & 0xffff),
            address,
            gateway: self.range.nth(1),
            from_loopback: !ports.is_empty(),
            elsewhere: Vec::new(),
        };
        let publishes = !ports.is_empty();
        self.fences.insert(fence.clone(), Joined { address, ports, _reserved: reserved });
        if publishes && let Err(error) = self.publish() {
            self.fences.remove(fence);
            return Err(Error::System("the ports cannot be published", error));
        }
        Ok(link)
    }

    /// The addresses are used in turn, so that one is not soon another fence's. Of an address that is taken, there
    /// is a route: this launcher's, another's, or that of a fence which is still going.
    fn free_address(&mut self) -> Result<Ipv4Addr, Error> {
        let routes = Routes::read().map_err(|e| Error::System("the host's routes", e))?;
        // Neither the network's own address, nor the gateway's, nor the last, which is for all.
        let usable = self.range.size() - 3;
        for _ in 0..usable {
            self.number = self.number.wrapping_add(1);
            let address = self.range.nth(2 + self.number % usable);
            let joined = self.fences.values().any(|fence| fence.address == address);
            if !joined && !routes.has_address(address) {
                return Ok(address);
            }
        }
        Err(Error::Full(self.range))
    }

    fn reserve(&self, ports: &[Port]) -> Result<Vec<OwnedFd>, Error> {
        let mut reserved = Vec::new();
        for &port in ports {
            let same = |held: &Port| held.host == port.host && held.transport == port.transport;
            let mut others = self.fences.iter();
            if let Some((holder, _)) = others.find(|(_, fence)| fence.ports.iter().any(same)) {
                return Err(Error::Published { port, holder: holder.clone() });
            }
            reserved.push(reserve(port).map_err(|why| Error::Port { port, why })?);
        }
        Ok(reserved)
    }

    fn publish(&self) -> io::Result<()> {
        let mut batch = Batch::new();
        rules::publish(&mut batch, self.names(), self.published());
        Ok(self.netfilter.run(&batch.finish())?)
    }

    fn published(&self) -> impl Iterator<Item = (Ipv4Addr, Port)> + Clone {
        let fences = self.fences.values();
        fences.flat_map(|fence| fence.ports.iter().map(|port| (fence.address, *port)))
    }

    fn mend(&self) -> io::Result<()> {
        let Some(laid_down) = &self.laid_down else { return Ok(()) };
        laid_down.watch.drain()?;
        if forwarding::mend(&self.netfilter, &laid_down.guarded, &self.table)? {
            return Ok(());
        }
        let mut batch = self.rules();
        rules::publish(&mut batch, self.names(), self.published());
        self.netfilter.run(&batch.finish())?;
        say!("somebody removed the nftables rules of fences: they are there again");
        Ok(())
    }

    fn leave(self) -> io::Result<()> {
        let mut batch = Batch::new();
        // A predecessor that was killed may have left it.
        batch.ensure_table(&self.table);
        batch.delete_table(&self.table);
        self.netfilter.run(&batch.finish())?;
        forwarding::turn_off(&self.netfilter)
    }
}

/// Where to begin: not where another launcher does at the same time, nor where this one's predecessor did, whose
/// links may still be going.
#[allow(clippy::cast_possible_truncation)]
fn somewhere(launcher: u32) -> u32 {
    launcher ^ (Moment::now().boottime / 1_000_000) as u32
}

fn choose(wanted: Option<Range>) -> Result<Range, Unavailable> {
    let routes = Routes::read().map_err(|e| Unavailable::Routes(e.to_string()))?;
    match wanted {
        Some(range) => match routes.clash(range) {
            None => Ok(range),
            Some((first, length)) => {
                Err(Unavailable::Range { range, clash: format!("{first}/{length}") })
            }
        },
        None => DEFAULT_RANGES
            .into_iter()
            .find(|range| routes.clash(*range).is_none())
            .ok_or(Unavailable::Ranges),
    }
}

fn reserve(port: Port) -> io::Result<OwnedFd> {
    let kind = match port.transport {
        Transport::Tcp => SocketType::STREAM,
        Transport::Udp => SocketType::DGRAM,
    };
    let socket = socket_with(AddressFamily::INET, kind, SocketFlags::CLOEXEC, None)?;
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port.host))?;
    Ok(socket)
}
