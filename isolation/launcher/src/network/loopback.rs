//! What a fence finds at its own 127.0.0.1 beside what is its own: the ports of the components that it depends on, as if
//! all shared a host, and those that others publish.
//!
//! ```text
//!  dependent                     host                                  dependency
//!  127.0.0.1:80 ─► held ─► address:80 ─── forwarded, for this pair ───► 127.0.0.1:80, from 127.0.0.1
//! ```
//! No recipe says which ports there are. So each new connection of a dependent to its loopback is held until the launcher
//! has looked who listens at that very moment: the fence itself, else the first of its dependencies that does. What
//! restarts is found where it is then, and nobody has to look while nothing happens.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::BorrowedFd;

use hedgerow_isolation::network::Transport;
use hedgerow_isolation::plan::FenceId;

use super::held::Held;
use super::link::{INSIDE, join_loopback};
use super::namespace::Namespace;
use super::nat::{Joined, Nat};
use super::netlink::{Family, Netlink};
use super::nftables::{Batch, Hold};
use super::rules::{self, Way};
use super::sockets;

/// New connections in a second that are held; more go where earlier ones went.
const RATE: u32 = 100;

/// With more ports than these, what was found is forgotten.
const MAX_LEADS: usize = 128;

type Target = (Transport, u16);

#[derive(Debug)]
pub struct Loopback {
    held: Held,
    leads: BTreeMap<Target, Lead>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Lead {
    address: Ipv4Addr,
    /// `None`: what somebody publishes, by way of the host.
    dependency: Option<FenceId>,
    /// Names of further dependencies with that port, which are not reached.
    hidden: Vec<String>,
}

impl Loopback {
    /// How this kernel holds packets, if it does.
    pub fn probe(netfilter: &Netlink) -> Result<Hold, String> {
        let try_out = |how| {
            let mut batch = Batch::new();
            rules::hold(&mut batch, how, RATE);
            // Without its end, the kernel looks at a batch and drops it.
            netfilter.run(&batch.unfinished()).map(|()| how)
        };
        let found = try_out(Hold::Expression).or_else(|_| try_out(Hold::Target));
        found.map_err(|errno| {
            format!(
                "ports of other components are not at a component's 127.0.0.1: the kernel does not hold packets \
                 (CONFIG_NFT_QUEUE): {errno}"
            )
        })
    }

    fn hold(how: Hold) -> io::Result<Self> {
        join_loopback()?;
        // Who holds must be there before there is anything to hold.
        let held = Held::open()?;
        let mut batch = Batch::new();
        rules::hold(&mut batch, how, RATE);
        Netlink::open(Family::Netfilter)?.run(&batch.finish())?;
        Ok(Self { held, leads: BTreeMap::new() })
    }

    /// Readable when something is held.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.held.as_fd()
    }

    pub fn leads(&self) -> bool {
        !self.leads.is_empty()
    }

    /// In the fence's network.
    fn lead(&self) -> io::Result<()> {
        let mut batch = Batch::new();
        let leads =
            self.leads.iter().map(|((transport, port), lead)| (*transport, *port, lead.address));
        rules::lead(&mut batch, leads);
        Ok(Netlink::open(Family::Netfilter)?.run(&batch.finish())?)
    }
}

impl Nat {
    /// To be called before anything runs in the fence.
    pub fn attend(&mut self, fence: &FenceId, init: i32) -> io::Result<()> {
        let Some(joined) = self.fences.get_mut(fence) else { return Ok(()) };
        if joined.namespace.is_some() {
            return Ok(());
        }
        let namespace = joined.namespace.insert(Namespace::of(init)?);
        let leads = !joined.dependencies.is_empty() || !joined.elsewhere.is_empty();
        if let Ok(how) = self.hold
            && leads
        {
            joined.loopback = Some(namespace.within(|| Loopback::hold(how))?);
        }
        Ok(())
    }

    /// Finds out where held connections of a fence lead, and lets them go there. What is to be told of it.
    pub fn look(&mut self, fence: &FenceId) -> io::Result<Vec<(FenceId, String)>> {
        let Some(joined) = self.fences.get(fence) else { return Ok(Vec::new()) };
        let Some(loopback) = &joined.loopback else { return Ok(Vec::new()) };
        let mut told = Vec::new();
        for packet in loopback.held.take()? {
            if let Some(target) = packet.target {
                match self.find(fence, target).and_then(|lead| self.turn(fence, target, lead)) {
                    Ok(text) => told.extend(text.map(|text| (fence.clone(), text))),
                    Err(error) => say!("fence {fence}: {}: {error}", name(target)),
                }
            }
            if let Some(loopback) = self.fences.get(fence).and_then(|j| j.loopback.as_ref()) {
                loopback.held.let_go(packet)?;
            }
        }
        Ok(told)
    }

    /// Where a port of a fence's loopback leads now; `None`: nowhere else.
    fn find(&self, fence: &FenceId, (transport, port): Target) -> io::Result<Option<Lead>> {
        let Some(joined) = self.fences.get(fence) else { return Ok(None) };
        if holder(joined, (transport, port))?.is_some() {
            return Ok(None);
        }
        let mut found = Vec::new();
        for ids in &joined.dependencies {
            let Some((id, other)) = self.fences.iter().find(|(_, other)| other.ids == *ids) else {
                continue;
            };
            // A service that others provide for it, in its network, is for it alone.
            let daemons = transport == Transport::Tcp && other.listeners.contains(&port);
            let user = holder(other, (transport, port))?.filter(|_| !daemons);
            if user.is_some_and(|user| other.users.contains(user)) {
                found.push((id, other));
            }
        }
        if let Some(((id, first), others)) = found.split_first() {
            let hidden = others.iter().map(|(_, other)| other.name.clone()).collect();
            let dependency = Some((*id).clone());
            return Ok(Some(Lead { address: first.address, dependency, hidden }));
        }
        let mut elsewhere = joined.elsewhere.iter();
        let published = elsewhere.any(|p| p.host == port && p.transport == transport);
        let address = self.range.nth(1);
        Ok(published.then_some(Lead { address, dependency: None, hidden: Vec::new() }))
    }

    /// Lets a port of a fence's loopback lead there.
    fn turn(
        &mut self,
        fence: &FenceId,
        target: Target,
        lead: Option<Lead>,
    ) -> io::Result<Option<String>> {
        let Some(loopback) = self.fences.get_mut(fence).and_then(|j| j.loopback.as_mut()) else {
            return Ok(None);
        };
        if loopback.leads.get(&target) == lead.as_ref() {
            return Ok(None);
        }
        if loopback.leads.len() >= MAX_LEADS {
            loopback.leads.clear();
        }
        let dependency = lead.as_ref().and_then(|lead| lead.dependency.clone());
        let ambiguous = lead.as_ref().is_some_and(|lead| !lead.hidden.is_empty());
        match lead {
            Some(lead) => loopback.leads.insert(target, lead),
            None => loopback.leads.remove(&target),
        };
        if let Some(dependency) = dependency {
            self.serve(&dependency)?;
        }
        self.connect()?;
        let Some(joined) = self.fences.get(fence) else { return Ok(None) };
        if let (Some(namespace), Some(loopback)) = (&joined.namespace, &joined.loopback) {
            namespace.within(|| loopback.lead())?;
        }
        Ok(self.tell(joined, target).filter(|_| ambiguous))
    }

    /// Lets dependents find the loopback of a fence.
    fn serve(&mut self, fence: &FenceId) -> io::Result<()> {
        let (range, gateway) = (self.range, self.range.nth(1));
        let Some(joined) = self.fences.get_mut(fence).filter(|joined| !joined.serves) else {
            return Ok(());
        };
        if let Some(namespace) = &joined.namespace {
            namespace.within(|| {
                join_loopback()?;
                let mut batch = Batch::new();
                rules::serve(&mut batch, INSIDE, range, gateway);
                Ok(Netlink::open(Family::Netfilter)?.run(&batch.finish())?)
            })?;
            joined.serves = true;
        }
        Ok(())
    }

    /// Between fences.
    pub(super) fn ways(&self) -> impl Iterator<Item = Way<'_>> {
        self.fences.values().flat_map(|joined| {
            let leads = joined.loopback.iter().flat_map(|loopback| &loopback.leads);
            leads.filter_map(|(&(transport, port), lead)| {
                let to = &self.fences.get(lead.dependency.as_ref()?)?.link;
                Some(Way { from: &joined.link, to, transport, port })
            })
        })
    }

    /// Where the ports of its loopback lead that it has asked for.
    pub(super) fn led(&self, joined: &Joined) -> Vec<String> {
        let leads = joined.loopback.iter().flat_map(|loopback| loopback.leads.keys());
        leads.filter_map(|target| self.tell(joined, *target)).collect()
    }

    fn tell(&self, joined: &Joined, target: Target) -> Option<String> {
        let lead = joined.loopback.as_ref()?.leads.get(&target)?;
        let name = name(target);
        let Some(dependency) = &lead.dependency else {
            return Some(format!("{name} leads to the component that publishes it"));
        };
        let first = &self.fences.get(dependency)?.name;
        Some(match lead.hidden.as_slice() {
            [] => format!("{name} leads to {first}"),
            hidden => format!(
                "{name} leads to {first}, the first dependency that listens there; not reached: {}",
                hidden.join(", ")
            ),
        })
    }
}

fn name((transport, port): Target) -> String {
    format!("127.0.0.1:{port}/{transport}")
}

fn holder(joined: &Joined, (transport, port): Target) -> io::Result<Option<u32>> {
    match &joined.namespace {
        Some(namespace) => namespace.within(|| sockets::holder(transport, port)),
        // Nothing runs in it yet.
        None => Ok(None),
    }
}
