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

use std::collections::{BTreeMap, BTreeSet};
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

    /// Remembers what was found; which ports lead elsewhere than before.
    fn change(&mut self, found: Vec<(Target, Option<Lead>)>) -> Vec<Target> {
        let mut changed = Vec::new();
        for (target, lead) in found {
            if self.leads.get(&target) == lead.as_ref() {
                continue;
            }
            if self.leads.len() >= MAX_LEADS {
                self.leads.clear();
            }
            match lead {
                Some(lead) => self.leads.insert(target, lead),
                None => self.leads.remove(&target),
            };
            changed.push(target);
        }
        changed
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
        let packets = loopback.held.take()?;
        let targets: BTreeSet<_> = packets.iter().filter_map(|packet| packet.target).collect();
        let mut found = Vec::new();
        for target in targets {
            match self.find(fence, target) {
                Ok(lead) => found.push((target, lead)),
                Err(error) => say!("fence {fence}: {}: {error}", name(target)),
            }
        }
        let told = self.turn(fence, found);
        // Whatever came of it, nothing is held for ever.
        if let Some(loopback) = self.fences.get(fence).and_then(|j| j.loopback.as_ref()) {
            for packet in packets {
                if let Err(errno) = loopback.held.let_go(packet) {
                    say!("fence {fence}: a packet stays held: {errno}");
                }
            }
        }
        Ok(told?.into_iter().map(|text| (fence.clone(), text)).collect())
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

    /// Lets ports of a fence's loopback lead there: all of them at once, for each change of rules takes the kernel a while.
    fn turn(
        &mut self,
        fence: &FenceId,
        found: Vec<(Target, Option<Lead>)>,
    ) -> io::Result<Vec<String>> {
        let Some(loopback) = self.fences.get_mut(fence).and_then(|j| j.loopback.as_mut()) else {
            return Ok(Vec::new());
        };
        let changed = loopback.change(found);
        if changed.is_empty() {
            return Ok(Vec::new());
        }
        if let Err(error) = self.lay_leads(fence, &changed) {
            // Not known to be in force: found anew when it is asked for again.
            if let Some(loopback) = self.fences.get_mut(fence).and_then(|j| j.loopback.as_mut()) {
                changed.iter().for_each(|target| drop(loopback.leads.remove(target)));
            }
            return Err(error);
        }
        let Some(joined) = self.fences.get(fence) else { return Ok(Vec::new()) };
        let ambiguous = changed.into_iter().filter(|target| joined.is_ambiguous(target));
        Ok(ambiguous.filter_map(|target| self.tell(joined, target)).collect())
    }

    fn lay_leads(&mut self, fence: &FenceId, changed: &[Target]) -> io::Result<()> {
        let Some(joined) = self.fences.get(fence) else { return Ok(()) };
        let leads = joined.loopback.iter().flat_map(|loopback| &loopback.leads);
        let leads = leads.filter(|(target, _)| changed.contains(target));
        let serving: BTreeSet<_> = leads.filter_map(|(_, lead)| lead.dependency.clone()).collect();
        serving.iter().try_for_each(|dependency| self.serve(dependency))?;
        self.connect()?;
        let Some(joined) = self.fences.get(fence) else { return Ok(()) };
        match (&joined.namespace, &joined.loopback) {
            (Some(namespace), Some(loopback)) => namespace.within(|| loopback.lead()),
            _ => Ok(()),
        }
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

impl Joined {
    fn is_ambiguous(&self, target: &Target) -> bool {
        let lead = self.loopback.as_ref().and_then(|loopback| loopback.leads.get(target));
        lead.is_some_and(|lead| !lead.hidden.is_empty())
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
