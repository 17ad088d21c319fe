//! What packets of fences may do, as one nftables table of this launcher's.
//!
//! Out: anything but link-local addresses and their like, other fences and this host (DNS apart), under the host's address.
//! In: answers, and what the administrator publishes.

use std::net::Ipv4Addr;

use hedgerow_isolation::network::{Port, Range, Transport};

use super::nftables::{Batch, Hook, Part};

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

/// Names that the rules refer to.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    pub table: &'a str,
    /// How the names of this launcher's links begin.
    pub links: &'a str,
}

/// Everything but what is published, in place of what was there.
pub fn lay_down(batch: &mut Batch, names: Names<'_>, range: Range, link_local: bool) {
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
    let (from, to) = (Part::From(links), Part::To(links));

    // Neither to the host's own loopback nor as if from there.
    for loopback in [TO_LOOPBACK, LOOPBACK] {
        batch.add_rule(table, "arrival", &[from, loopback, Part::Drop]);
    }

    batch.add_rule(table, "input", &[from, Part::Established, Part::Accept]);
    for transport in [UDP, TCP] {
        batch.add_rule(table, "input", &[from, transport, DNS, Part::Accept]);
    }
    batch.add_rule(table, "input", &[from, Part::Reject]);

    for way in [from, to] {
        batch.add_rule(table, "forward", &[way, Part::Established, Part::Accept]);
    }
    batch.add_rule(table, "forward", &[to, Part::Redirected, Part::Accept]);
    batch.add_rule(table, "forward", &[to, Part::Reject]);
    if !link_local {
        for near in [TO_LINK_LOCAL, TO_METADATA] {
            batch.add_rule(table, "forward", &[from, near, Part::Reject]);
        }
    }

    let ours = Part::Source(range.network(), range.netmask());
    batch.add_rule(table, "masquerade", &[ours, Part::Masquerade]);
    // The host's own way to a published port by its loopback address.
    batch.add_rule(table, "masquerade", &[to, LOOPBACK, Part::Masquerade]);
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
            let rule = [Part::ToThisHost, transport(port), Part::Port(port.host), redirect];
            batch.add_rule(names.table, chain, &rule);
        }
    }
}

/// In a fence: what its programs ask of `ports` of its own loopback is asked of the host, as if they shared it.
pub fn lead_elsewhere(batch: &mut Batch, gateway: Ipv4Addr, ports: &[Port]) {
    const TABLE: &str = "hedgerow";
    batch.ensure_table(TABLE);
    batch.add_chain(TABLE, "elsewhere", Hook::OutputNat);
    batch.add_chain(TABLE, "masquerade", Hook::PostroutingNat);
    for port in ports {
        let redirect = Part::Redirect(gateway, port.host);
        let rule = [TO_LOOPBACK, transport(*port), Part::Port(port.host), redirect];
        batch.add_rule(TABLE, "elsewhere", &rule);
    }
    let leaves = [LOOPBACK, Part::Redirected, Part::Masquerade];
    batch.add_rule(TABLE, "masquerade", &leaves);
}

fn transport(port: Port) -> Part<'static> {
    match port.transport {
        Transport::Tcp => TCP,
        Transport::Udp => UDP,
    }
}

/// Nothing is forwarded for others that comes by one of `interfaces`.
pub fn guard(batch: &mut Batch, table: &str, interfaces: &[String]) {
    batch.ensure_table(table);
    batch.delete_table(table);
    batch.ensure_table(table);
    batch.add_chain(table, "forward", Hook::Forward);
    for interface in interfaces {
        let others = [Part::FromExactly(interface), Part::NotTo(LINKS)];
        let begins = [Part::New, Part::NotRedirected, Part::Drop];
        batch.add_rule(table, "forward", &[others.as_slice(), &begins].concat());
    }
}
