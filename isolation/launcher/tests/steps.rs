//! Steps: how they start, how they end, what is told about it.

mod common;

use common::*;
use hedgerow_isolation::plan::StepId;
use hedgerow_isolation::protocol::{ErrorKind, Event, ExitStatus};

#[test]
fn exit_codes_and_signals_are_reported_as_they_are() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let fence = client.open(plan("exits"));
    for (step, script, expected) in [
        (1, "exit 0", ExitStatus::Code(0)),
        (2, "exit 7", ExitStatus::Code(7)),
        (3, "kill -TERM $$", ExitStatus::Signal(15)),
        (4, "kill -KILL $$", ExitStatus::Signal(9)),
        (5, "kill -40 $$", ExitStatus::Signal(40)),
    ] {
        assert_eq!(client.run(&fence, step, script).0, expected, "{script}");
    }
    let mut running = client.start(&fence, shell(6, "echo ready; exec sleep 1000"));
    assert_eq!(running.line(), "ready");
    assert!(exists(running.pid), "the pid is the host's");
    client.signal(&fence, Some(StepId(6)), 15).unwrap();
    assert_eq!(client.exit(StepId(6)).status, ExitStatus::Signal(15));
    client.close(&fence);
    launcher.stop();
}

#[test]
fn a_program_that_cannot_run_is_named_with_the_reason() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let fence = client.open(plan("cannot"));
    for (argv, reason) in [
        (["no-such-program"], "cannot execute \"no-such-program\": No such file"),
        (["/etc/passwd"], "\"/etc/passwd\" (it may not be executed: chmod +x): Permission denied"),
        (["/"], "cannot execute \"/\""),
    ] {
        let error = client.try_start(&fence, step(1, &argv)).err().unwrap();
        assert_eq!(error.kind, ErrorKind::Exec);
        assert!(error.message.contains(reason), "{error}");
    }
    let mut elsewhere = shell(1, "true");
    elsewhere.cwd = "/root".into();
    let error = client.try_start(&fence, elsewhere).err().unwrap();
    assert!(error.message.contains("\"/root\": Permission denied"), "{error}");
    assert_eq!(client.run(&fence, 1, "exit 3").0, ExitStatus::Code(3), "the number is free again");
}

#[test]
fn a_step_has_exactly_its_environment_and_starts_clean() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let fence = client.open(plan("clean"));
    assert_eq!(
        client.say(&fence, 1, "exec env"),
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nPWD=/\n"
    );
    let mut own = step(2, &["env"]);
    own.env = [("PATH".to_owned(), "/x".to_owned()), ("A".to_owned(), "b=c".to_owned())].into();
    own.cwd = "/tmp".into();
    assert_eq!(client.start(&fence, own).output().0, "A=b=c\nPATH=/x\n");

    let said = client.say(
        &fence,
        3,
        "cat; pwd; umask; ls -l /proc/self/fd | sed 1d | wc -l; cat /proc/self/stat",
    );
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[..2], ["/", "0022"], "stdin is empty; {said}");
    assert_eq!(lines[2], "4", "stdin, stdout, stderr and what ls itself opens: {said}");
    let session: i32 = lines[3].split(' ').nth(5).unwrap().parse().unwrap();
    assert_ne!(session, 1, "a session of its own");
    let status = client.say(&fence, 4, "exec cat /proc/self/status");
    for mask in ["SigBlk", "SigIgn", "SigCgt"] {
        assert!(status.contains(&format!("{mask}:\t0000000000000000")), "{status}");
    }
    assert_eq!(client.say(&fence, 5, "ulimit -c; ulimit -n"), "0\n1024\n");
}

#[test]
fn output_may_be_opened_again_by_name() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let fence = client.open(plan("reopen"));
    let (status, stdout, stderr) = client.run(
        &fence,
        1,
        "echo out > /dev/stdout; echo err > /dev/stderr; echo fd > /dev/fd/1",
    );
    assert_eq!(
        (status, stdout.as_str(), stderr.as_str()),
        (ExitStatus::Code(0), "out\nfd\n", "err\n")
    );
}

#[test]
fn one_step_is_signalled_and_all_are() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let fence = client.open(plan("signals"));
    let mut deaf = client.start(&fence, shell(1, "trap '' TERM; echo on; sleep 1000 & wait; wait"));
    let mut other = client.start(&fence, shell(2, "echo on; exec sleep 1000"));
    assert_eq!((deaf.line().as_str(), other.line().as_str()), ("on", "on"));

    client.signal(&fence, Some(StepId(1)), 15).unwrap();
    client.signal(&fence, Some(StepId(2)), 15).unwrap();
    assert_eq!(client.exit(StepId(2)).status, ExitStatus::Signal(15));
    assert!(exists(deaf.pid), "SIGTERM is ignored");
    client.signal(&fence, None, 9).unwrap();
    assert_eq!(client.exit(StepId(1)).status, ExitStatus::Signal(9));
    assert!(matches!(client.event(), Event::Emptied { .. }));
    assert_eq!(client.run(&fence, 3, "exit 4").0, ExitStatus::Code(4), "the fence outlives them");

    for stale in [1, 99] {
        let error = client.signal(&fence, Some(StepId(stale)), 15).unwrap_err();
        assert_eq!(error.kind, ErrorKind::NoSuchStep);
    }
    assert_eq!(client.signal(&fence, None, 0).unwrap_err().kind, ErrorKind::Invalid);
}

#[test]
fn what_a_step_leaves_in_the_background_lives_as_long_as_the_fence() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let fence = client.open(plan("background"));
    let script = "sleep 31415 & (setsid sleep 31416 >/dev/null 2>&1 &) ; \
                  setsid sh -c 'trap \"\" TERM HUP; sleep 31417' >/dev/null 2>&1 & exit 5";
    let mut running = client.start(&fence, shell(1, script));
    assert_eq!(client.exit(running.id).status, ExitStatus::Code(5));
    for left in ["sleep 31415", "sleep 31416", "sleep 31417"] {
        eventually(left, || (!processes(left).is_empty()).then_some(()));
    }
    client.close(&fence);
    for left in ["sleep 31415", "sleep 31416", "sleep 31417"] {
        assert!(processes(left).is_empty(), "{left}");
    }
    assert_eq!(running.line(), "", "the pipe is closed");
    launcher.stop();
}

#[test]
fn the_end_of_the_last_process_is_told_and_told_again_when_asked() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let fence = client.open(plan("emptied"));
    let running = client.start(&fence, shell(1, "(read x; exit) <&3 3<&- & exit 0"));
    drop(running);
    client.exit(StepId(1));
    assert!(matches!(client.event(), Event::Emptied { .. }));
    client.signal(&fence, None, 15).unwrap();
    assert!(matches!(client.event(), Event::Emptied { .. }));
}

#[test]
fn a_step_that_floods_its_log_is_held_up_and_nobody_else() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let (loud, quiet) = (client.open(plan("loud")), client.open(plan("quiet")));
    let before = rss(launcher.child.id());
    let flood = client.start(&loud, shell(1, "exec head -c 1073741824 /dev/zero"));
    for step in 1..=20 {
        assert_eq!(client.say(&quiet, step, "echo still here"), "still here\n");
        client.acknowledge(&quiet, StepId(step)).unwrap();
    }
    assert!(exists(flood.pid), "it waits for its reader");
    let grown = rss(launcher.child.id()).saturating_sub(before);
    assert!(grown < 4 << 20, "the launcher grew by {grown} bytes");

    let mut bytes = 0;
    let mut buffer = vec![0; 1 << 20];
    let mut stdout = flood.stdout;
    loop {
        match std::io::Read::read(&mut stdout, &mut buffer).unwrap() {
            0 => break,
            count => bytes += count,
        }
    }
    assert_eq!(bytes, 1 << 30, "nothing is lost");
    assert_eq!(client.exit(StepId(1)).status, ExitStatus::Code(0));
}

#[test]
fn numbers_of_steps_are_not_reused_before_they_are_free() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let fence = client.open(plan("numbers"));
    client.run(&fence, 1, "true");
    assert_eq!(client.try_start(&fence, shell(1, "true")).err().unwrap().kind, ErrorKind::Invalid);
    client.acknowledge(&fence, StepId(1)).unwrap();
    assert_eq!(client.acknowledge(&fence, StepId(1)).unwrap_err().kind, ErrorKind::NoSuchStep);
    client.start(&fence, shell(1, "exec sleep 1000"));
    assert_eq!(client.acknowledge(&fence, StepId(1)).unwrap_err().kind, ErrorKind::Invalid);
    for step in 2..=64 {
        client.run(&fence, step, "true");
    }
    let error = client.try_start(&fence, shell(65, "true")).err().unwrap();
    assert!(error.message.contains("64 steps at most"), "{error}");
}

fn rss(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}
