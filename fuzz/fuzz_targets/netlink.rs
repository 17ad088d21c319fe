//! Foreign bytes as the kernel's answers by netlink: no panic, and no end that does not come.

#![no_main]
#![allow(dead_code)] // Reading is a small part of these files.

#[path = "../../isolation/launcher/src/network/excess.rs"]
mod excess;
#[path = "../../isolation/launcher/src/network/forwarding.rs"]
mod forwarding;
#[path = "../../isolation/launcher/src/network/held.rs"]
mod held;
#[path = "../../isolation/launcher/src/network/netlink.rs"]
mod netlink;
#[path = "../../isolation/launcher/src/network/nftables.rs"]
mod nftables;
#[path = "../../isolation/launcher/src/network/routes.rs"]
mod routes;
#[path = "../../isolation/launcher/src/network/rules.rs"]
mod rules;
#[path = "../../isolation/launcher/src/network/sockets.rs"]
mod sockets;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    let mut read_so_far = 0;
    for (_, body) in netlink::messages(bytes) {
        read_so_far += body.len();
        assert!(read_so_far <= bytes.len());
        read(body);
    }
});

fn read(body: &[u8]) {
    let values: usize = netlink::attributes(body).map(|(_, value)| value.len()).sum();
    assert!(values <= body.len());
    let _ = forwarding::name(body);
    let _ = held::packet(body);
    let _ = excess::interface(body);
    let _ = routes::destination(body);
    let _ = sockets::user(body);
}
