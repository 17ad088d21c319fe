//! A fence keeps to its limits, and says so.

mod common;

use common::*;
use hedgerow_isolation::plan::StepId;
use hedgerow_isolation::protocol::{ExitStatus, Request, Response};

#[test]
fn over_its_memory_limit_a_step_is_killed_alone_and_reported() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let mut small = plan("small");
    small.limits.memory = Some(48 << 20);
    let small = client.open(small);
    let neighbour = client.open(plan("neighbour"));
    let calm = client.start(&neighbour, shell(1, "exec sleep 1000"));
    let eater = "x = []\nwhile True: x.append(bytearray(1 << 20))";
    client.start(&small, step(1, &["python3", "-c", eater]));
    let exit = client.exit(StepId(1));
    assert_eq!(exit.status, ExitStatus::Signal(9));
    assert_eq!(exit.oom_kills, 1);
    assert!(exists(calm.pid));

    client.start(&small, step(2, &["true"]));
    let exit = client.exit(StepId(2));
    assert_eq!((exit.status, exit.oom_kills), (ExitStatus::Code(0), 0), "the fence goes on");
    let usage = client.usage(&small);
    assert_eq!(usage.oom_kills, 1);
    assert!(usage.load.memory <= 48 << 20);
}

#[test]
fn what_all_fences_use_is_one_answer() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let (idle, busy) = (client.open(plan("idle")), client.open(plan("busy")));
    client.say(&busy, 1, "head -c 50M /dev/zero | md5sum");
    let running = client.start(&busy, step(2, &["sleep", "1000"]));
    assert!(exists(running.pid));
    let Response::Loads(loads) = client.call(Request::Loads, &[]).unwrap().0 else { panic!() };
    let of = |fence| loads.iter().find(|(id, _)| id == fence).expect("all are told").1;
    assert_eq!(loads.len(), 2);
    assert!(of(&busy).cpu_usec > of(&idle).cpu_usec, "{loads:?}");
    assert_eq!((of(&idle).pids, of(&busy).pids), (1, 2), "init and sleep");
    launcher.stop();
}

#[test]
fn a_fork_bomb_stays_within_its_processes() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let mut bomb = plan("bomb");
    bomb.limits.pids = Some(20);
    let fence = client.open(bomb);
    let script = "import os, time\n\
        count = 0\n\
        for _ in range(200):\n\
        \x20try:\n\
        \x20 if os.fork() == 0: time.sleep(1000)\n\
        \x20 count += 1\n\
        \x20except BlockingIOError: break\n\
        print(count, flush=True); time.sleep(1000)";
    let mut running = client.start(&fence, step(1, &["python3", "-c", script]));
    let children: u64 = running.line().parse().unwrap();
    assert_eq!(children, 18, "with the init and the step itself: 20");
    assert_eq!(client.usage(&fence).load.pids, 20);
    client.close(&fence);
    launcher.stop();
}

#[test]
fn a_spinner_stays_within_its_share() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let mut slow = plan("slow");
    slow.limits.cpu = Some(100);
    let fence = client.open(slow);
    let script = "import time\n\
        wall, cpu = time.monotonic(), time.process_time()\n\
        while time.monotonic() - wall < 2: pass\n\
        print((time.process_time() - cpu) / (time.monotonic() - wall))";
    let (stdout, stderr) = client.start(&fence, step(1, &["python3", "-c", script])).output();
    let share: f64 = stdout.trim().parse().unwrap_or_else(|_| panic!("{stderr}"));
    assert!(share < 0.2, "a tenth of a processor was granted, {share} taken");
    assert!(client.usage(&fence).load.cpu_usec > 10_000);
}
