//! Steps: how they start, how they end, what is told about it.

mod common;

use common::*;
use hedgerow_isolation::plan::StepId;
use hedgerow_isolation::protocol::{ErrorKind, ExitStatus};

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
        (["/etc/passwd"], "cannot execute \"/etc/passwd\": Permission denied"),
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
