//! What a fence writes: into its own layer, and nowhere else.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::*;
use hedgerow_isolation::plan::{Access, Base, Dependency, Layer, Mount, Plan, User};
use hedgerow_isolation::protocol::{ErrorKind, ExitStatus, MAX_DIRECTORIES, Request, Response};

#[test]
fn the_fences_root_changes_its_system_for_as_long_as_the_layer_is_kept() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let fence = client.open(layered("system"));
    let before = fs::read_to_string("/etc/services").unwrap();
    let script = "set -e; cd /; touch /usr/bin/made /opt/made /made /var/lib/made; \
        useradd --system --create-home sensor; chown sensor /opt/made; chmod 4755 /usr/bin/made; \
        mv /etc/services /etc/moved; rm /usr/bin/env; mv /usr/share/doc /usr/share/docs; \
        chown -R sensor /etc/ssl/certs; install -d -o sensor /home/data; hostname";
    client.say_privileged(&fence, 1, script);
    let look = "set -e; ls /usr/bin/made /made /var/lib/made /etc/moved /usr/share/docs > /dev/null; \
        stat -c %U /opt/made /etc/ssl/certs; id -u sensor > /dev/null; ! ls /usr/bin/env 2>/dev/null";
    assert_eq!(client.say(&fence, 2, look), "sensor\nsensor\n");
    client.close(&fence);

    let fence = client.open(layered("system"));
    assert_eq!(client.say(&fence, 1, look), "sensor\nsensor\n");
    client.close(&fence);
    assert_eq!(fs::read_to_string("/etc/services").unwrap(), before);
    for made in ["/usr/bin/made", "/opt/made", "/made", "/var/lib/made", "/home/sensor"] {
        assert!(!Path::new(made).exists(), "{made} on the host");
    }

    client.discard(&["layer-system"]).unwrap();
    let fence = client.open(layered("system"));
    assert_ne!(client.run(&fence, 1, "ls /usr/bin/made").0, ExitStatus::Code(0));
    client.close(&fence);
    launcher.stop();
}

#[test]
fn who_writes_where_recipes_do_finds_the_place() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let fence = client.open(layered("places"));
    let script = "set -e; ls -A /greengrass/v2 /home; readlink /greengrass/v2/ipc.socket; \
        mkdir /greengrass/v2/logs/deep; echo line > /greengrass/v2/logs/own.log; cd ~ggc_user; pwd; touch file; \
        stat -c %U .";
    let expected = "/greengrass/v2:
ipc.socket
logs

/home:
ggc_user
ipc/ipc.socket
/home/ggc_user
ggc_user
";
    assert_eq!(client.say(&fence, 1, script), expected);
    launcher.stop();
}

#[test]
fn what_a_fence_has_written_is_counted_while_it_runs() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let fence = client.open(layered("counted"));
    let count = |client: &mut Client| {
        let sources = ["layer-counted", "nowhere"].map(Into::into).to_vec();
        match client.call(Request::Measure { sources }, &[]) {
            Ok((Response::Measured { bytes }, _)) => bytes,
            other => panic!("{other:?}"),
        }
    };
    let before = count(&mut client);
    client.say(&fence, 1, "head -c 3000000 /dev/urandom > /greengrass/v2/logs/file; sync");
    let after = count(&mut client);
    let grown = after[0] - before[0];
    assert!((3_000_000..4_000_000).contains(&grown), "{before:?} {after:?}");
    assert_eq!((before[1], after[1]), (0, 0));
    let many = vec!["layer-counted".into(); MAX_DIRECTORIES + 1];
    let refused = client.call(Request::Measure { sources: many }, &[]).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Invalid);
    launcher.stop();
}

#[test]
fn an_ordinary_step_changes_nothing_of_the_system() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let fence = client.open(layered("ordinary"));
    let script = "for d in / /usr /usr/bin /etc /bin /var /opt /root /etc/hedgerow; do \
        touch $d/x 2>/dev/null && echo wrote $d; done; chmod 777 /etc/passwd 2>/dev/null && echo changed; true";
    assert_eq!(client.say(&fence, 1, script), "");
}

#[test]
fn a_privileged_step_has_a_containers_capabilities_and_no_others() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let fence = client.open(layered("capabilities"));
    let status = client.say_privileged(&fence, 1, "grep -E '^(Cap|NoNew)' /proc/self/status");
    // capabilities(7): chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap, net_bind_service,
    // sys_chroot, audit_write, setfcap.
    let held = [0, 1, 3, 4, 5, 6, 7, 8, 10, 18, 29, 31].map(|bit| 1u64 << bit).iter().sum::<u64>();
    for line in ["CapPrm", "CapEff", "CapBnd"] {
        assert!(status.contains(&format!("{line}:\t{held:016x}")), "{status}");
    }
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    let outside = "mount -t tmpfs x /mnt 2>/dev/null && echo mounted; mknod /dev/sda b 8 0 2>/dev/null && echo made; \
        umount /proc 2>/dev/null && echo unmounted; kill -9 1; hostname x 2>/dev/null && echo named; \
        python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)' 2>/dev/null && echo raw; true";
    assert_eq!(client.say_privileged(&fence, 2, outside), "");
}

#[test]
fn debian_packages_install() {
    if !Path::new("/usr/bin/dpkg-deb").exists() {
        return;
    }
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let state = launcher.path().join("state");
    let tree = launcher.path().join("deb");
    fs::create_dir_all(tree.join("DEBIAN")).unwrap();
    fs::create_dir_all(tree.join("usr/bin")).unwrap();
    fs::write(tree.join("usr/bin/hedgerow-tiny"), "#!/bin/sh\necho tiny\n").unwrap();
    make_world_readable(&tree.join("usr/bin/hedgerow-tiny"));
    let control = "Package: hedgerow-tiny\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.com>\nDescription: x\n";
    fs::write(tree.join("DEBIAN/control"), control).unwrap();
    fs::write(tree.join("DEBIAN/postinst"), "#!/bin/sh\nset -e\necho made > /var/lib/tiny\n")
        .unwrap();
    make_world_readable(&tree.join("DEBIAN/postinst"));
    fs::create_dir_all(state.join("repository")).unwrap();
    let package = state.join("repository/hedgerow-tiny_1_all.deb");
    let built = Command::new("dpkg-deb").arg("-b").args([&tree, &package]).output().unwrap();
    assert!(built.status.success(), "{built:?}");

    let mut wanted = layered("debian");
    wanted.mounts = vec![Mount {
        base: Base::State,
        source: "repository".into(),
        target: "/greengrass/repository".into(),
        access: Access::ReadOnly,
        owner: None,
    }];
    let fence = client.open(wanted);
    let dpkg = "dpkg -i /greengrass/repository/*.deb && hedgerow-tiny && cat /var/lib/tiny && dpkg -r hedgerow-tiny";
    let said = client.say_privileged(&fence, 1, dpkg);
    assert!(said.contains("tiny\nmade\n"), "{said}");
    let apt = "apt-get install -y /greengrass/repository/*.deb && hedgerow-tiny";
    let said = client.say_privileged(&fence, 2, apt);
    assert!(said.ends_with("tiny\n"), "{said}");
    client.close(&fence);
    launcher.stop();
}

fn with_artifacts(name: &str) -> Plan {
    let mut plan = layered(name);
    plan.mounts = vec![
        Mount {
            base: Base::State,
            source: "artifacts".into(),
            target: format!("/greengrass/v2/packages/artifacts/{name}").into(),
            access: Access::Layered,
            owner: Some(User::GGC),
        },
        work(&format!("work-{name}"), &format!("/greengrass/v2/work/{name}")),
    ];
    plan
}

#[test]
fn artifacts_are_the_components_to_change_and_dependents_see_that() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let artifacts = launcher.path().join("state/artifacts");
    fs::create_dir(&artifacts).unwrap();
    for name in ["program", "private"] {
        fs::write(artifacts.join(name), "#!/bin/sh\necho artifact\n").unwrap();
    }
    fs::set_permissions(
        artifacts.join("private"),
        std::os::unix::fs::PermissionsExt::from_mode(0o400),
    )
    .unwrap();
    for path in [artifacts.clone(), artifacts.join("program"), artifacts.join("private")] {
        std::os::unix::fs::chown(path, Some(DAEMON_UID), Some(DAEMON_UID)).unwrap();
    }

    let other = client.open(with_artifacts("other"));
    let fence = client.open(with_artifacts("library"));
    let script = "set -e; cd /greengrass/v2/packages/artifacts/library; cat private > /dev/null; chmod +x program; ./program; \
        echo new > made; rm private; echo w > /greengrass/v2/work/library/file; stat -c %U program .";
    assert_eq!(client.say(&fence, 1, script), "artifact\nggc_user\nggc_user\n");
    let untouched = "cd /greengrass/v2/packages/artifacts/other && ls && stat -c %a program";
    assert_eq!(client.say(&other, 1, untouched), "private\nprogram\n644\n");

    let library = with_artifacts("library");
    let mut dependent = layered("dependent");
    dependent.dependencies = vec![Dependency {
        ids: library.ids,
        layer: library.layer.map(|layer| layer.source),
        mounts: library
            .mounts
            .into_iter()
            .chain([work("work-absent", "/greengrass/v2/work/absent")])
            .collect(),
    }];
    let dependent = client.open(dependent);
    let script = "cd /greengrass/v2; packages/artifacts/library/program; cat packages/artifacts/library/made work/library/file; \
        ls packages/artifacts packages/artifacts/library; touch work/library/x packages/artifacts/library/x 2>/dev/null || echo refused";
    let expected = "artifact\nnew\nw\npackages/artifacts:\nlibrary\n\npackages/artifacts/library:\nmade\nprogram\nrefused\n";
    assert_eq!(client.say(&dependent, 1, script), expected);
    assert_eq!(client.discard(&["layer-library"]).unwrap_err().kind, ErrorKind::Invalid);
    launcher.stop();
}

#[test]
fn a_layer_that_others_could_have_made_is_refused() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    fs::create_dir(launcher.path().join("state/forged")).unwrap();
    std::os::unix::fs::symlink("/etc", launcher.path().join("state/link")).unwrap();
    for source in ["forged", "link", "../etc", "missing/layer"] {
        let layer = Some(Layer { source: source.into(), quota: None });
        let refused = client.try_open(Plan { layer, ..plan("forged") }).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Invalid, "{refused}");
        assert!(refused.message.contains("layer"), "{refused}");
    }
}

#[test]
fn a_fence_whose_layer_is_full_does_not_open_before_it_may_take_more() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let with_quota = |quota| {
        let layer = Some(Layer { source: "layer-full".into(), quota: Some(quota) });
        Plan { layer, ..plan("full") }
    };
    let fence = client.open(with_quota(1 << 20));
    client.say_privileged(&fence, 1, "head -c 2000000 /dev/urandom > /opt/much");
    client.close(&fence);
    let refused = client.try_open(with_quota(1 << 20)).unwrap_err();
    for part in ["of 1048576", "`layer` of a [[component]]"] {
        assert!(refused.message.contains(part), "{refused}");
    }
    let fence = client.open(with_quota(4 << 20));
    client.say(&fence, 1, "cat /opt/much > /dev/null");
    launcher.stop();
}
