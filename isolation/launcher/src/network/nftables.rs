//! Tables, chains and rules of nftables, as its part of the kernel takes them by netlink: see nft(8) for what they
//! mean. A batch is carried out as a whole or not at all.

use std::net::Ipv4Addr;

use super::netlink::{Attributes, Messages, Mode};

// linux/netfilter/nfnetlink.h, nf_tables.h
const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NEW_TABLE: u16 = SUBSYSTEM << 8;
const DELETE_TABLE: u16 = SUBSYSTEM << 8 | 2;
pub const GET_TABLE: u16 = SUBSYSTEM << 8 | 1;
const NEW_CHAIN: u16 = SUBSYSTEM << 8 | 3;
const NEW_RULE: u16 = SUBSYSTEM << 8 | 6;
const DELETE_RULE: u16 = SUBSYSTEM << 8 | 8;
const NEW_SET: u16 = SUBSYSTEM << 8 | 9;
/// `struct nfgenmsg` of the family `inet`, which is both versions of IP.
pub const INET: [u8; 4] = [1, 0, 0, 0];

const REGISTER: u32 = 1;
const SECOND_REGISTER: u32 = 2;
const VERDICT_REGISTER: u32 = 0;

/// Where a chain hooks in, and when among others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// Before all others, connection tracking too.
    Arrival,
    PreroutingNat,
    /// What this host sends, once connection tracking has seen it and before its destination is changed.
    Departure,
    OutputNat,
    Input,
    InputNat,
    Forward,
    PostroutingNat,
}

impl Hook {
    fn kind(self) -> &'static str {
        match self {
            Self::Arrival | Self::Departure | Self::Input | Self::Forward => "filter",
            Self::PreroutingNat | Self::OutputNat | Self::InputNat | Self::PostroutingNat => "nat",
        }
    }

    fn number(self) -> u32 {
        match self {
            Self::Arrival | Self::PreroutingNat => 0,
            Self::Input | Self::InputNat => 1,
            Self::Forward => 2,
            Self::Departure | Self::OutputNat => 3,
            Self::PostroutingNat => 4,
        }
    }

    fn priority(self) -> i32 {
        match self {
            Self::Arrival => -300,
            Self::Departure => -150,
            Self::PreroutingNat | Self::OutputNat => -100,
            Self::Input | Self::Forward => 0,
            Self::InputNat | Self::PostroutingNat => 100,
        }
    }
}

#[derive(Debug)]
pub struct Batch {
    messages: Messages,
}

impl Batch {
    pub fn new() -> Self {
        let mut messages = Messages::default();
        messages.add_silent(BATCH_BEGIN, &batch_header(), |_| {});
        Self { messages }
    }

    pub fn finish(mut self) -> Messages {
        self.messages.add_silent(BATCH_END, &batch_header(), |_| {});
        self.messages
    }

    /// To be looked at only.
    pub fn unfinished(self) -> Messages {
        self.messages
    }

    pub fn ensure_table(&mut self, table: &str) {
        self.messages.add(NEW_TABLE, Mode::Ensure, &INET, |into| into.text(1, table));
    }

    /// With everything in it; it must be there.
    pub fn delete_table(&mut self, table: &str) {
        self.messages.add(DELETE_TABLE, Mode::Change, &INET, |into| into.text(1, table));
    }

    /// A chain that takes what none of its rules drops.
    pub fn add_chain(&mut self, table: &str, chain: &str, hook: Hook) {
        self.messages.add(NEW_CHAIN, Mode::Create, &INET, |into| {
            into.text(1, table);
            into.text(3, chain);
            into.nest(4, |at| {
                at.put(1, &hook.number().to_be_bytes());
                at.put(2, &hook.priority().to_be_bytes());
            });
            into.text(7, hook.kind());
        });
    }

    /// A chain to jump to.
    pub fn add_branch(&mut self, table: &str, chain: &str) {
        self.messages.add(NEW_CHAIN, Mode::Create, &INET, |into| {
            into.text(1, table);
            into.text(3, chain);
        });
    }

    /// A set of `size` interfaces that rules add to: [`Part::MoreThan`].
    pub fn add_set(&mut self, table: &str, set: &str, size: u32) {
        const ADDED_TO_BY_RULES: u32 = 0x20;
        self.messages.add(NEW_SET, Mode::Create, &INET, |into| {
            into.text(1, table);
            into.text(2, set);
            into.put(3, &ADDED_TO_BY_RULES.to_be_bytes());
            into.put(4, &0_u32.to_be_bytes());
            into.put(5, &4_u32.to_be_bytes());
            into.nest(9, |sizes| sizes.put(1, &size.to_be_bytes()));
            into.put(10, &1_u32.to_be_bytes());
        });
    }

    pub fn empty_chain(&mut self, table: &str, chain: &str) {
        self.messages.add(DELETE_RULE, Mode::Change, &INET, |into| {
            into.text(1, table);
            into.text(2, chain);
        });
    }

    /// What all of `parts` say, one after the other.
    pub fn add_rule(&mut self, table: &str, chain: &str, parts: &[Part<'_>]) {
        self.messages.add(NEW_RULE, Mode::Append, &INET, |into| {
            into.text(1, table);
            into.text(2, chain);
            into.nest(4, |list| parts.iter().for_each(|part| part.write(list)));
        });
    }
}

/// Version 0, and the subsystem's number in the byte order of the net.
fn batch_header() -> [u8; 4] {
    let [high, low] = SUBSYSTEM.to_be_bytes();
    [0, 0, high, low]
}

/// A condition or an act of a rule.
#[derive(Debug, Clone, Copy)]
pub enum Part<'a> {
    /// The name of the interface by which it came begins so.
    From(&'a str),
    /// The name of the interface by which it goes begins so.
    To(&'a str),
    NotFrom(&'a str),
    NotTo(&'a str),
    /// The interface by which it came has this name.
    FromExactly(&'a str),
    ToExactly(&'a str),
    /// It comes from this block of IPv4 addresses.
    Source(Ipv4Addr, Ipv4Addr),
    /// It goes to this block of IPv4 addresses.
    Destination(Ipv4Addr, Ipv4Addr),
    /// It goes to an address of this host, whichever.
    ToThisHost,
    /// IPPROTO_TCP or IPPROTO_UDP.
    Protocol(u8),
    Port(u16),
    /// It belongs to a connection that was let through, or comes of one.
    Established,
    /// It begins a connection.
    New,
    /// Its destination was changed on the way.
    Redirected,
    NotRedirected,
    /// It begins a connection of TCP, or is the first answer.
    Syn,
    /// Connections by the same interface, kept in this set, are more than so many.
    MoreThan(&'a str, u32),
    /// It is one of so many in a second.
    AtMost(u32),
    Accept,
    Drop,
    /// Drops it and tells the sender.
    Reject,
    /// Waits for the verdict of whoever has queue 0 of this network namespace, which must be somebody.
    Hold(Hold),
    /// Goes on with that chain.
    Jump(&'a str),
    /// Tells whoever listens to this group.
    Tell(u16),
    /// Makes the segments of a connection that begins no larger than so many bytes.
    Segments(u16),
    /// Gives it the address of this host.
    Masquerade,
    /// Gives it, and all that follows, this source.
    Rename(Ipv4Addr),
    /// Sends it, and all that follows, there.
    Redirect(Ipv4Addr, u16),
    /// Sends it, and all that follows, to the same port there.
    Move(Ipv4Addr),
}

/// What a kernel has to hold packets with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// nftables' own: CONFIG_NFT_QUEUE.
    Expression,
    /// That of iptables: CONFIG_NETFILTER_XT_TARGET_NFQUEUE, CONFIG_NFT_COMPAT.
    Target,
}

// Bits of `ct state` and `ct status`.
const ESTABLISHED_OR_RELATED: u32 = 2 | 4;
const NEW: u32 = 8;
const DESTINATION_CHANGED: u32 = 1 << 5;

impl Part<'_> {
    fn write(self, list: &mut Attributes) {
        match self {
            Self::From(prefix) => interface(list, 6, EQUAL, prefix.as_bytes()),
            Self::To(prefix) => interface(list, 7, EQUAL, prefix.as_bytes()),
            Self::NotFrom(prefix) => interface(list, 6, NOT_EQUAL, prefix.as_bytes()),
            Self::NotTo(prefix) => interface(list, 7, NOT_EQUAL, prefix.as_bytes()),
            Self::FromExactly(name) => interface(list, 6, EQUAL, &exact(name)),
            Self::ToExactly(name) => interface(list, 7, EQUAL, &exact(name)),
            Self::Source(first, mask) => address(list, 12, first, mask),
            Self::Destination(first, mask) => address(list, 16, first, mask),
            Self::ToThisHost => {
                expression(list, "fib", |data| {
                    data.put(1, &REGISTER.to_be_bytes());
                    data.put(2, &3_u32.to_be_bytes());
                    data.put(3, &2_u32.to_be_bytes());
                });
                compare(list, EQUAL, &u32::from(libc::RTN_LOCAL).to_ne_bytes());
            }
            Self::Protocol(number) => {
                meta(list, 16);
                compare(list, EQUAL, &[number]);
            }
            Self::Port(port) => {
                payload(list, 2, 2, 2);
                compare(list, EQUAL, &port.to_be_bytes());
            }
            Self::Established => tracked(list, 0, ESTABLISHED_OR_RELATED, NOT_EQUAL),
            Self::New => tracked(list, 0, NEW, NOT_EQUAL),
            Self::Redirected => tracked(list, 2, DESTINATION_CHANGED, NOT_EQUAL),
            Self::NotRedirected => tracked(list, 2, DESTINATION_CHANGED, EQUAL),
            Self::Syn => {
                payload(list, 2, 13, 1);
                mask(list, &[2]);
                compare(list, NOT_EQUAL, &[0]);
            }
            Self::MoreThan(set, count) => {
                meta(list, 4);
                expression(list, "dynset", |data| {
                    data.text(1, set);
                    data.put(3, &0_u32.to_be_bytes());
                    data.put(4, &REGISTER.to_be_bytes());
                    data.nest(7, |each| {
                        each.text(1, "connlimit");
                        each.nest(2, |data| {
                            data.put(1, &count.to_be_bytes());
                            data.put(2, &1_u32.to_be_bytes());
                        });
                    });
                });
            }
            Self::AtMost(count) => expression(list, "limit", |data| {
                data.put(1, &u64::from(count).to_be_bytes());
                data.put(2, &1_u64.to_be_bytes());
                data.put(3, &count.to_be_bytes());
            }),
            Self::Accept => verdict(list, 1),
            Self::Drop => verdict(list, 0),
            Self::Hold(Hold::Expression) => {
                expression(list, "queue", |data| data.put(1, &0_u16.to_be_bytes()));
            }
            Self::Hold(Hold::Target) => expression(list, "target", |data| {
                data.text(1, "NFQUEUE");
                data.put(2, &2_u32.to_be_bytes());
                // `struct xt_NFQ_info_v2`: queue 0, one of them, no flags.
                data.put(3, &[0_u16.to_ne_bytes(), 1_u16.to_ne_bytes(), [0; 2], [0; 2]].concat());
            }),
            Self::Jump(chain) => decide(list, |verdict| {
                const JUMP: i32 = -3;
                verdict.put(1, &JUMP.to_be_bytes());
                verdict.text(2, chain);
            }),
            Self::Tell(group) => expression(list, "log", |data| {
                data.put(1, &group.to_be_bytes());
                // At once.
                data.put(4, &1_u16.to_be_bytes());
            }),
            Self::Segments(size) => {
                load(list, REGISTER, &size.to_be_bytes());
                expression(list, "exthdr", |data| {
                    const MAXIMUM_SEGMENT_SIZE: u8 = 2;
                    const OPTION_OF_TCP: u32 = 1;
                    data.put(2, &[MAXIMUM_SEGMENT_SIZE]);
                    data.put(3, &2_u32.to_be_bytes());
                    data.put(4, &2_u32.to_be_bytes());
                    data.put(6, &OPTION_OF_TCP.to_be_bytes());
                    data.put(7, &REGISTER.to_be_bytes());
                });
            }
            Self::Reject => expression(list, "reject", |data| {
                // "Administratively prohibited", in the terms of either version of IP.
                data.put(1, &2_u32.to_be_bytes());
                data.put(2, &[3]);
            }),
            Self::Masquerade => expression(list, "masq", |_| {}),
            Self::Rename(address) => translate(list, SOURCE, address, None),
            Self::Redirect(address, port) => translate(list, DESTINATION, address, Some(port)),
            Self::Move(address) => translate(list, DESTINATION, address, None),
        }
    }
}

const SOURCE: u32 = 0;
const DESTINATION: u32 = 1;

fn translate(list: &mut Attributes, what: u32, address: Ipv4Addr, port: Option<u16>) {
    load(list, REGISTER, &address.octets());
    if let Some(port) = port {
        load(list, SECOND_REGISTER, &port.to_be_bytes());
    }
    expression(list, "nat", |data| {
        data.put(1, &what.to_be_bytes());
        data.put(2, &2_u32.to_be_bytes());
        data.put(3, &REGISTER.to_be_bytes());
        if port.is_some() {
            data.put(5, &SECOND_REGISTER.to_be_bytes());
        }
    });
}

const EQUAL: u32 = 0;
const NOT_EQUAL: u32 = 1;

fn expression(list: &mut Attributes, name: &str, data: impl FnOnce(&mut Attributes)) {
    list.nest(1, |element| {
        element.text(1, name);
        element.nest(2, data);
    });
}

fn meta(list: &mut Attributes, key: u32) {
    expression(list, "meta", |data| {
        data.put(1, &REGISTER.to_be_bytes());
        data.put(2, &key.to_be_bytes());
    });
}

fn payload(list: &mut Attributes, base: u32, offset: u32, length: u32) {
    expression(list, "payload", |data| {
        data.put(1, &REGISTER.to_be_bytes());
        data.put(2, &base.to_be_bytes());
        data.put(3, &offset.to_be_bytes());
        data.put(4, &length.to_be_bytes());
    });
}

fn compare(list: &mut Attributes, how: u32, value: &[u8]) {
    expression(list, "cmp", |data| {
        data.put(1, &REGISTER.to_be_bytes());
        data.put(2, &how.to_be_bytes());
        data.nest(3, |data| data.put(1, value));
    });
}

/// The bits that are in `mask` stay.
fn mask<const N: usize>(list: &mut Attributes, mask: &[u8; N]) {
    expression(list, "bitwise", |data| {
        data.put(1, &REGISTER.to_be_bytes());
        data.put(2, &REGISTER.to_be_bytes());
        data.put(3, &u32::try_from(N).unwrap_or_default().to_be_bytes());
        data.nest(4, |data| data.put(1, mask));
        data.nest(5, |data| data.put(1, &[0; N]));
    });
}

fn load(list: &mut Attributes, register: u32, value: &[u8]) {
    expression(list, "immediate", |data| {
        data.put(1, &register.to_be_bytes());
        data.nest(2, |data| data.put(1, value));
    });
}

fn verdict(list: &mut Attributes, code: u32) {
    decide(list, |verdict| verdict.put(1, &code.to_be_bytes()));
}

fn decide(list: &mut Attributes, verdict: impl FnOnce(&mut Attributes)) {
    expression(list, "immediate", |data| {
        data.put(1, &VERDICT_REGISTER.to_be_bytes());
        data.nest(2, |data| data.nest(2, verdict));
    });
}

fn interface(list: &mut Attributes, key: u32, how: u32, name: &[u8]) {
    meta(list, key);
    compare(list, how, name);
}

/// The whole of the kernel's field, so that a longer name is another.
fn exact(name: &str) -> [u8; 16] {
    let mut field = [0; 16];
    for (to, from) in field.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    field
}

/// Rules of the family `inet` see both versions of IP: only a packet of version 4 has such an address.
fn address(list: &mut Attributes, offset: u32, first: Ipv4Addr, netmask: Ipv4Addr) {
    meta(list, 15);
    compare(list, EQUAL, &[libc::NFPROTO_IPV4 as u8]);
    payload(list, 1, offset, 4);
    mask(list, &netmask.octets());
    compare(list, EQUAL, &first.octets());
}

/// What connection tracking says, by its bits: any of them set where `how` is not equal, none where it is.
fn tracked(list: &mut Attributes, key: u32, bits: u32, how: u32) {
    expression(list, "ct", |data| {
        data.put(1, &REGISTER.to_be_bytes());
        data.put(2, &key.to_be_bytes());
    });
    mask(list, &bits.to_ne_bytes());
    compare(list, how, &[0; 4]);
}
