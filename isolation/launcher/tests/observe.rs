//! What an observed fence tells, and that it lets nothing more through than another.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;

use common::*;
use hedgerow_isolation::connection::Connection;
use hedgerow_isolation::observation::Told;
use hedgerow_isolation::plan::{FenceId, Plan};
use hedgerow_isolation::protocol::{ErrorKind, ExitStatus, Request, Response};

fn open(client: &mut Client, plan: Plan) -> (FenceId, Connection) {
    let fence = plan.fence.clone();
    let (ours, theirs) = Connection::pair().unwrap();
    let request = Request::OpenObserved { plan: Box::new(plan), note: String::new() };
    let answer = client.call(request, &[theirs.as_fd()]).unwrap().0;
    assert!(matches!(answer, Response::Open { .. }), "{answer:?}");
    (fence, ours)
}

/// Closes the fence; how often what was denied, and the line that grants it.
fn close(
    client: &mut Client,
    fence: &FenceId,
    told: &Connection,
) -> BTreeMap<String, (u64, String)> {
    client.close(fence);
    let mut all = BTreeMap::new();
    while let Some((Told { findings, more }, _)) = told.recv().unwrap() {
        assert_eq!(more, 0);
        for (finding, count) in findings {
            let key = format!("{} {}", finding.call, finding.subject);
            let found = all.entry(key).or_insert((0, finding.remedy.grant().unwrap_or_default()));
            found.0 += count;
        }
    }
    all
}

#[test]
fn what_is_denied_in_silence_is_told() {
    let launcher = Launcher::start();
    let data = launcher.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
    let data = data.to_str().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let number = port.local_addr().unwrap().port();
    let mut client = launcher.client();
    let (fence, told) = open(&mut client, layered("quiet"));
    let script = format!(
        "head -c 1 /dev/kmsg; head -c 1 /dev/kmsg; test -e {data}/table; ls {data}; cat /no/such/file; \
         cat /etc/shadow; mount -t tmpfs x /tmp; mknod /tmp/x c 1 3; cat /proc/1/mem; head -c 1 /dev/zero; \
         python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", {number}))'; \
         python3 -c 'import socket; socket.socket().bind((\"0.0.0.0\", 8080))'"
    );
    let script = format!("({script}; sudo hostname other) 2>/dev/null; true");
    let (_, stdout, stderr) = client.run(&fence, 1, &script);
    assert_eq!((stdout.as_str(), stderr.as_str()), ("\0", ""));
    let found = close(&mut client, &fence, &told);
    let line = |key: &str| found.get(key).map_or("not found", |(_, line)| line.as_str());
    assert_eq!(line("openat /dev/kmsg"), "devices = [\"/dev/kmsg\"]", "{found:#?}");
    assert_eq!(found.get("openat /dev/kmsg").map(|(count, _)| *count), Some(2));
    let path = format!("host-paths = [{{ path = \"{data}\", access = \"ro\" }}]");
    assert!(
        found.iter().any(|(key, (_, line))| key.ends_with(data) && *line == path),
        "{found:#?}"
    );
    assert_eq!(line("openat /etc/shadow"), "");
    // By a user who may not on the host either; and by root.
    assert_eq!(line("mount a call for the host's root alone"), "");
    assert_eq!(
        line("sethostname a call for the host's root alone"),
        r#"real-root = ["CAP_SYS_ADMIN"]"#
    );
    assert_eq!(line(&format!("connect 127.0.0.1:{number}")), "host-network = true");
    assert_eq!(line("bind 0.0.0.0:8080 for others"), "ports = [\"8080:8080/tcp\"]");
    let others = ["/no/such", "/proc/1", "/dev/zero", "/dev/null", "/usr/", "/lib"];
    let noise = found.keys().find(|key| others.iter().any(|other| key.contains(other)));
    assert_eq!(noise, None);
}

#[test]
fn nothing_is_allowed_by_being_observed() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let (fence, told) = open(&mut client, layered("bold"));
    let script = "unshare -U true; mount -t tmpfs x /tmp; sudo mount -t tmpfs x /tmp; \
                  cat /etc/shadow; chroot / true; exit 7";
    let (status, stdout, stderr) = client.run(&fence, 1, script);
    assert_eq!((status, stdout.as_str()), (ExitStatus::Code(7), ""));
    for line in ["unshare failed", "/etc/shadow: Permission denied", "cannot change root"] {
        assert!(stderr.contains(line), "{stderr}");
    }
    assert_eq!(stderr.lines().filter(|line| line.starts_with("mount:")).count(), 2, "{stderr}");
    let found = close(&mut client, &fence, &told);
    let count = |key: &str| found.get(key).map(|(count, _)| *count);
    assert!(count("mount a call for the host's root alone") >= Some(2), "{found:#?}");
    assert!(found.keys().any(|key| key.starts_with("unshare") || key.starts_with("clone")));
}

#[test]
fn it_is_told_to_a_daemons_socket_and_to_nothing_else() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let (datagrams, _other) = std::os::unix::net::UnixDatagram::pair().unwrap();
    let file = fs::File::open("/dev/null").unwrap();
    for wrong in [file.as_fd(), datagrams.as_fd()] {
        let request = Request::OpenObserved { plan: Box::new(plan("quiet")), note: String::new() };
        let refusal = client.call(request, &[wrong]).unwrap_err();
        assert_eq!(refusal.kind, ErrorKind::Invalid, "{refusal}");
    }
}
