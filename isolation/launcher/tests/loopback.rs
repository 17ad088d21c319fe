//! What a fence finds at its own 127.0.0.1, and how much of the host's network is its to use.

mod common;
#[allow(dead_code)] // Others use the rest.
#[path = "../../../tests/harness/src/outside.rs"]
mod outside;

use common::*;
use hedgerow_isolation::plan::{Dependency, FenceId, Network, Plan};
use hedgerow_isolation::protocol::{Event, ExitStatus};
use outside::Outside;

fn joined(name: &str) -> Plan {
    Plan { network: Network::Nat, ..plan(name) }
}

fn depends(name: &str, on: &[&str]) -> Plan {
    let dependency = |name| Dependency { ids: plan(name).ids, layer: None, mounts: Vec::new() };
    Plan { dependencies: on.iter().copied().map(dependency).collect(), ..joined(name) }
}

/// Serves `text` and who asked at a port of an address of its own, by TCP and by UDP.
fn serve(
    client: &mut Client,
    fence: &FenceId,
    id: u64,
    text: &str,
    at: &str,
    port: u16,
) -> Running {
    let script = format!(
        "exec python3 -c '\n\
         import socket, threading\n\
         udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
         udp.bind((\"{at}\", {port}))\n\
         def datagrams():\n\
         \x20   while True:\n\
         \x20       _, peer = udp.recvfrom(9)\n\
         \x20       udp.sendto(b\"{text}\", peer)\n\
         threading.Thread(target=datagrams, daemon=True).start()\n\
         tcp = socket.create_server((\"{at}\", {port}))\n\
         print(\"up\", flush=True)\n\
         while True:\n\
         \x20   connection, peer = tcp.accept()\n\
         \x20   connection.sendall(f\"{text} {{peer[0]}}\".encode())\n\
         \x20   connection.close()'"
    );
    let mut running = client.start(fence, shell(id, &script));
    assert_eq!(running.line(), "up");
    running
}

const ASK: &str = "exec timeout 10 bash -c 'cat < /dev/tcp/127.0.0.1/8080'";

const ASK_UDP: &str = "exec python3 -c '\n\
    import socket\n\
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
    s.settimeout(10)\n\
    s.connect((\"127.0.0.1\", 8080))\n\
    s.send(b\"x\")\n\
    print(s.recv(99).decode())'";

#[test]
fn a_dependencys_ports_are_at_the_dependents_own_loopback() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let dependent = client.open(depends("dependent", &["server"]));
    let refused = |client: &mut Client, fence: &FenceId, id| {
        let (status, stdout, stderr) = client.run(fence, id, ASK);
        assert_eq!((status, stdout.as_str()), (ExitStatus::Code(1), ""), "{stderr}");
        assert!(stderr.contains("refused"), "{stderr}");
    };
    // Before it is there, and before it listens.
    refused(&mut client, &dependent, 1);
    let server = client.open(joined("server"));
    refused(&mut client, &dependent, 2);
    let _serving = serve(&mut client, &server, 1, "first", "127.0.0.1", 8080);
    assert_eq!(client.say(&dependent, 3, ASK), "first 127.0.0.1");
    assert_eq!(client.say(&dependent, 4, ASK_UDP), "first\n");
    let neighbour = client.open(joined("neighbour"));
    refused(&mut client, &neighbour, 1);
    // The way is for that port and in that direction.
    let address = client.say(&server, 2, "hostname -I").trim().to_owned();
    let other = format!("exec timeout 10 bash -c 'cat < /dev/tcp/{address}/8081'");
    let (_, _, stderr) = client.run(&dependent, 5, &other);
    assert!(!stderr.contains("refused"), "it was let through: {stderr}");

    // It comes back with another address, and listens on all of them.
    client.close(&server);
    refused(&mut client, &dependent, 6);
    let server = client.open(joined("server"));
    let _serving = serve(&mut client, &server, 1, "second", "0.0.0.0", 8080);
    assert_eq!(client.say(&dependent, 7, ASK), "second 127.0.0.1");
    // So does the dependent.
    client.close(&dependent);
    let dependent = client.open(depends("dependent", &["server"]));
    assert_eq!(client.say(&dependent, 1, ASK), "second 127.0.0.1");

    let own = serve(&mut client, &dependent, 2, "own", "127.0.0.1", 8080);
    assert_eq!(client.say(&dependent, 3, ASK), "own 127.0.0.1");
    client.signal(&dependent, Some(own.id), 9).unwrap();
    client.exit(own.id);
    assert_eq!(client.say(&dependent, 4, ASK), "second 127.0.0.1");
}

#[test]
fn one_whose_root_is_the_hosts_is_found_too() {
    let launcher = Launcher::start();
    launcher.grant("[[grant]]\ncomponent = 'com.example.server'\nreal-root = []\n");
    let mut client = launcher.client();
    let dependent = client.open(depends("dependent", &["server"]));
    let server = client.open(joined("server"));
    let _serving = serve(&mut client, &server, 1, "real", "127.0.0.1", 8080);
    assert_eq!(client.say(&dependent, 1, ASK), "real 127.0.0.1");
}

#[test]
fn much_goes_through_in_both_directions() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let server = client.open(joined("server"));
    let dependent = client.open(depends("dependent", &["server"]));
    let echo = "exec python3 -c '\n\
        import socket\n\
        s = socket.create_server((\"127.0.0.1\", 8080))\n\
        print(\"up\", flush=True)\n\
        c, _ = s.accept()\n\
        got = b\"\"\n\
        while len(got) < 3000000: got += c.recv(1 << 20)\n\
        c.sendall(got)'";
    let mut serving = client.start(&server, shell(1, echo));
    assert_eq!(serving.line(), "up");
    let ask = "exec python3 -c '\n\
        import socket\n\
        c = socket.create_connection((\"127.0.0.1\", 8080), 20)\n\
        c.sendall(bytes(3000000))\n\
        got = 0\n\
        while part := c.recv(1 << 20): got += len(part)\n\
        print(got)'";
    assert_eq!(client.say(&dependent, 1, ask), "3000000\n");
}

#[test]
fn of_two_dependencies_with_one_port_the_first_is_reached_and_that_is_told() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let (first, second) = (client.open(joined("first")), client.open(joined("second")));
    let dependent = client.open(depends("dependent", &["first", "second"]));
    let _a = serve(&mut client, &second, 1, "second", "127.0.0.1", 8080);
    assert_eq!(client.say(&dependent, 1, ASK), "second 127.0.0.1");
    let _b = serve(&mut client, &first, 1, "first", "127.0.0.1", 8080);
    assert_eq!(client.say(&dependent, 2, ASK), "first 127.0.0.1");
    let text = notice(&mut client, &dependent);
    assert!(text.contains("leads to com.example.first"), "{text}");
    assert!(text.contains("not reached: com.example.second"), "{text}");
}

#[test]
fn a_fence_has_so_many_connections_and_no_more() {
    let outside = Outside::new(3).unwrap();
    let _server = outside.serve(8000).unwrap();
    let launcher = Launcher::start_with_settings("[network]\nconnections = 5\n");
    let mut client = launcher.client();
    let (greedy, modest) = (client.open(joined("greedy")), client.open(joined("modest")));
    // Datagrams: a connection of UDP is one for half a minute, whoever answers.
    let many = format!(
        "python3 -c '\n\
         import socket\n\
         keep = []\n\
         for port in range(20):\n\
         \x20   s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
         \x20   s.connect((\"{0}\", 9000 + port))\n\
         \x20   keep.append(s)\n\
         \x20   try: s.send(b\"x\")\n\
         \x20   except OSError: pass'\n\
         timeout 10 bash -c 'cat < /dev/tcp/{0}/8000'",
        outside.address
    );
    let (status, stdout, _) = client.run(&greedy, 1, &many);
    assert_eq!((status, stdout.as_str()), (ExitStatus::Code(1), ""));
    let text = notice(&mut client, &greedy);
    assert!(text.contains("5 connections"), "{text}");
    let ask = format!("exec timeout 10 bash -c 'cat < /dev/tcp/{}/8000'", outside.address);
    assert_eq!(client.say(&modest, 1, &ask), outside.host.to_string());
}

#[test]
fn denied_networks_are_out_of_reach_from_the_next_fence_on() {
    let outside = Outside::new(4).unwrap();
    let _server = outside.serve(8000).unwrap();
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let fence = client.open(joined("walker"));
    let ask = format!("exec timeout 10 bash -c 'cat < /dev/tcp/{}/8000'", outside.address);
    assert_eq!(client.say(&fence, 1, &ask), outside.host.to_string());
    launcher.grant(&format!("[network]\ndeny = ['{}']\n", outside.address));
    client.open(joined("another"));
    let (status, stdout, _) = client.run(&fence, 2, &ask);
    assert_eq!((status, stdout.as_str()), (ExitStatus::Code(1), ""));
}

fn notice(client: &mut Client, wanted: &FenceId) -> String {
    loop {
        if let Event::Notice { fence, text } = client.event() {
            assert_eq!(fence, *wanted);
            return text;
        }
    }
}
