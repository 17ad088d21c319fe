//! What survives whose end: nothing is lost when the daemon goes, nothing is left when the launcher does.

mod common;

use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;

use common::*;
use hedgerow_isolation::plan::StepId;
use hedgerow_isolation::protocol::{Event, ExitStatus, Message, Request, Response};

#[test]
fn a_new_daemon_is_handed_everything_that_the_old_one_had() {
    let launcher = Launcher::start();
    let mut old = launcher.client();
    let path = launcher.path().join("listener");
    let listener = UnixListener::bind(&path).unwrap();
    let request = Request::Open { plan: Box::new(plan("kept")), note: "first".into() };
    old.call(request, &[listener.as_fd()]).unwrap();
    drop(listener);
    let fence = id("kept");
    old.call(Request::Note { fence: fence.clone(), note: "second".into() }, &[]).unwrap();

    let mut talker = old.start(&fence, shell(1, "echo before; read x < /tmp/go 2>/dev/null; mkfifo /tmp/go; echo made; read x < /tmp/go; echo after; exit 9"));
    assert_eq!(talker.line(), "before");
    assert_eq!(talker.line(), "made");
    let finished = old.start(&fence, shell(2, "echo unread; exit 3"));
    assert_eq!(old.exit(StepId(2)).status, ExitStatus::Code(3));
    drop((old, finished));

    // While nobody is there, one more ends.
    let mut new = launcher.client();
    let (report, _, descriptors) = new.adopt(&fence);
    drop(descriptors);
    assert_eq!(report.steps.len(), 2);
    drop(new);

    let mut new = launcher.stranger();
    assert_eq!(new.hello().unwrap(), std::slice::from_ref(&fence));
    let (report, has_listener, descriptors) = new.adopt(&fence);
    assert_eq!((report.note.as_str(), report.ended.as_deref()), ("second", None));
    assert_eq!(*report.plan, plan("kept"));
    assert!(has_listener);
    assert_eq!(descriptors.len(), 5);
    let [first, second] = report.steps.as_slice() else { panic!("{:?}", report.steps) };
    assert_eq!((first.id, first.pid, first.exit.as_ref()), (StepId(1), talker.pid, None));
    assert_eq!(second.exit.as_ref().unwrap().status, ExitStatus::Code(3));

    let mut descriptors = descriptors.into_iter();
    let listener = UnixListener::from(descriptors.next().unwrap());
    let mut peer = UnixStream::connect(&path).unwrap();
    peer.write_all(b"x").unwrap();
    let mut byte = [0];
    listener.accept().unwrap().0.read_exact(&mut byte).unwrap();
    let mut stdout = fs::File::from(descriptors.next().unwrap());
    let mut unread = fs::File::from(descriptors.nth(1).unwrap());
    assert_eq!(read_line(&mut unread), "unread", "what nobody had read is still there");

    new.run(&fence, 3, "echo > /tmp/go");
    assert_eq!(read_line(&mut stdout), "after", "no gap in the log");
    assert_eq!(new.exit(StepId(1)).status, ExitStatus::Code(9));
    for step in 1..=3 {
        new.acknowledge(&fence, StepId(step)).unwrap();
    }
    assert!(new.adopt(&fence).0.steps.is_empty());
    new.close(&fence);
    launcher.stop();
}

#[test]
fn the_newest_connection_is_the_daemon() {
    let launcher = Launcher::start();
    let mut old = launcher.client();
    let fence = old.open(plan("newest"));
    let mut new = launcher.client();
    assert!(old.receive().is_none(), "the old one is hung up on");
    assert_eq!(new.run(&fence, 1, "exit 2").0, ExitStatus::Code(2));
}

#[test]
fn an_exit_without_a_daemon_is_kept_for_the_next() {
    let launcher = Launcher::start();
    let mut old = launcher.client();
    let fence = old.open(plan("unheard"));
    let running =
        old.start(&fence, shell(1, "while [ ! -e /tmp/go ]; do sleep 0.01; done; exit 8"));
    old.start(&fence, shell(2, "sleep 0.1; touch /tmp/go"));
    drop(old);
    eventually("the step ends", || (!exists(running.pid)).then_some(()));
    let mut new = launcher.client();
    let exit = eventually("the exit is known", || new.adopt(&fence).0.steps[0].exit.clone());
    assert_eq!(exit.status, ExitStatus::Code(8));
}

#[test]
fn when_the_launcher_is_killed_every_fence_ends_and_the_next_launcher_cleans_up() {
    let mut launcher = Launcher::start();
    let mut client = launcher.client();
    let mut pids = Vec::new();
    for name in ["first", "second"] {
        let fence = client.open(plan(name));
        let script = "setsid sleep 14142 & trap '' TERM HUP; echo up; exec sleep 14142";
        let mut running = client.start(&fence, shell(1, script));
        assert_eq!(running.line(), "up");
        pids.push(running.pid);
    }
    // The shell says that it is up before its child in the background has become the sleeper.
    eventually("every process runs", || (processes("sleep 14142").len() == 4).then_some(()));
    launcher.kill();
    eventually("every process ends", || processes("sleep 14142").is_empty().then_some(()));
    assert!(client.receive().is_none());

    launcher.replace_after_kill();
    let mut client = launcher.stranger();
    assert_eq!(client.hello().unwrap(), []);
    assert!(launcher.fence_cgroups().is_empty());
    let fence = client.open(plan("first"));
    assert_eq!(client.run(&fence, 1, "exit 1").0, ExitStatus::Code(1));
    client.close(&fence);
    launcher.stop();
}

#[test]
fn a_launcher_that_cannot_write_its_log_goes_on() {
    let mut launcher = Launcher::start();
    launcher.replace_by_one_without_a_log();
    let mut client = launcher.client();
    let fence = client.open(plan("going"));
    launcher.grant("this is no TOML");
    client.open(plan("next"));
    assert_eq!(client.run(&fence, 1, "exit 7").0, ExitStatus::Code(7));
    launcher.stop();
}

#[test]
fn a_launcher_killed_while_it_opens_fences_leaves_nothing() {
    for _ in 0..10 {
        let mut launcher = Launcher::start();
        let mut client = launcher.client();
        for number in 0..4 {
            let request = Request::Open {
                plan: Box::new(plan(&format!("half-{number}"))),
                note: String::new(),
            };
            client.send(request, &[]);
        }
        let first = launcher.fence_cgroups();
        drop(first);
        launcher.kill();
        launcher.replace_after_kill();
        let mut client = launcher.client();
        assert!(launcher.fence_cgroups().is_empty());
        let fence = client.open(plan("half-0"));
        client.close(&fence);
        launcher.stop();
    }
    eventually("no builder is left", || {
        processes("hedgerow-builder build").is_empty().then_some(())
    });
}

#[test]
fn a_stopped_launcher_takes_its_fences_along() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let fence = client.open(plan("stopped"));
    let running = client.start(&fence, shell(1, "trap '' TERM; sleep 17320 & wait"));
    assert!(!launcher.fence_cgroups().is_empty());
    launcher.stop();
    assert!(!exists(running.pid));
    assert!(processes("sleep 17320").is_empty());
}

#[test]
fn alone_for_too_long_it_ends_everything() {
    let mut launcher = Launcher::start_with(Some(1));
    let mut client = launcher.client();
    let fence = client.open(plan("alone"));
    let running = client.start(&fence, shell(1, "exec sleep 22360"));
    drop(client);
    let status = eventually("the launcher ends", || launcher.child.try_wait().unwrap());
    assert!(status.success());
    assert!(!exists(running.pid));
}

#[test]
fn an_init_that_is_killed_ends_the_fence_and_its_steps_are_reported_first() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let fence = client.open(plan("struck"));
    let running = client.start(&fence, shell(1, "exec sleep 24494"));
    let status = fs::read_to_string(format!("/proc/{}/status", running.pid)).unwrap();
    let init = status.lines().find_map(|l| l.strip_prefix("PPid:\t")).unwrap().parse().unwrap();
    let init = rustix::process::Pid::from_raw(init).unwrap();
    rustix::process::kill_process(init, rustix::process::Signal::KILL).unwrap();
    let first = client.event();
    assert!(
        matches!(&first, Event::StepExited { step: StepId(1), exit, .. } if exit.status == ExitStatus::Signal(9)),
        "{first:?}"
    );
    let second = client.event();
    assert!(
        matches!(&second, Event::FenceEnded { cause, .. } if cause.contains("signal 9")),
        "{second:?}"
    );
    assert!(client.try_start(&fence, shell(2, "true")).is_err());
    assert!(client.adopt(&fence).0.ended.is_some());
    client.close(&fence);
    client.open(plan("struck"));
    client.close(&fence);
    launcher.stop();
}

#[test]
fn nothing_of_a_closed_fence_is_left() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let before = Inventory::take(&launcher);
    for round in 0..5 {
        let mut wanted = plan("gone");
        wanted.mounts = vec![work("work", "/greengrass/v2/work/a")];
        let fence = client.open(wanted);
        client.start(&fence, shell(1, "sleep 26457 & mkfifo /tmp/f; exec sleep 26457"));
        if round == 0 {
            assert_ne!(Inventory::take(&launcher), before);
        }
        client.close(&fence);
        client.close(&fence);
        assert_eq!(Inventory::take(&launcher), before, "round {round}");
    }
    launcher.stop();
}

#[derive(Debug, PartialEq)]
struct Inventory {
    processes: Vec<i32>,
    cgroups: Vec<std::path::PathBuf>,
    descriptors: usize,
    launcher_mounts: usize,
    host_mounts: String,
    files: Vec<std::path::PathBuf>,
}

impl Inventory {
    fn take(launcher: &Launcher) -> Self {
        let proc = std::path::PathBuf::from(format!("/proc/{}", launcher.child.id()));
        let list = |path: &std::path::Path| {
            let mut names: Vec<_> =
                fs::read_dir(path).unwrap().flatten().map(|e| e.path()).collect();
            names.sort();
            names
        };
        let own = launcher.path().to_str().unwrap();
        Self {
            processes: processes("sleep 26457"),
            cgroups: launcher.fence_cgroups(),
            descriptors: list(&proc.join("fd")).len(),
            launcher_mounts: fs::read_to_string(proc.join("mountinfo")).unwrap().lines().count(),
            host_mounts: fs::read_to_string("/proc/self/mountinfo")
                .unwrap()
                .lines()
                .filter(|line| line.contains(own))
                .collect(),
            files: list(&launcher.path().join("run/launch")),
        }
    }
}

#[test]
fn who_waits_for_a_fence_that_is_closed_meanwhile_is_answered() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    for round in 0..5 {
        let wanted = plan(&format!("early-{round}"));
        let fence = wanted.fence.clone();
        let open = Request::Open { plan: Box::new(wanted), note: String::new() };
        let open = client.send(open, &[]);
        let close = client.send(Request::Close { fence: fence.clone() }, &[]);
        let mut answers = std::collections::BTreeMap::new();
        while answers.len() < 2 {
            if let Some((Message::Reply { serial, result }, _)) = client.receive() {
                answers.insert(serial, result);
            }
        }
        assert!(answers[&open].is_err() || matches!(answers[&open], Ok(Response::Open { .. })));
        assert_eq!(answers[&close], Ok(Response::Done));
        assert!(launcher.fence_cgroups().is_empty());
    }
    let fence = client.open(plan("early"));
    let start = client.send(Request::Start { fence: fence.clone(), step: shell(1, "true") }, &[]);
    let close = client.send(Request::Close { fence }, &[]);
    // In whichever order: both are answered.
    let mut answered = std::collections::BTreeSet::new();
    while answered.len() < 2 {
        if let Some((Message::Reply { serial, .. }, _)) = client.receive() {
            answered.insert(serial);
        }
    }
    assert_eq!(answered, [start, close].into());
    launcher.stop();
}

#[test]
fn a_new_daemon_may_adopt_a_fence_that_is_being_opened() {
    let launcher = Launcher::start();
    let mut old = launcher.client();
    let request = Request::Open { plan: Box::new(plan("opening")), note: "n".into() };
    old.send(request, &[]);
    old.usage(&id("opening"));
    drop(old);
    let mut new = launcher.client();
    let (report, ..) = new.adopt(&id("opening"));
    assert_eq!((report.note.as_str(), report.ended), ("n", None));
    assert_eq!(new.run(&id("opening"), 1, "exit 7").0, ExitStatus::Code(7));
}

#[test]
fn a_farewell_ends_a_launcher_that_lingers_and_no_other() {
    let mut lingering = Launcher::start_with(Some(600));
    let mut client = lingering.client();
    let fence = client.open(plan("farewell"));
    let running = client.start(&fence, shell(1, "exec sleep 28284"));
    client.send(Request::Farewell, &[]);
    let status = eventually("the launcher ends", || lingering.child.try_wait().unwrap());
    assert!(status.success());
    assert!(!exists(running.pid));

    let staying = Launcher::start();
    let mut client = staying.client();
    assert_eq!(client.call(Request::Farewell, &[]).unwrap().0, Response::Done);
    client.open(plan("farewell"));
}

#[test]
fn descriptors_that_the_launcher_inherits_go_no_further() {
    let (reader, writer) = std::io::pipe().unwrap();
    let leaked: Vec<_> = (0..8).map(|_| writer.try_clone().unwrap()).collect();
    for descriptor in &leaked {
        rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::empty()).unwrap();
    }
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let fence = client.open(plan("inherited"));
    client.start(&fence, shell(1, "exec sleep 30000"));
    drop((leaked, writer));
    let mut nothing = String::new();
    // The end of the file comes once nobody has the other end: neither launcher, init nor step.
    (&reader).read_to_string(&mut nothing).unwrap();
    assert_eq!(nothing, "");
}

/// As a login shell's `ulimit -n` and `ulimit -Hn` would have it.
fn limited(soft: u64, hard: u64) -> impl Fn(&mut Command) {
    move |launcher| {
        let program = launcher.get_program().to_owned();
        let arguments: Vec<_> = launcher.get_args().map(ToOwned::to_owned).collect();
        *launcher = Command::new("prlimit");
        launcher.arg(format!("--nofile={soft}:{hard}")).arg("--").arg(program).args(arguments);
    }
}

#[test]
fn descriptors_are_limited_by_the_hard_limit_and_those_of_steps_as_ever() {
    // The builder alone gets more than these at once.
    let launcher = Launcher::start_as(limited(40, 4096));
    let mut client = launcher.client();
    let fence = client.open(plan("limits"));
    assert_eq!(client.say(&fence, 1, "ulimit -Sn; ulimit -Hn"), "1024\n4096\n");
    launcher.stop();
}

#[test]
fn a_launcher_that_has_too_few_descriptors_says_so_at_once() {
    let refused = Launcher::refused_as(limited(300, 300));
    assert!(refused.contains("300 descriptors") && refused.contains("LimitNOFILE="), "{refused}");
}

#[test]
fn a_launcher_without_descriptors_leaves_no_cgroup_and_does_not_spin_while_somebody_waits() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let process = format!("/proc/{}", launcher.child.id());
    let allow = |files: usize| {
        let pid = launcher.child.id().to_string();
        let status =
            Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={files}:")]).status();
        assert!(status.unwrap().success());
    };
    let held = fs::read_dir(format!("{process}/fd")).unwrap().count();
    let opened = (held..held + 100).find(|files| {
        allow(*files);
        let refused = client.try_open(plan("tight")).err();
        if let Some(error) = &refused {
            // Not opened without what it is granted.
            assert!(*files > held || error.message.contains("hedgerow.toml"), "{error}");
            eventually("no cgroup is left", || launcher.fence_cgroups().is_empty().then_some(()));
        }
        refused.is_none()
    });
    assert!(opened.is_some_and(|files| files > held));

    allow(1024);
    let fence = client.open(plan("roomy"));
    let mut running = client.start(&fence, shell(1, "echo up; sleep 0.5; echo over"));
    assert_eq!(running.line(), "up");
    let is_free = |number: &usize| fs::symlink_metadata(format!("{process}/fd/{number}")).is_err();
    allow((0..1024).find(is_free).unwrap());
    let mut stranger = launcher.stranger();
    let spent = || {
        let text = fs::read_to_string(format!("{process}/schedstat")).unwrap();
        let nanoseconds = text.split(' ').next().unwrap().parse().unwrap();
        std::time::Duration::from_nanos(nanoseconds)
    };
    let (before, begin) = (spent(), std::time::Instant::now());
    assert_eq!(running.line(), "over");
    let (took, passed) = (spent() - before, begin.elapsed());
    assert!(took < passed / 5, "{took:?} of {passed:?}");
    allow(1024);
    stranger.hello().unwrap();
    launcher.stop();
}
