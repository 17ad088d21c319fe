//! The resolv.conf(5) of fences. What listens on the host's loopback (systemd-resolved, dnsmasq) is out of their
//! reach: they ask the servers that it asks. Only IPv4 leads out of a fence.

use std::fmt::Write;
use std::fs;
use std::net::IpAddr;

/// Where resolvers on the loopback say whom they ask.
const UPSTREAM: [&str; 3] = [
    "/run/systemd/resolve/resolv.conf",
    "/run/NetworkManager/no-stub-resolv.conf",
    "/run/connman/resolv.conf",
];

/// The host's file made fit for fences. `configured` servers are used in place of the host's.
pub fn for_fences(host: &str, configured: &[IpAddr]) -> String {
    adapt(host, configured, |path| fs::read_to_string(path).ok())
}

fn adapt(host: &str, configured: &[IpAddr], read: impl Fn(&str) -> Option<String>) -> String {
    let reachable = |text: &str| servers(text).filter(is_reachable).collect::<Vec<_>>();
    let mut chosen = configured.to_vec();
    if chosen.is_empty() {
        chosen = reachable(host);
    }
    if chosen.is_empty() {
        let upstream = UPSTREAM.iter().filter_map(|path| read(path));
        chosen = upstream.map(|text| reachable(&text)).find(|s| !s.is_empty()).unwrap_or_default();
    }
    let mut text = String::new();
    for line in host.lines().filter(|line| !line.trim_start().starts_with("nameserver")) {
        text.push_str(line);
        text.push('\n');
    }
    for server in chosen {
        // Writing into a String does not fail.
        let _ = writeln!(text, "nameserver {server}");
    }
    text
}

fn servers(text: &str) -> impl Iterator<Item = IpAddr> {
    text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()?.parse().ok()).flatten()
    })
}

fn is_reachable(server: &IpAddr) -> bool {
    server.is_ipv4() && !server.is_loopback() && !server.is_unspecified()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers_of(host: &str, configured: &[&str], upstream: Option<&str>) -> Vec<String> {
        let configured: Vec<IpAddr> = configured.iter().map(|s| s.parse().unwrap()).collect();
        let text = adapt(host, &configured, |path| {
            upstream.filter(|_| path == UPSTREAM[1]).map(str::to_owned)
        });
        assert!(text.lines().any(|line| line == "search lan"), "{text}");
        servers(&text).map(|server| server.to_string()).collect()
    }

    #[test]
    fn a_fence_asks_only_whom_it_can_reach() {
        let stub = "# a stub\nnameserver 127.0.0.53\nsearch lan\n";
        let plain = "search lan\nnameserver 10.0.0.1\nnameserver ::1\nnameserver 2001:db8::1\n";
        let upstream = Some("nameserver 192.0.2.1\nnameserver 127.0.0.1\n");
        assert_eq!(servers_of(plain, &[], upstream), ["10.0.0.1"]);
        assert_eq!(servers_of(stub, &[], upstream), ["192.0.2.1"]);
        assert_eq!(servers_of(stub, &["198.51.100.7"], upstream), ["198.51.100.7"]);
        assert_eq!(servers_of(stub, &[], None), [""; 0]);
    }
}
