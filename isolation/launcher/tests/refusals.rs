//! What the launcher refuses, and that it says why. A subverted daemon gains nothing here.

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::process::Command;

use common::*;
use hedgerow_isolation::plan::{Base, IdRange, Network};
use hedgerow_isolation::protocol::{Error, ErrorKind, Message, Request, Response, VERSION};

#[test]
fn plans_that_ask_for_too_much() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    client.open(plan("taken"));
    let again = client.try_open(plan("taken")).unwrap_err();
    assert_eq!(again.kind, ErrorKind::AlreadyOpen);

    let mut same_ids = plan("other");
    same_ids.ids = plan("taken").ids;
    refused(client.try_open(same_ids), ErrorKind::Invalid, "another open fence");
    let mut host_ids = plan("other");
    host_ids.ids = IdRange { first: 0 };
    refused(client.try_open(host_ids), ErrorKind::Invalid, "ids from 0");
    let mut outside = plan("other");
    outside.mounts = vec![work("../etc", "/greengrass/etc")];
    refused(client.try_open(outside), ErrorKind::Invalid, "mount source");
    let mut over_the_system = plan("other");
    over_the_system.mounts = vec![work("etc", "/etc")];
    refused(client.try_open(over_the_system), ErrorKind::Invalid, "mount target");
    let note = Request::Open { plan: Box::new(plan("other")), note: "n".repeat(4097) };
    assert_eq!(client.call(note, &[]).unwrap_err().kind, ErrorKind::Invalid);
    client.open(plan("other"));
}

#[test]
fn sources_are_resolved_without_links_and_only_given_away_when_ours() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let state = launcher.path().join("state");
    let try_mount = |client: &mut Client, base, source: &str, owner: bool| {
        let mut wanted = plan("source");
        let mut mount = work(source, "/greengrass/x");
        mount.base = base;
        if !owner {
            mount.owner = None;
        }
        wanted.mounts = vec![mount];
        let result = client.try_open(wanted);
        client.close(&id("source"));
        result
    };
    fs::create_dir(state.join("real")).unwrap();
    chown(state.join("real"), Some(DAEMON_UID), None).unwrap();
    symlink("/etc", state.join("link")).unwrap();
    symlink("real", state.join("inner")).unwrap();
    fs::write(state.join("file"), "").unwrap();
    let mut check = |source, reason| {
        for owner in [true, false] {
            refused(try_mount(&mut client, Base::State, source, owner), ErrorKind::Invalid, reason);
        }
    };
    check("link", "symbolic link");
    check("inner", "symbolic link");
    check("link/ssl", "symbolic link");
    check("file", "no such directory");
    check("missing/deeper", "no such directory");
    refused(
        try_mount(&mut client, Base::State, "missing", false),
        ErrorKind::Invalid,
        "no such directory",
    );
    refused(
        try_mount(&mut client, Base::Runtime, "launch", false),
        ErrorKind::Invalid,
        "launcher's own",
    );
    refused(
        try_mount(&mut client, Base::Runtime, "launch/root", true),
        ErrorKind::Invalid,
        "launcher's own",
    );

    fs::create_dir(state.join("roots")).unwrap();
    refused(
        try_mount(&mut client, Base::State, "roots", true),
        ErrorKind::Invalid,
        "belongs to user 0",
    );
    fs::create_dir(state.join("theirs")).unwrap();
    let stranger = plan("somebody").ids.first;
    chown(state.join("theirs"), Some(stranger), None).unwrap();
    refused(
        try_mount(&mut client, Base::State, "theirs", true),
        ErrorKind::Invalid,
        "belongs to user",
    );

    try_mount(&mut client, Base::State, "real", true).unwrap();
    try_mount(&mut client, Base::State, "real", true).unwrap();
    try_mount(&mut client, Base::State, "new", true).unwrap();
    assert!(launcher.fence_cgroups().is_empty(), "a refused plan leaves no cgroup");
}

#[test]
fn grants_count_only_when_root_alone_could_have_written_them() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let etc = launcher.path().join("etc");
    let file = etc.join("hedgerow.toml");
    let mut ask = || {
        let mut wanted = plan("granted");
        wanted.network = Network::Host;
        let result = client.try_open(wanted);
        client.close(&id("granted"));
        result
    };
    let none = ask().unwrap_err();
    assert_eq!(none.kind, ErrorKind::NotGranted);
    assert!(none.message.contains(file.to_str().unwrap()), "{none}");
    assert!(
        none.message
            .contains("[[grant]]\ncomponent = \"com.example.granted\"\nhost-network = true"),
        "{none}"
    );

    launcher.grant("[[grant]]\ncomponent = \"com.example.other\"\nhost-network = true\n");
    refused(ask(), ErrorKind::NotGranted, "no grant allows");
    launcher.grant("[[grant]]\ncomponent = \"com.example.granted\"\n");
    refused(ask(), ErrorKind::NotGranted, "no grant allows");
    launcher.grant("[[grant]\n");
    refused(ask(), ErrorKind::NotGranted, "cannot be read");
    launcher.grant(
        "[daemon]\nanything = 1\n[[grant]]\ncomponent = \"com.*.granted\"\nhost-network = true\n",
    );
    ask().unwrap();

    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    refused(ask(), ErrorKind::NotGranted, "writable by root only");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    chown(&file, Some(DAEMON_UID), None).unwrap();
    refused(ask(), ErrorKind::NotGranted, "must belong to root");
    fs::remove_file(&file).unwrap();
    refused(ask(), ErrorKind::NotGranted, "no grant allows");

    fs::create_dir(etc.join("hedgerow.toml.d")).unwrap();
    fs::write(
        etc.join("hedgerow.toml.d/10-net.toml"),
        "[[grant]]\ncomponent = \"*\"\nhost-network = true\n",
    )
    .unwrap();
    ask().unwrap();
    chown(etc.join("hedgerow.toml.d"), Some(DAEMON_UID), None).unwrap();
    refused(ask(), ErrorKind::NotGranted, "must belong to root");
}

#[test]
fn messages_that_are_none() {
    let launcher = Launcher::start();
    let mut client = launcher.stranger();
    let early = client.call(Request::Close { fence: id("a") }, &[]).unwrap_err();
    assert_eq!(early.kind, ErrorKind::Version);
    let other = client.call(Request::Hello { version: 99 }, &[]).unwrap_err();
    assert_eq!(other.kind, ErrorKind::Version);
    client.hello().unwrap();

    client.send_raw(br#"{"serial":77,"request":{"levitate":{}}}"#);
    let Some((Message::Reply { serial: 77, result: Err(error) }, _)) = client.receive() else {
        panic!()
    };
    assert_eq!(error.kind, ErrorKind::Invalid);
    client.send_raw(br#"{"serial":78,"request":{"close":{"fence":"../etc"}}}"#);
    let Some((Message::Reply { serial: 78, result: Err(error) }, _)) = client.receive() else {
        panic!()
    };
    assert!(error.message.contains("not a fence id"), "{error}");
    let unknown = id("nobody");
    assert_eq!(
        client.call(Request::Usage { fence: unknown.clone() }, &[]).unwrap_err().kind,
        ErrorKind::NoSuchFence
    );
    assert_eq!(client.call(Request::Close { fence: unknown }, &[]).unwrap().0, Response::Done);

    client.send_raw(b"\xff\x00 not json");
    assert!(client.receive().is_none(), "who speaks something else is hung up on");
    launcher.client().open(plan("fine"));
}

#[test]
fn nobody_but_root_and_the_daemon_may_connect() {
    let launcher = Launcher::start();
    drop(launcher.client());
    let socket = launcher.socket();
    fs::set_permissions(launcher.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let try_as = |uid: u32, mode| {
        fs::set_permissions(&socket, fs::Permissions::from_mode(mode)).unwrap();
        let hello = format!("{{\"serial\":1,\"request\":{{\"hello\":{{\"version\":{VERSION}}}}}}}");
        let script = "import socket, sys\n\
            s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect(sys.argv[1])\n\
            s.send(sys.argv[2].encode()); s.settimeout(30)\n\
            print(s.recv(4096).decode())";
        let output = Command::new("/usr/bin/python3")
            .args(["-c", script])
            .arg(&socket)
            .arg(hello)
            .gid(uid)
            .uid(uid)
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    assert!(try_as(DAEMON_UID, 0o600).contains("welcome"));
    assert_eq!(try_as(64_991, 0o600), "", "the socket's mode keeps others out");
    assert_eq!(try_as(64_991, 0o666).trim(), "", "and so do the credentials");
}

#[test]
fn two_launchers_do_not_share_a_directory() {
    let launcher = Launcher::start();
    drop(launcher.client());
    let output = launcher.second();
    assert!(!output.status.success());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("another launcher"), "{stderr}");
    launcher.client().open(plan("unharmed"));
}

fn refused(result: Result<(), Error>, kind: ErrorKind, reason: &str) {
    let error = result.expect_err(reason);
    assert_eq!(error.kind, kind, "{error}");
    assert!(error.message.contains(reason), "{error} should say {reason:?}");
}
