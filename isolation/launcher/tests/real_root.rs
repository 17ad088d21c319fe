//! A component whose root is the host's own, by grant.

mod common;

use std::fs;
use std::os::unix::fs::MetadataExt;

use common::*;
use hedgerow_isolation::plan::{Access, Base, Dependency, IdRange, Mount, Plan, User};
use hedgerow_isolation::protocol::{ExitStatus, Request, Response};

const GRANT: &str = "[[grant]]\ncomponent = 'com.example.root'\nreal-root = true\n";

/// Writes back what is there: root of the host may, root of a fence may not.
const SYSCTL: &str = "cat /proc/sys/vm/swappiness > /tmp/x && cat /tmp/x > /proc/sys/vm/swappiness";

fn artifacts(owner: User) -> Mount {
    Mount {
        base: Base::State,
        source: "artifacts-root".into(),
        target: "/greengrass/v2/packages/artifacts/root".into(),
        access: Access::Layered,
        owner: Some(owner),
    }
}

fn root() -> Plan {
    let mut plan = layered("root");
    plan.mounts = vec![work("work-root", "/greengrass/v2/work/root"), artifacts(User::GGC)];
    plan
}

#[test]
fn privileged_steps_are_root_of_the_host_in_a_fence_of_their_own() {
    let launcher = Launcher::start();
    fs::create_dir(launcher.path().join("state/artifacts-root")).unwrap();
    launcher.grant(GRANT);
    let mut client = launcher.client();
    let fence = client.open(root());
    let script = format!(
        "set -e; cat /proc/self/uid_map; {SYSCTL}; mount -t tmpfs x /mnt; touch /mnt/seen; \
         grep -q '^sysfs /sys sysfs rw,' /proc/mounts; echo $$; sudo -n id -u"
    );
    let said = client.say_privileged(&fence, 1, &script);
    let words: Vec<_> = said.split_whitespace().collect();
    assert_eq!((words[1], words[2]), ("0", "4294967295"), "{said}");
    assert!(words[3].parse::<u32>().unwrap() < 100, "its own processes only: {said}");
    // One mount namespace for all steps, and not the host's.
    assert_eq!(client.say(&fence, 2, "ls /mnt"), "seen\n");
    assert!(!std::path::Path::new("/mnt/seen").exists());
    // What an unprivileged user of the host may not read is not in the view of this root either.
    if fs::read_dir("/etc/ssl/private").is_ok() {
        let (status, ..) = client.run(&fence, 3, "sudo ls /etc/ssl/private");
        assert_ne!(status, ExitStatus::Code(0));
    }

    let other = client.open(layered("other"));
    let (stdout, stderr) = client.start(&other, privileged(1, SYSCTL)).output();
    assert!(stderr.contains("Read-only file system"), "{stdout}{stderr}");
}

#[test]
fn ordinary_steps_stay_without_capabilities() {
    let launcher = Launcher::start();
    launcher.grant(GRANT);
    let mut client = launcher.client();
    let fence = client.open(layered("root"));
    let look = "id -un; grep -E '^(CapEff|CapBnd|Seccomp):' /proc/self/status | tr -d '\\t'";
    let expected = "ggc_user\nCapEff:0000000000000000\nCapBnd:0000000000000000\nSeccomp:2\n";
    assert_eq!(client.say(&fence, 1, look), expected);
    let (status, ..) = client.run(&fence, 2, &format!("({SYSCTL}) 2>/dev/null"));
    assert_ne!(status, ExitStatus::Code(0));
    let seccomp =
        client.say_privileged(&fence, 3, "grep ^Seccomp: /proc/self/status | tr -d '\\t'");
    assert_eq!(seccomp, "Seccomp:0\n");
}

#[test]
fn named_capabilities_leave_the_rest_of_the_host_alone() {
    let launcher = Launcher::start();
    launcher.grant("[[grant]]\ncomponent = '*'\nreal-root = ['CAP_SYS_TIME']\n");
    let mut client = launcher.client();
    let fence = client.open(layered("clock"));
    let status = client.say_privileged(&fence, 1, "grep ^CapEff /proc/self/status");
    let usual = [0, 1, 3, 4, 5, 6, 7, 8, 10, 18, 29, 31].map(|bit| 1u64 << bit).iter().sum::<u64>();
    assert_eq!(status, format!("CapEff:\t{:016x}\n", usual | 1 << 25));
    // adjtimex(2) that changes nothing but asks for the right to.
    let adjust = "python3 -c 'import time; time.clock_settime(0, time.clock_gettime(0))'";
    client.say_privileged(&fence, 2, adjust);
    let outside = format!(
        "({SYSCTL}) 2>/dev/null && echo written; mount -t tmpfs x /mnt 2>/dev/null && echo mounted; true"
    );
    assert_eq!(client.say_privileged(&fence, 3, &outside), "");
}

/// The grant comes and goes; what was written stays the component's.
#[test]
fn what_it_writes_belongs_to_the_components_own_ids() {
    let launcher = Launcher::start();
    let state = launcher.path().join("state");
    fs::create_dir(state.join("artifacts-root")).unwrap();
    fs::write(state.join("artifacts-root/program"), "").unwrap();
    let mut client = launcher.client();
    let ids = root().ids;

    let fence = client.open(root());
    client.say_privileged(
        &fence,
        1,
        "mkdir /opt/app; echo before > /opt/app/root; install -o ggc_user /dev/null /opt/app/ours",
    );
    client.say(&fence, 2, "echo before > /greengrass/v2/work/root/data");
    client.close(&fence);

    launcher.grant(GRANT);
    let fence = client.open(root());
    let look = "cd /opt/app; stat -c %U:%G root ours /greengrass/v2/work/root/data; cat root";
    assert_eq!(
        client.say(&fence, 1, look),
        "root:root\nggc_user:root\nggc_user:ggc_group\nbefore\n"
    );
    client.say_privileged(
        &fence,
        2,
        "set -e; cd /opt/app; echo with > root; chown ggc_user:ggc_group .; useradd --system sensor; \
         mv /etc/services /etc/moved; echo more > /greengrass/v2/packages/artifacts/root/program",
    );
    client.say(&fence, 3, "set -e; cd /opt/app; echo with > ours; touch made; cd /greengrass/v2; echo with > work/root/data; echo more >> packages/artifacts/root/program");
    client.close(&fence);
    let data = fs::metadata(state.join("work-root/data")).unwrap();
    assert_eq!((data.uid(), data.gid()), (ids.first + 1000, ids.first + 1000));
    let mut owners = Vec::new();
    let mut left = vec![state.join("layer-root")];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory).unwrap().flatten() {
            let found = entry.metadata().unwrap();
            if found.is_dir() {
                left.push(entry.path());
            } else if found.file_type().is_file() {
                owners.push(found.uid());
            }
        }
    }
    assert!(owners.iter().all(|owner| ids.contains(*owner)), "{owners:?}");

    // Without it again; and for one that depends on it.
    launcher.grant("");
    let fence = client.open(root());
    let look = "cd /opt/app; stat -c %U . root ours made /etc/moved; cat root ours; id -u sensor > /dev/null";
    let expected = "ggc_user\nroot\nggc_user\nggc_user\nroot\nwith\nwith\n";
    assert_eq!(client.say(&fence, 1, look), expected);
    client.say(&fence, 2, "echo again > /opt/app/ours; echo again > /greengrass/v2/work/root/data");
    let dependent = Plan {
        dependencies: vec![Dependency {
            ids,
            layer: Some("layer-root".into()),
            mounts: vec![artifacts(User::GGC)],
        }],
        ..layered("dependent")
    };
    let read = "cat /greengrass/v2/packages/artifacts/root/program; stat -c %U /greengrass/v2/packages/artifacts/root/program";
    let reader = client.open(dependent.clone());
    assert_eq!(client.say(&reader, 1, read), "more\nmore\nggc_user\n");
    client.close(&reader);
    launcher.grant(&GRANT.replace("root'", "dependent'"));
    let reader = client.open(dependent);
    assert_eq!(client.say(&reader, 1, read), "more\nmore\nggc_user\n");
    client.close(&reader);

    client.close(&fence);
    client.discard(&["layer-root", "work-root"]).unwrap();
    assert!(!state.join("layer-root").exists() && !state.join("work-root").exists());
    launcher.stop();
}

#[test]
fn the_daemon_learns_whom_the_components_processes_are() {
    let launcher = Launcher::start();
    launcher.grant(GRANT);
    let mut client = launcher.client();
    let mut users = |plan: Plan| {
        let request = Request::Open { plan: Box::new(plan), note: String::new() };
        match client.call(request, &[]).unwrap().0 {
            Response::Open { users } => users,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(users(layered("root")), IdRange { first: 0 });
    let other = layered("other");
    assert_eq!(users(other.clone()), other.ids);
    let (report, ..) = client.adopt(&layered("root").fence);
    assert_eq!(report.users, IdRange { first: 0 });
    let fence = layered("root").fence;
    client.say_privileged(&fence, 1, "umask 077; echo secret > /tmp/kept");
    client.open_in(&fence, "/tmp/kept", User::ROOT).unwrap();
    client.open_in(&fence, "/tmp/kept", User::GGC).unwrap_err();
}
