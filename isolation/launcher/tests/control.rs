//! What the daemon may do to an open fence, and to what a closed one left.

mod common;

use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;

use common::*;
use hedgerow_isolation::plan::{Limits, StepId, User};
use hedgerow_isolation::protocol::{DISCARDED, ErrorKind, ExitStatus, Request};

#[test]
fn what_is_frozen_stands_still_until_it_is_thawed() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let fence = client.open(plan("frozen"));
    // Two processes: one that is frozen while the other asks it shows by its silence.
    let mut counter = client.start(&fence, shell(1, "i=0; while :; do i=$((i+1)); echo $i; done"));
    counter.line();
    client.freeze(&fence);
    client.freeze(&fence);
    eventually("it stands still", || {
        let before = client.usage(&fence).load.cpu_usec;
        let idle = (0..1000).all(|_| client.usage(&fence).load.cpu_usec == before);
        idle.then_some(())
    });
    assert!(client.adopt(&fence).0.frozen);
    let refused = client.try_start(&fence, shell(2, "true")).err().unwrap();
    assert!(refused.kind == ErrorKind::Invalid && refused.message.contains("thaw"), "{refused}");
    client.signal(&fence, Some(StepId(1)), 15).unwrap_err();

    client.thaw(&fence);
    let before = client.usage(&fence).load.cpu_usec;
    for _ in 0..100_000 {
        counter.line();
    }
    assert!(client.usage(&fence).load.cpu_usec > before);
    client.freeze(&fence);
    client.close(&fence);
    launcher.stop();
}

#[test]
fn a_launcher_that_was_killed_leaves_nothing_frozen() {
    let mut launcher = Launcher::start();
    let mut client = launcher.client();
    let fence = client.open(plan("frozen"));
    let running = client.start(&fence, shell(1, "exec sleep 1000"));
    client.freeze(&fence);
    launcher.kill();
    launcher.replace_after_kill();
    assert!(launcher.client().hello().unwrap().is_empty());
    assert!(!exists(running.pid));
    launcher.stop();
}

#[test]
fn a_removal_ends_with_the_launcher_that_began_it() {
    let mut launcher = Launcher::start();
    let mut client = launcher.client();
    let state = launcher.path().join("state");
    let tree = state.join("tree");
    fs::create_dir(&tree).unwrap();
    for number in 0..20_000 {
        fs::write(tree.join(number.to_string()), "").unwrap();
    }
    client.send(Request::Discard { sources: vec!["tree".into()] }, &[]);
    // What is being removed has another name.
    let doomed = || {
        let entries = fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().path());
        entries.into_iter().find(|path| path.to_string_lossy().contains(DISCARDED))
    };
    let left = || doomed().and_then(|tree| fs::read_dir(tree).ok()).map_or(0, Iterator::count);
    eventually("it has begun", || (!tree.exists() && left() < 20_000).then_some(()));
    launcher.kill();
    launcher.replace_after_kill();
    launcher.client();
    let before = left();
    assert!((0..50).all(|_| left() == before), "it goes on: {before}, {}", left());
    launcher.stop();
}

#[test]
fn limits_change_while_it_runs() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let mut small = plan("growing");
    small.limits = Limits { memory: Some(32 << 20), cpu: Some(500), pids: Some(16) };
    let fence = client.open(small);
    let eat = "x = bytearray(64 << 20); print(len(x))";
    client.start(&fence, step(1, &["python3", "-c", eat]));
    assert_eq!(client.exit(StepId(1)).status, ExitStatus::Signal(9));

    let mut limit =
        |limits| client.call(Request::Limit { fence: fence.clone(), limits }, &[]).map(drop);
    let wanted = Limits { memory: Some(128 << 20), cpu: None, pids: Some(8) };
    limit(wanted).unwrap();
    limit(Limits { pids: Some(1), ..wanted }).unwrap_err();
    limit(Limits { memory: None, ..wanted }).unwrap();
    limit(wanted).unwrap();
    client.start(&fence, step(2, &["python3", "-c", eat]));
    assert_eq!(client.exit(StepId(2)).status, ExitStatus::Code(0));
    assert_eq!(client.adopt(&fence).0.plan.limits, wanted);
}

#[test]
fn a_directory_is_removed_with_what_the_fence_put_there_once_the_fence_is_closed() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let state = launcher.path().join("state");
    fs::create_dir(state.join("work")).unwrap();
    let mut wanted = plan("discarded");
    wanted.mounts = vec![work("work/c1", "/greengrass/v2/work/a")];
    let fence = client.open(wanted);
    client.say(
        &fence,
        1,
        "cd /greengrass/v2/work/a && mkdir -p a/b/c && touch a/b/c/f && chmod 0 a",
    );
    for used in ["work/c1", "work", "work/c1/a"] {
        let refused = client.discard(&[used]).unwrap_err();
        assert!(refused.message.contains("close it first"), "{refused}");
    }
    client.close(&fence);
    for outside in ["../etc", "/etc", "work/../../etc", ""] {
        assert_eq!(client.discard(&[outside]).unwrap_err().kind, ErrorKind::Invalid);
    }
    symlink("/etc", state.join("link")).unwrap();
    client.discard(&["link/ssl"]).unwrap_err();
    client.discard(&["link"]).unwrap_err();
    client.discard(&["work/c1", "work/c2", "nowhere/c1"]).unwrap();
    assert!(!state.join("work/c1").exists() && state.join("work").exists());
    launcher.stop();
}

#[test]
fn a_file_is_opened_as_the_fence_sees_it() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    fs::create_dir(launcher.path().join("state/work")).unwrap();
    fs::write(launcher.path().join("state/secret"), "").unwrap();
    let mut wanted = plan("opened");
    wanted.mounts = vec![work("work/c1", "/greengrass/v2/work/a")];
    let fence = client.open(wanted);
    let script = "cd /greengrass/v2/work/a && mkdir d && echo inside > d/f && ln -s /tmp/g link && echo linked > /tmp/g \
                  && ln -s ../../../../../../../../../../../../../etc/shadow out && mkfifo fifo && touch none && chmod 0 none";
    client.say(&fence, 1, script);
    let mut text = String::new();
    let mut open = |path: &str, user| client.open_in(&fence, path, user);
    open("/greengrass/v2/work/a/d/f", User::GGC).unwrap().read_to_string(&mut text).unwrap();
    open("/greengrass/v2/work/a/link", User::GGC).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "inside\nlinked\n");
    let directory = open("/greengrass/v2/work/a/d", User::GGC).unwrap();
    assert!(directory.metadata().unwrap().is_dir());
    let refused = |result: Result<fs::File, hedgerow_isolation::protocol::Error>, reason: &str| {
        let error = result.expect_err(reason);
        assert!(error.message.contains(reason), "{error}");
    };
    let other = User { uid: 2000, gid: 2000 };
    refused(open("/greengrass/v2/work/a/none", User::GGC), "may not read");
    refused(open("/greengrass/v2/work/a/d/f", other), "may not read");
    refused(open("/greengrass/v2/work/a/fifo", User::GGC), "neither");
    refused(open("/greengrass/v2/work/a/nothing", User::GGC), "no such file");
    refused(
        open(&launcher.path().join("state/secret").display().to_string(), User::GGC),
        "no such",
    );
    refused(open("relative", User::GGC), "absolute");
    open("/greengrass/v2/work/a/out", User::GGC).unwrap_err();
    open("/proc/1/root/etc/shadow", User::ROOT).unwrap_err();
    // What this file tells depends on who opens it: root learns where the kernel is.
    let symbol = read_line(&mut open("/proc/kallsyms", User::GGC).unwrap());
    assert_eq!(symbol, client.say(&fence, 2, "head -n 1 /proc/kallsyms").trim_end());
}
