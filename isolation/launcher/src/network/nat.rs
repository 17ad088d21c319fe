//! What joins fences to the host, as long as the launcher lives.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use hedgerow_isolation::moment::Moment;
use hedgerow_isolation::network::{
    Block, CONNECTIONS, DEFAULT_RANGES, NetworkSettings, Port, Range, Transport,
};
use hedgerow_isolation::plan::{FenceId, IdRange, Plan};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};

use super::excess::Excess;
use super::forwarding::{self, Others};
use super::link::{self, Link};
use super::loopback::Loopback;
use super::namespace::Namespace;
use super::netlink::{Family, Netlink};
use super::nftables::{Batch, Hold};
use super::routes::Routes;
use super::rules::{self, Connections, Names, Policy};
use super::{Error, Source, Unavailable};

/// A fence that wants too much goes on wanting it: how often that is told.
const REMINDER: Duration = Duration::from_secs(600);

#[derive(Debug)]
pub struct Nat {
    table: String,
    /// How the names of this launcher's links begin.
    links: String,
    pub(super) range: Range,
    link_local: bool,
    denied: Vec<Block>,
    /// `Err`: why it cannot be told from a fence's other packets what begins a connection too many.
    connections: Result<Option<Connections>, String>,
    others: Others,
    /// `Err`: why packets cannot be held.
    pub(super) hold: Result<Hold, String>,
    netfilter: Netlink,
    /// Once the rules are there.
    laid_down: Option<LaidDown>,
    /// Of the last link.
    number: u32,
    pub(super) fences: BTreeMap<FenceId, Joined>,
}

#[derive(Debug)]
struct LaidDown {
    /// Readable when somebody changes the machine's rules.
    watch: Netlink,
    excess: Option<Excess>,
    /// Whether forwarding was off before.
    guarded: bool,
}

#[derive(Debug)]
pub struct Joined {
    pub name: String,
    pub ids: IdRange,
    /// The host's ids of its users.
    pub users: IdRange,
    /// Ports of its loopback that are the daemon's.
    pub listeners: Vec<u16>,
    pub address: Ipv4Addr,
    /// Name of the host's end.
    pub link: String,
    ports: Vec<Port>,
    /// Bound to the published ports, so that no program of the host believes to have them.
    _reserved: Vec<OwnedFd>,
    /// In the order in which their ports are looked for.
    pub dependencies: Vec<IdRange>,
    /// Ports that other components publish.
    pub elsewhere: Vec<Port>,
    /// Since something runs in it.
    pub namespace: Option<Namespace>,
    /// Where there is something that it could lead to.
    pub loopback: Option<Loopback>,
    /// Whether dependents find its loopback.
    pub serves: bool,
    /// When it last wanted too many connections.
    excessive: Option<Instant>,
}

impl Nat {
    pub fn prepare(launcher: u32, settings: &NetworkSettings) -> Result<Self, Unavailable> {
        link::probe().map_err(|e| Unavailable::Links(e.to_string()))?;
        forwarding::check().map_err(|e| Unavailable::Forwarding(e.to_string()))?;
        let rules = |e: io::Error| Unavailable::Rules(e.to_string());
        let most = settings.connections.unwrap_or_else(reasonable_connections);
        #[allow(clippy::cast_possible_truncation)] // Whichever, it is nobody else's.
        let group = launcher as u16;
        let netfilter = Netlink::open(Family::Netfilter).map_err(rules)?;
        let mut nat = Self {
            table: format!("{}{launcher:08x}", forwarding::TABLES),
            links: format!("{}{launcher:08x}", rules::LINKS),
            range: choose(settings.range)?,
            link_local: settings.link_local,
            denied: settings.deny.clone(),
            connections: Ok((most > 0).then_some(Connections { most, group })),
            others: match settings.forward_for_others {
                true => Others::Forwarded,
                false => Others::Dropped,
            },
            hold: Loopback::probe(&netfilter),
            netfilter,
            laid_down: None,
            number: somewhere(launcher),
            fences: BTreeMap::new(),
        };
        // Without its end, the kernel looks at a batch and drops it.
        if let Err(errno) = nat.netfilter.run(&nat.rules().unfinished()) {
            nat.connections = Err(errno.to_string());
            nat.netfilter.run(&nat.rules().unfinished()).map_err(|e| rules(e.into()))?;
        }
        // A predecessor that was killed has published what leads nowhere now, or to another fence. Its filters stay,
        // for the links that are still going. Without it there is nothing to do.
        match nat.publish() {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(rules(e)),
            Ok(()) | Err(_) => {}
        }
        Ok(nat)
    }

    pub fn lacks(&self) -> Vec<String> {
        let uncounted = self.connections.as_ref().err().map(|why| {
            format!(
                "a component may fill the host's table of connections: the kernel does not count them \
                 (CONFIG_NFT_CONNLIMIT, NFT_LIMIT, NFT_LOG, NETFILTER_NETLINK_LOG): {why}"
            )
        });
        uncounted.into_iter().chain(self.hold.as_ref().err().cloned()).collect()
    }

    fn names(&self) -> Names<'_> {
        Names { table: &self.table, links: &self.links }
    }

    fn rules(&self) -> Batch {
        let mut batch = Batch::new();
        let policy = Policy {
            range: self.range,
            link_local: self.link_local,
            denied: &self.denied,
            connections: self.connections.as_ref().ok().copied().flatten(),
        };
        rules::lay_down(&mut batch, self.names(), &policy);
        batch
    }

    /// The rules and what has been added to them since.
    fn lay_down_again(&self) -> io::Result<()> {
        let mut batch = self.rules();
        rules::publish(&mut batch, self.names(), self.published());
        rules::connect(&mut batch, self.names(), self.ways());
        Ok(self.netfilter.run(&batch.finish())?)
    }

    pub fn deny(&mut self, networks: Vec<Block>) -> io::Result<()> {
        if self.denied == networks {
            return Ok(());
        }
        let before = std::mem::replace(&mut self.denied, networks);
        let Some(_) = &self.laid_down else { return Ok(()) };
        self.lay_down_again().inspect_err(|_| self.denied = before)
    }

    pub fn join(
        &mut self,
        plan: &Plan,
        users: IdRange,
        ports: Vec<Port>,
        elsewhere: Vec<Port>,
    ) -> Result<Link, Error> {
        self.ensure_laid_down()?;
        let reserved = self.reserve(&ports)?;
        let address = self.free_address()?;
        let link = Link {
            name: format!("{}{:04x}", self.links, self.number & 0xffff),
            address,
            gateway: self.range.nth(1),
            from_loopback: !ports.is_empty(),
        };
        let publishes = !ports.is_empty();
        let joined = Joined {
            name: plan.name.clone(),
            ids: plan.ids,
            users,
            listeners: plan.listeners.clone(),
            address,
            link: link.name.clone(),
            ports,
            _reserved: reserved,
            dependencies: plan.dependencies.iter().map(|dependency| dependency.ids).collect(),
            elsewhere,
            namespace: None,
            loopback: None,
            serves: false,
            excessive: None,
        };
        self.fences.insert(plan.fence.clone(), joined);
        if publishes && let Err(error) = self.publish() {
            self.fences.remove(&plan.fence);
            return Err(Error::System("the ports cannot be published", error));
        }
        Ok(link)
    }

    fn ensure_laid_down(&mut self) -> Result<(), Error> {
        if self.laid_down.is_some() {
            return Ok(());
        }
        let watch = Netlink::watch_rules().map_err(|e| Error::System("nftables", e))?;
        self.netfilter
            .run(&self.rules().finish())
            .map_err(|e| Error::System("nftables", e.into()))?;
        let guarded = forwarding::turn_on(&self.netfilter, self.others)
            .map_err(|e| Error::System("net.ipv4.ip_forward", e))?;
        let excess = self.connections.as_ref().ok().copied().flatten().and_then(|connections| {
            let told = Excess::listen(connections.group);
            told.inspect_err(|e| say!("it is not told who wants too many connections: {e}")).ok()
        });
        self.laid_down = Some(LaidDown { watch, excess, guarded });
        Ok(())
    }

    pub fn release(&mut self, fence: &FenceId) -> io::Result<()> {
        let Some(joined) = self.fences.remove(fence) else { return Ok(()) };
        let published = if joined.ports.is_empty() { Ok(()) } else { self.publish() };
        let leads = joined.serves || joined.loopback.is_some_and(|loopback| loopback.leads());
        let connected = if leads { self.connect() } else { Ok(()) };
        published.and(connected)
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

    /// Opens the ways that fences lead to, and no other.
    pub(super) fn connect(&self) -> io::Result<()> {
        let mut batch = Batch::new();
        rules::connect(&mut batch, self.names(), self.ways());
        Ok(self.netfilter.run(&batch.finish())?)
    }

    pub fn sources(&self) -> Vec<(Source, BorrowedFd<'_>)> {
        let Some(laid_down) = &self.laid_down else { return Vec::new() };
        let mut sources = vec![(Source::Rules, laid_down.watch.as_fd())];
        sources.extend(laid_down.excess.as_ref().map(|excess| (Source::Excess, excess.as_fd())));
        sources.extend(self.fences.iter().filter_map(|(id, fence)| {
            Some((Source::Loopback(id.clone()), fence.loopback.as_ref()?.as_fd()))
        }));
        sources
    }

    /// Who wants too many connections, where that was not told just now.
    pub fn hear_excess(&mut self) -> io::Result<Vec<(FenceId, String)>> {
        let Some(excess) = self.laid_down.as_ref().and_then(|l| l.excess.as_ref()) else {
            return Ok(Vec::new());
        };
        let mut told = Vec::new();
        for number in excess.take()? {
            let is_its = |fence: &Joined| link::index_of(&fence.link).is_ok_and(|n| n == number);
            let Some((id, fence)) = self.fences.iter_mut().find(|(_, fence)| is_its(fence)) else {
                continue;
            };
            if fence.excessive.is_none_or(|before| before.elapsed() >= REMINDER) {
                fence.excessive = Some(Instant::now());
                told.push(id.clone());
            }
        }
        Ok(told.into_iter().map(|id| (id, self.excess())).collect())
    }

    fn excess(&self) -> String {
        let most = self.connections.as_ref().ok().copied().flatten().map_or(0, |c| c.most);
        format!(
            "it has {most} connections to the network at once, and more are refused: [network] connections in \
             hedgerow.toml is the limit"
        )
    }

    /// What is worth telling of a fence.
    pub fn notes(&self, fence: &FenceId) -> Vec<String> {
        let Some(joined) = self.fences.get(fence) else { return Vec::new() };
        let mut notes = self.led(joined);
        if let Some(when) = joined.excessive {
            let ago = when.elapsed().as_secs();
            notes.push(format!("{ago} s ago: {}", self.excess()));
        }
        notes
    }

    /// Lays the rules down again where somebody has removed them, as a firewall does that is loaded anew: without
    /// them fences would reach the host and each other.
    pub fn mend(&self) -> io::Result<()> {
        let Some(laid_down) = &self.laid_down else { return Ok(()) };
        laid_down.watch.drain()?;
        let guarded = laid_down.guarded.then_some(self.others);
        if forwarding::mend(&self.netfilter, guarded, &self.table)? {
            return Ok(());
        }
        self.lay_down_again()?;
        say!("somebody removed the nftables rules of fences: they are there again");
        Ok(())
    }

    pub fn leave(self) -> io::Result<()> {
        let mut batch = Batch::new();
        // A predecessor that was killed may have left it.
        batch.ensure_table(&self.table);
        batch.delete_table(&self.table);
        self.netfilter.run(&batch.finish())?;
        forwarding::turn_off(&self.netfilter)
    }
}

/// A quarter of what the host keeps in mind, where that is little.
fn reasonable_connections() -> u32 {
    let all = fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_max");
    let all = all.ok().and_then(|text| text.trim().parse::<u32>().ok());
    all.map_or(CONNECTIONS, |all| (all / 4).clamp(1, CONNECTIONS))
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
