//! How fences reach the network: a link each ([`link`]), rules for all of them ([`rules`]), the host passing
//! their packets on ([`forwarding`]), and their loopback leading to those that they depend on ([`loopback`]).
//!
//! IPv4 only: for IPv6 the host would have to forward, and a host that does so takes no address from its router
//! any more.

mod excess;
mod forwarding;
mod held;
pub mod link;
pub mod listen;
mod loopback;
mod namespace;
mod nat;
mod netlink;
mod nftables;
pub mod resolver;
mod routes;
mod rules;
mod sockets;

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::BorrowedFd;

use hedgerow_isolation::network::{Block, NetworkSettings, Port, Range};
use hedgerow_isolation::plan::{FenceId, IdRange, Plan};

use link::Link;
use nat::Nat;

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

    /// A link for a fence, with `ports` of the host leading into it, and those of `elsewhere` to be found at its own
    /// loopback. To be released when the fence is gone.
    pub fn join(
        &mut self,
        plan: &Plan,
        users: IdRange,
        ports: Vec<Port>,
        elsewhere: Vec<Port>,
    ) -> Result<Link, Error> {
        let nat = self.nat.as_mut().map_err(|why| Error::Unavailable(why.clone()))?;
        nat.join(plan, users, ports, elsewhere)
    }

    /// To be called before anything runs in a fence; `init` is its process 1.
    pub fn attend(&mut self, fence: &FenceId, init: i32) {
        if let Ok(nat) = &mut self.nat
            && let Err(error) = nat.attend(fence, init)
        {
            say!("fence {fence}: its loopback leads to no dependency: {error}");
        }
    }

    /// From now on fences do not begin connections to these networks.
    pub fn deny(&mut self, networks: Vec<Block>) {
        if let Ok(nat) = &mut self.nat
            && let Err(error) = nat.deny(networks)
        {
            say!("what [network] denies is not denied yet: {error}");
        }
    }

    /// The link itself goes with the fence.
    pub fn release(&mut self, fence: &FenceId) {
        if let Ok(nat) = &mut self.nat
            && let Err(error) = nat.release(fence)
        {
            say!("fence {fence}: rules of it stay: {error}");
        }
    }

    /// What is missing beside NAT itself.
    pub fn lacks(&self) -> Vec<String> {
        self.nat.as_ref().map(Nat::lacks).unwrap_or_default()
    }

    /// What happened to a fence in its network, for people.
    pub fn notes(&self, fence: &FenceId) -> Vec<String> {
        self.nat.as_ref().map(|nat| nat.notes(fence)).unwrap_or_default()
    }

    /// To be waited for; then [`Self::ready`].
    pub fn sources(&self) -> Vec<(Source, BorrowedFd<'_>)> {
        self.nat.as_ref().map(Nat::sources).unwrap_or_default()
    }

    /// What is to be told of fences.
    pub fn ready(&mut self, source: &Source) -> Vec<(FenceId, String)> {
        let Ok(nat) = &mut self.nat else { return Vec::new() };
        let told = match source {
            Source::Rules => nat.mend().map(|()| Vec::new()),
            Source::Excess => nat.hear_excess(),
            Source::Loopback(fence) => nat.look(fence),
        };
        told.unwrap_or_else(|error| {
            say!("{source}: {error}");
            Vec::new()
        })
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

/// Something that [`Network::ready`] is to be called for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Somebody has changed the machine's nftables rules.
    Rules,
    /// A fence wants too many connections.
    Excess,
    /// A fence holds a connection to its own loopback.
    Loopback(FenceId),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rules => f.write_str("the nftables rules of fences cannot be looked after"),
            Self::Excess => f.write_str("it is not known which fence wants too many connections"),
            Self::Loopback(fence) => write!(f, "fence {fence}: its loopback leads nowhere new"),
        }
    }
}
