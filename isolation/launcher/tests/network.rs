//! What a fence with NAT reaches and what it does not, and who reaches it.

mod common;
#[allow(dead_code)] // Others use the rest.
#[path = "../../../tests/harness/src/outside.rs"]
mod outside;

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::process::Command;
use std::time::Duration;

use common::*;
use hedgerow_isolation::plan::{Network, Plan};
use hedgerow_isolation::protocol::{ErrorKind, ExitStatus};
use outside::Outside;
use rustix::thread::move_into_link_name_space;

fn shell_out(script: &str) -> String {
    let output = Command::new("sh").args(["-ec", script]).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn joined(name: &str) -> Plan {
    Plan { network: Network::Nat, ..plan(name) }
}

/// A script that prints what somebody at `address` says.
fn fetch(address: impl std::fmt::Display, port: u16) -> String {
    format!("exec timeout 10 bash -c 'cat < /dev/tcp/{address}/{port}'")
}

/// Anybody may open the switch, and lock what they open.
#[test]
fn nobody_keeps_the_launcher_waiting_by_a_lock() {
    let switch = File::open("/proc/sys/net/ipv4/ip_forward").unwrap();
    rustix::fs::flock(&switch, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let fence = client.open(joined("patient"));
    // The launcher mends what is removed.
    let table = launcher.cgroup_name();
    shell_out(&format!("nft delete table inet {table}"));
    eventually("the rules are there again", || {
        Command::new("nft")
            .args(["list", "table", "inet", &table])
            .output()
            .ok()?
            .status
            .success()
            .then_some(())
    });
    client.close(&fence);
    let lock = std::fs::metadata("/run/hedgerow-forwarding.lock").unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&lock.permissions()) & 0o777, 0o600);
    drop(switch);
}

#[test]
fn a_fence_reaches_the_world_under_the_hosts_address_and_nothing_nearer() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let outside = Outside::new(0).unwrap();
    let _server = outside.serve(8000).unwrap();
    let fence = client.open(joined("walker"));
    assert_eq!(client.say(&fence, 1, &fetch(outside.address, 8000)), outside.host.to_string());

    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let gateway = client.say(&fence, 2, "ip route show default | cut -d' ' -f3").trim().to_owned();
    let near =
        ["127.0.0.1", "169.254.169.254", "100.100.100.200", &gateway, &outside.host.to_string()];
    for (id, near) in (10..).zip(near) {
        let (status, stdout, _) = client.run(&fence, id, &fetch(near, port));
        assert_eq!((status, stdout.as_str()), (ExitStatus::Code(1), ""), "{near}");
    }
    // Whether or not somebody is at those addresses.
    let rules = shell_out(&format!("nft list table inet {}", launcher.cgroup_name()));
    for near in ["169.254.0.0/16", "100.100.100.200"] {
        let refused = |line: &str| line.contains(near) && line.contains("reject");
        assert!(rules.lines().any(refused), "{near}: {rules}");
    }
    let nobody = client.open(joined("neighbour"));
    let serve = "python3 -u -m http.server 80 2>&1 | head -n 1; echo x";
    let mut running = client.start(&nobody, shell(1, serve));
    assert!(running.line().contains("port 80"));
    let address = client.say(&nobody, 2, "hostname -I").trim().to_owned();
    let (status, _, stderr) = client.run(&fence, 4, &fetch(&address, 80));
    assert_eq!(status, ExitStatus::Code(1), "{address}: {stderr}");
    assert!(!stderr.contains("refused"), "nobody answered: {stderr}");
}

#[test]
fn published_ports_lead_in_from_everywhere() {
    let launcher = Launcher::start();
    launcher.grant(
        "[[grant]]\ncomponent = 'com.example.server'\nports = ['41080:80/tcp']\n\
         [[grant]]\ncomponent = 'com.example.rival'\nports = ['41080:80/tcp']\n",
    );
    let mut client = launcher.client();
    let fence = client.open(joined("server"));
    // No step needs a right to have a port below 1024: the whole network is its own.
    let serve = "exec python3 -c 'import socket; s = socket.create_server((\"\", 80))\n\
                 print(\"up\", flush=True)\n\
                 while True: c, a = s.accept(); c.sendall(b\"in\"); c.close()'";
    let mut running = client.start(&fence, shell(1, serve));
    assert_eq!(running.line(), "up");

    let outside = Outside::new(1).unwrap();
    assert_eq!(ask((Ipv4Addr::LOCALHOST, 41080).into()), "in");
    assert_eq!(ask((outside.host, 41080).into()), "in");
    let program = fetch(outside.host, 41080).replace('\'', "\"");
    assert_eq!(outside.run(&program).unwrap(), "in");
    // From within, and from a neighbour: by the host, as for anybody.
    assert_eq!(client.say(&fence, 2, &fetch(outside.host, 41080)), "in");
    let neighbour = client.open(joined("neighbour"));
    assert_eq!(client.say(&neighbour, 1, &fetch(outside.host, 41080)), "in");
    // It shares no loopback with the host, and finds there what the host has for everybody.
    assert_eq!(client.say(&neighbour, 2, &fetch("127.0.0.1", 41080)), "in");
    assert_eq!(client.say(&neighbour, 3, &fetch("localhost", 41080)), "in");

    let refused = client.try_open(joined("rival")).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Invalid);
    assert!(refused.message.contains("41080:80/tcp") && refused.message.contains("fence server"));
    client.close(&fence);
    TcpListener::bind((Ipv4Addr::LOCALHOST, 41080)).expect("the port is free again");
}

#[test]
fn a_port_of_a_program_of_the_host_is_not_taken_from_it() {
    let launcher = Launcher::start();
    let held = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = held.local_addr().unwrap().port();
    launcher.grant(&format!("[[grant]]\ncomponent = '*'\nports = ['{port}']\n"));
    let refused = launcher.client().try_open(joined("server")).unwrap_err();
    assert!(refused.message.contains(&format!("port {port}:{port}/tcp")), "{refused}");
}

#[test]
fn a_firewall_that_is_loaded_anew_does_not_open_the_fences() {
    let launcher = Launcher::start();
    launcher.grant("[[grant]]\ncomponent = 'com.example.server'\nports = ['41081:80/tcp']\n");
    let mut client = launcher.client();
    let fence = client.open(joined("server"));
    let serve = "exec python3 -c 'import socket; s = socket.create_server((\"\", 80))\n\
                 print(\"up\", flush=True)\n\
                 while True: c, a = s.accept(); c.sendall(b\"in\"); c.close()'";
    assert_eq!(client.start(&fence, shell(1, serve)).line(), "up");
    // The launchers of other tests have tables of their own, which stay.
    let table = launcher.cgroup_name();
    let rules = || Command::new("nft").args(["list", "table", "inet", &table]).output().unwrap();
    let before = rules();
    assert!(before.status.success() && String::from_utf8_lossy(&before.stdout).contains("41081"));
    for _ in 0..3 {
        shell_out(&format!("nft delete table inet {table}"));
        eventually("the rules are there again", || rules().status.success().then_some(()));
    }
    assert_eq!(ask((Ipv4Addr::LOCALHOST, 41081).into()), "in");
    launcher.stop();
    let listed = shell_out("nft list tables");
    assert!(!listed.contains(&table), "{listed}");
}

#[test]
fn nobody_says_that_it_comes_from_the_hosts_loopback() {
    let launcher = Launcher::start();
    launcher.grant(
        "[[grant]]\ncomponent = 'com.example.liar'\nports = ['41082']\n\
         [[grant]]\ncomponent = 'com.example.other'\nports = ['41083']\n",
    );
    let mut client = launcher.client();
    let fence = client.open(joined("liar"));
    let gateway = client.say(&fence, 1, "ip route show default | cut -d' ' -f3").trim().to_owned();
    // The one port of the host that a fence may ask.
    let names = UdpSocket::bind((gateway.as_str(), 53)).unwrap();
    names.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    for (id, from) in [(2, "127.0.0.5"), (3, "")] {
        let send = format!(
            "python3 -c 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
             s.bind((\"{from}\", 0)); s.sendto(b\"x\", (\"{gateway}\", 53))'"
        );
        client.say(&fence, id, &send);
    }
    let (_, from) = names.recv_from(&mut [0]).unwrap();
    assert!(!from.ip().is_loopback(), "{from}");
}

#[test]
fn nothing_is_left_of_the_network() {
    let mut launcher = Launcher::start();
    let mut client = launcher.client();
    let hash = launcher.cgroup_name().replace("hedgerow-", "");
    let links = || shell_out("ip -o link show").matches(&format!("hr-{hash}")).count();
    let fence = client.open(joined("first"));
    client.open(joined("second"));
    assert_eq!(links(), 2);
    client.close(&fence);
    eventually("its link is gone", || (links() == 1).then_some(()));

    launcher.kill();
    eventually("every link is gone", || (links() == 0).then_some(()));
    launcher.replace_after_kill();
    let mut client = launcher.client();
    client.open(joined("third"));
    launcher.stop();
    eventually("every link is gone", || (links() == 0).then_some(()));
}

#[test]
fn a_launcher_that_was_killed_publishes_nothing_any_more_and_its_filters_stay() {
    let mut launcher = Launcher::start();
    launcher.grant("[[grant]]\ncomponent = 'com.example.server'\nports = ['41084:80/tcp']\n");
    launcher.client().open(joined("server"));
    let list = format!("nft list table inet {}", launcher.cgroup_name());
    assert!(shell_out(&list).contains("41084"));
    launcher.kill();
    launcher.replace_after_kill();
    launcher.client();
    let left = shell_out(&list);
    assert!(!left.contains("41084") && left.contains("169.254.0.0/16"), "{left}");
    launcher.stop();
}

#[test]
fn a_host_that_was_no_router_is_none_for_neighbours_that_come_later() {
    for (settings, expected) in
        [("", None), ("[network]\nforward-for-others = true\n", Some("198.51.100.26"))]
    {
        let launcher = Launcher::start_where_nothing_is_forwarded(settings);
        let mut client = launcher.client();
        client.open(joined("first"));
        // This thread, and what it starts, moves into the launcher's network.
        let network = File::open(format!("/proc/{}/ns/net", launcher.child.id())).unwrap();
        move_into_link_name_space(network.as_fd(), None).unwrap();
        let (one, other) = (Outside::new(6).unwrap(), Outside::new(7).unwrap());
        for neighbour in [&one, &other] {
            neighbour.run(&format!("ip route add default via {}", neighbour.host)).unwrap();
        }
        let _server = other.serve(8000).unwrap();
        let ask = format!("timeout 2 bash -c \"cat < /dev/tcp/{}/8000\"", other.address);
        assert_eq!(one.run(&ask).ok().as_deref(), expected, "{settings}");
    }
}

#[test]
fn a_machine_that_cannot_says_so() {
    let outside = Outside::new(2).unwrap();
    let launcher = Launcher::start_with_settings("[network]\nrange = '198.51.100.0/24'\n");
    let refused = launcher.client().try_open(joined("lonely")).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::NoNat);
    assert!(refused.message.contains("within 198.51.100.0/24"), "{refused}");
    drop(outside);
}

fn ask(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(10)).unwrap();
    stream.flush().unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
