//! What components reach by default, and who reaches them by grant.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use anyhow::{Result, ensure};
use hedgerow_harness::{Draft, Hedgerow, Outside, PATIENCE, eventually};

#[test]
fn a_component_reaches_the_world_by_name_and_not_the_host() -> Result<()> {
    let outside = Outside::new(10)?;
    let (_names, _server) = (outside.serve_names()?, outside.serve(8000)?);
    // On all addresses: those of the host that are not its loopback as well.
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    let port = listener.local_addr()?.port();
    let draft = Draft::new()?;
    let script = format!(
        r#"
run: |
  python3 - <<'END'
  import socket
  def ask(name, port):
      try:
          return socket.create_connection((name, port), 10).recv(100).decode()
      except ConnectionRefusedError:
          return "refused"
      except OSError:
          return "no way"
  print("away:", ask("device.test", 8000))
  print("loopback:", ask("127.0.0.1", {port}))
  print("host:", ask("{}", {port}))
  print("metadata:", ask("169.254.169.254", 80))
  END
"#,
        outside.host
    );
    draft.component("test.Walker", "1.0.0", "", &script)?;
    let settings = format!("[network]\ndns = ['{}']\n", outside.address);
    let hedgerow = Hedgerow::start(&settings)?;
    hedgerow.deploy(&draft.source(), &["test.Walker=1.0.0"])?;
    hedgerow.wait_for("test.Walker", "it has looked", |c| c.state == "FINISHED")?;
    let log = hedgerow.log("test.Walker")?;
    let away = format!("away: {}", outside.host);
    for line in [away.as_str(), "loopback: refused", "host: no way", "metadata: no way"] {
        ensure!(log.contains(line), "{line:?} is not in {log}");
    }
    hedgerow.finish()
}

#[test]
fn a_granted_port_leads_to_the_component() -> Result<()> {
    let draft = Draft::new()?;
    let serve = r#"
run: |
  exec python3 -c '
  import socket
  listener = socket.create_server(("", 80))
  while True:
      connection, peer = listener.accept()
      connection.sendall(b"the component")
      connection.close()'
"#;
    draft.component("test.Server", "1.0.0", "", serve)?;
    let hedgerow = Hedgerow::start("[[grant]]\ncomponent = 'test.*'\nports = ['41180:80/tcp']\n")?;
    hedgerow.deploy(&draft.source(), &["test.Server=1.0.0"])?;
    let ask = |address: SocketAddr| -> Result<String> {
        let mut answer = String::new();
        TcpStream::connect(address)?.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 41180));
    let answer =
        eventually("it listens", PATIENCE, || Ok(ask(here).ok().filter(|a| !a.is_empty())))?;
    assert_eq!(answer, "the component");
    let outside = Outside::new(11)?;
    let fetch = format!("bash -c \"cat < /dev/tcp/{}/41180\"", outside.host);
    assert_eq!(outside.run(&fetch)?, "the component");
    let explained = hedgerow.run(&["doctor", "test.Server"])?;
    for line in ["by NAT, as ", "ports = [\"41180:80/tcp\"]"] {
        ensure!(explained.contains(line), "{line:?} is not in {explained}");
    }
    hedgerow.finish()
}

#[test]
fn a_dependencys_port_is_at_the_dependents_loopback() -> Result<()> {
    let draft = Draft::new()?;
    let serve = r#"
run: |
  exec python3 -c '
  import os, socket
  listener = socket.create_server(("127.0.0.1", 8080))
  while True:
      connection, peer = listener.accept()
      connection.sendall(("%s to %s" % (os.environ["VERSION"], peer[0])).encode())
      connection.close()'
Setenv:
  VERSION: "VERSION_HERE"
"#;
    // It asks again and again, as programs do whose server may come later.
    let ask = r#"
run: |
  python3 -u - <<'END'
  import socket, time
  said = None
  while True:
      try:
          answer = socket.create_connection(("localhost", 8080), 10).recv(100).decode()
      except OSError:
          answer = None
      if answer and answer != said:
          said = answer
          print("the server says:", answer)
      time.sleep(0.05)
  END
"#;
    for version in ["1.0.0", "1.1.0"] {
        let serve = serve.replace("VERSION_HERE", version);
        draft.component("test.Server", version, "", &serve)?;
    }
    let depends = r#"
ComponentDependencies:
  test.Server:
    VersionRequirement: "^1.0.0"
    DependencyType: SOFT
"#;
    draft.component("test.Asker", "1.0.0", depends, ask)?;
    let hedgerow = Hedgerow::start("")?;
    hedgerow.deploy(&draft.source(), &["test.Server=1.0.0", "test.Asker=1.0.0"])?;
    let says = |version: &str| {
        let line = format!("the server says: {version} to 127.0.0.1");
        eventually("it has asked", PATIENCE, || {
            Ok(hedgerow.log("test.Asker")?.contains(&line).then_some(()))
        })
    };
    says("1.0.0")?;
    let explained = hedgerow.run(&["doctor", "test.Asker"])?;
    ensure!(explained.contains("127.0.0.1:8080/tcp leads to test.Server"), "{explained}");
    hedgerow.deploy(&draft.source(), &["test.Server=1.1.0"])?;
    says("1.1.0")?;
    hedgerow.finish()
}

#[test]
fn a_machine_without_nat_runs_components_alone_and_says_why() -> Result<()> {
    let outside = Outside::new(12)?;
    let draft = Draft::new()?;
    draft.component("test.Lonely", "1.0.0", "", "run: cat /proc/net/dev")?;
    let hedgerow = Hedgerow::start("[network]\nrange = '198.51.100.0/24'\n")?;
    hedgerow.deploy(&draft.source(), &["test.Lonely=1.0.0"])?;
    hedgerow.wait_for("test.Lonely", "it has looked", |c| c.state == "FINISHED")?;
    let log = hedgerow.log("test.Lonely")?;
    ensure!(log.contains("without a network") && log.contains("within 198.51.100.0/24"), "{log}");
    drop(outside);
    hedgerow.finish()
}
