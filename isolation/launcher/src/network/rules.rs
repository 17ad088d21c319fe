//! What packets of fences may do, as one nftables table of this launcher's.
//!
//! Out: anything but link-local addresses and their like, networks that configuration denies, other fences and this host
//! (DNS apart), under the host's address. In: answers, what the administrator publishes, and dependents.

use std::net::Ipv4Addr;

use hedgerow_isolation::network::{Block, Port, Range, Transport};
use hedgerow_isolation::protocol::MAX_FENCES;

use super::nftables::{Batch, Hold, Hook, Part};

/// Every link of every launcher on this machine is called so.
pub const LINKS: &str = "hr-";

const LOOPBACK: Part<'_> = Part::Source(Ipv4Addr::new(127, 0, 0, 0), Ipv4Addr::new(255, 0, 0, 0));
const TO_LOOPBACK: Part<'_> =
    Part::Destination(Ipv4Addr::new(127, 0, 0, 0), Ipv4Addr::new(255, 0, 0, 0));
const TO_LINK_LOCAL: Part<'_> =
    Part::Destination(Ipv4Addr::new(169, 254, 0, 0), Ipv4Addr::new(255, 255, 0, 0));
/// Where Alibaba Cloud's machines ask for their own rights, which is not link-local.
const TO_METADATA: Part<'_> =
    Part::Destination(Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::BROADCAST);

const TCP: Part<'_> = Part::Protocol(libc::IPPROTO_TCP as u8);
const UDP: Part<'_> = Part::Protocol(libc::IPPROTO_UDP as u8);
const DNS: Part<'_> = Part::Port(53);

/// Chain of the ways between fences.
const DEPENDENCIES: &str = "dependencies";
/// A fence's own table, and the chain of where its loopback leads.
const OWN: &str = "hedgerow";
const LEADS: &str = "leads";

/// More than fences at once: an interface is forgotten some time after its last connection.
const MAX_LINKS: u32 = 4 * MAX_FENCES as u32;

/// Names that the rules refer to.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    pub table: &'a str,
    /// How the names of this launcher's links begin.
    pub links: &'a str,
}

/// What configuration has to say.
#[derive(Debug)]
pub struct Policy<'a> {
    pub range: Range,
    pub link_local: bool,
    /// Networks that fences do not reach.
    pub denied: &'a [Block],
    pub connections: Option<Connections>,
}

/// How many connections a fence may have at once, and the group that is told when it wants more.
#[derive(Debug, Clone, Copy)]
pub struct Connections {
    pub most: u32,
    pub group: u16,
}

/// The largest that fits a link. Both ends of a connection between fences believe to be on a loopback interface, whose
/// packets are larger than any link's.
const SEGMENT: u16 = 1460;

/// Everything but what is published and what leads to dependencies, in place of what was there.
pub fn lay_down(batch: &mut Batch, names: Names<'_>, policy: &Policy<'_>) {
    let Names { table, links } = names;
    // There or not, it is new now.
    batch.ensure_table(table);
    batch.delete_table(table);
    batch.ensure_table(table);
    for (chain, hook) in [
        ("arrival", Hook::Arrival),
        ("input", Hook::Input),
        ("forward", Hook::Forward),
        ("masquerade", Hook::PostroutingNat),
        ("published", Hook::PreroutingNat),
        ("published-here", Hook::OutputNat),
    ] {
        batch.add_chain(table, chain, hook);
    }
    batch.add_branch(table, DEPENDENCIES);
    let (from, to) = (Part::From(links), Part::To(links));

    // Neither to the host's own loopback nor as if from there.
    for loopback in [TO_LOOPBACK, LOOPBACK] {
        batch.add_rule(table, "arrival", &[from, loopback, Part::Drop]);
    }

    if let Some(connections) = policy.connections {
        limit_connections(batch, names, connections);
    }

    batch.add_rule(table, "input", &[from, Part::Established, Part::Accept]);
    for transport in [UDP, TCP] {
        batch.add_rule(table, "input", &[from, transport, DNS, Part::Accept]);
    }
    batch.add_rule(table, "input", &[from, Part::Reject]);

    batch.add_rule(table, "forward", &[from, to, TCP, Part::Syn, Part::Segments(SEGMENT)]);
    for way in [from, to] {
        batch.add_rule(table, "forward", &[way, Part::Established, Part::Accept]);
    }
    batch.add_rule(table, "forward", &[to, Part::Redirected, Part::Accept]);
    batch.add_rule(table, "forward", &[from, to, Part::Jump(DEPENDENCIES)]);
    batch.add_rule(table, "forward", &[to, Part::Reject]);
    if !policy.link_local {
        for near in [TO_LINK_LOCAL, TO_METADATA] {
            batch.add_rule(table, "forward", &[from, near, Part::Reject]);
        }
    }
    for block in policy.denied {
        let denied = Part::Destination(block.network(), block.netmask());
        batch.add_rule(table, "forward", &[from, denied, Part::Reject]);
    }

    let (first, mask) = (policy.range.network(), policy.range.netmask());
    let (ours, to_ours) = (Part::Source(first, mask), Part::Destination(first, mask));
    // A dependency is to see who asks.
    batch.add_rule(table, "masquerade", &[ours, to_ours, Part::NotRedirected, Part::Accept]);
    batch.add_rule(table, "masquerade", &[ours, Part::Masquerade]);
    // The host's own way to a published port by its loopback address.
    batch.add_rule(table, "masquerade", &[to, LOOPBACK, Part::Masquerade]);
}

/// The host tracks them in one table, which one fence must not fill.
fn limit_connections(batch: &mut Batch, names: Names<'_>, connections: Connections) {
    const COUNTED: &str = "connections";
    const TOO_MANY: &str = "too-many";
    let Names { table, links } = names;
    batch.add_set(table, COUNTED, MAX_LINKS);
    batch.add_branch(table, TOO_MANY);
    batch.add_rule(table, TOO_MANY, &[Part::AtMost(1), Part::Tell(connections.group)]);
    batch.add_rule(table, TOO_MANY, &[Part::Reject]);
    let more = Part::MoreThan(COUNTED, connections.most);
    for chain in ["input", "forward"] {
        let rule = [Part::From(links), Part::New, more, Part::Jump(TOO_MANY)];
        batch.add_rule(table, chain, &rule);
    }
}

/// What is published, in place of what was.
pub fn publish(
    batch: &mut Batch,
    names: Names<'_>,
    ports: impl Iterator<Item = (Ipv4Addr, Port)> + Clone,
) {
    for chain in ["published", "published-here"] {
        batch.empty_chain(names.table, chain);
        for (address, port) in ports.clone() {
            let redirect = Part::Redirect(address, port.inside);
            let rule = [Part::ToThisHost, of(port.transport), Part::Port(port.host), redirect];
            batch.add_rule(names.table, chain, &rule);
        }
    }
}

/// A port of a dependency that a dependent has asked for; the links are theirs.
#[derive(Debug, Clone, Copy)]
pub struct Way<'a> {
    pub from: &'a str,
    pub to: &'a str,
    pub transport: Transport,
    pub port: u16,
}

/// The ways between fences that are open, in place of those that were.
pub fn connect<'a>(batch: &mut Batch, names: Names<'_>, ways: impl Iterator<Item = Way<'a>>) {
    batch.empty_chain(names.table, DEPENDENCIES);
    for Way { from, to, transport, port } in ways {
        let (from, to) = (Part::FromExactly(from), Part::ToExactly(to));
        let rule = [from, to, of(transport), Part::Port(port), Part::Accept];
        batch.add_rule(names.table, DEPENDENCIES, &rule);
    }
}

/// In a fence: connections to its own loopback wait until somebody has looked where they lead.
/// Beyond `rate` a second they do not, and go where they went before.
pub fn hold(batch: &mut Batch, how: Hold, rate: u32) {
    batch.ensure_table(OWN);
    batch.add_chain(OWN, "hold", Hook::Departure);
    batch.add_chain(OWN, LEADS, Hook::OutputNat);
    batch.add_chain(OWN, "masquerade", Hook::PostroutingNat);
    for transport in [TCP, UDP] {
        let rule = [TO_LOOPBACK, transport, Part::New, Part::AtMost(rate), Part::Hold(how)];
        batch.add_rule(OWN, "hold", &rule);
    }
    batch.add_rule(OWN, "masquerade", &[LOOPBACK, Part::Redirected, Part::Masquerade]);
}

/// In a fence: where ports of its loopback lead, in place of where they led.
pub fn lead(batch: &mut Batch, leads: impl Iterator<Item = (Transport, u16, Ipv4Addr)>) {
    batch.empty_chain(OWN, LEADS);
    for (transport, port, to) in leads {
        let rule = [TO_LOOPBACK, of(transport), Part::Port(port), Part::Redirect(to, port)];
        batch.add_rule(OWN, LEADS, &rule);
    }
}

/// In a fence: other fences that get here find what listens on its loopback, and seem to be there as well.
pub fn serve(batch: &mut Batch, link: &str, range: Range, gateway: Ipv4Addr) {
    const SERVED: &str = "hedgerow-dependents";
    let from = Part::FromExactly(link);
    let fences = Part::Source(range.network(), range.netmask());
    let host = Part::Source(gateway, Ipv4Addr::BROADCAST);
    batch.ensure_table(SERVED);
    batch.add_chain(SERVED, "move", Hook::PreroutingNat);
    batch.add_chain(SERVED, "rename", Hook::InputNat);
    batch.add_rule(SERVED, "move", &[from, host, Part::Accept]);
    batch.add_rule(SERVED, "move", &[from, fences, Part::Move(Ipv4Addr::LOCALHOST)]);
    let moved = [from, fences, Part::Redirected, Part::Rename(Ipv4Addr::LOCALHOST)];
    batch.add_rule(SERVED, "rename", &moved);
}

fn of(transport: Transport) -> Part<'static> {
    match transport {
        Transport::Tcp => TCP,
        Transport::Udp => UDP,
    }
}

/// Nothing is forwarded for others, whatever interfaces there are and will be.
pub fn guard(batch: &mut Batch, table: &str) {
    batch.ensure_table(table);
    batch.delete_table(table);
    batch.ensure_table(table);
    batch.add_chain(table, "forward", Hook::Forward);
    let others = [Part::NotFrom(LINKS), Part::NotTo(LINKS)];
    let begins = [Part::New, Part::NotRedirected, Part::Drop];
    batch.add_rule(table, "forward", &[others.as_slice(), &begins].concat());
}
