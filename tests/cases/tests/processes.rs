//! Components whose processes behave badly.

use std::fs;

use anyhow::{Context, Result, ensure};
use hedgerow_harness::{Draft, Hedgerow, PATIENCE, components, eventually};

#[test]
fn one_that_ends_well_at_once_is_finished() -> Result<()> {
    let mut hedgerow = Hedgerow::start("")?;
    hedgerow.deploy(&components(), &["test.finishing=1.0.0"])?;
    let finishing =
        hedgerow.wait_for("test.finishing", "FINISHED", |now| now.state == "FINISHED")?;
    assert_eq!((finishing.pid, finishing.restarts), (0, 0));
    assert_eq!(hedgerow.log("test.finishing")?.matches("run: done\n").count(), 1);
    hedgerow.run(&["restart", "test.finishing"])?;
    hedgerow.wait_for("test.finishing", "FINISHED", |now| now.state == "FINISHED")?;
    hedgerow.wait_for_no_orphans()?;
    hedgerow.deploy(&components(), &["test.ticker=1.0.0"])?;
    assert_eq!(hedgerow.component("test.finishing")?.state, "FINISHED");
    let runs = hedgerow.log("test.finishing")?.matches("run: done\n").count();
    assert_eq!(runs, 2, "a deployment that does not concern it starts it anew");
    hedgerow.finish()
}

#[test]
fn a_failed_step_fails_the_deployment_which_names_it() -> Result<()> {
    let mut hedgerow = Hedgerow::start("")?;
    hedgerow.deploy(&components(), &["test.ticker=1.0.0"])?;
    let ticker = hedgerow.component("test.ticker")?;
    for (step, lifecycle) in [
        ("install", "install: |\n  echo the shelf is missing >&2\n  exit 3\nrun: exec sleep 1000"),
        ("startup", "startup: |\n  echo the shelf is missing >&2\n  exit 3\nshutdown: echo tidied"),
    ] {
        let draft = Draft::new()?;
        let name = format!("test.failing-{step}");
        draft.component(&name, "1.0.0", "", lifecycle)?;
        let said = hedgerow.say_deploy(&draft.source(), &[&format!("{name}=1.0.0")])?;
        ensure!(said.code == Some(1), "{said:?}");
        for part in [
            format!("{step} ended with exit code 3"),
            format!("component: {name}"),
            format!("step: {step}"),
            "the shelf is missing".to_owned(),
        ] {
            ensure!(said.stderr.contains(&part), "no {part:?} in {}", said.stderr);
        }
        let names: Vec<String> = hedgerow.components()?.into_iter().map(|c| c.name).collect();
        assert_eq!(names, ["test.ticker"], "what was deployed before is back");
    }
    assert_eq!(hedgerow.component("test.ticker")?.pid, ticker.pid, "it is no business of others");
    hedgerow.wait_for_no_orphans()?;
    hedgerow.finish()
}

#[test]
fn one_that_ignores_sigterm_is_killed_with_its_children() -> Result<()> {
    let mut hedgerow = Hedgerow::start("")?;
    hedgerow.deploy(&components(), &["test.stubborn=1.0.0"])?;
    wait_for_log(&hedgerow, "test.stubborn", "stubborn")?;
    wait_for_processes(&hedgerow, "sleep 4242", 1)?;
    hedgerow.run(&["stop", "test.stubborn"])?;
    let stopped = hedgerow.component("test.stubborn")?;
    assert_eq!((stopped.state.as_str(), stopped.pid), ("FINISHED", 0));
    assert_eq!(stopped.last_error, "", "what was asked for is no fault");
    hedgerow.wait_for_no_orphans()?;
    hedgerow.finish()
}

#[test]
fn what_startup_leaves_in_the_background_lives_until_the_stop() -> Result<()> {
    let mut hedgerow = Hedgerow::start("")?;
    let draft = Draft::new()?;
    let lifecycle = "startup: |\n  sleep 73101 &\n  echo left\nshutdown: echo tidied";
    draft.component("test.background", "1.0.0", "", lifecycle)?;
    hedgerow.deploy(&draft.source(), &["test.background=1.0.0"])?;
    assert_eq!(hedgerow.component("test.background")?.state, "RUNNING");
    let child = wait_for_processes(&hedgerow, "sleep 73101", 1)?;
    hedgerow.run(&["stop", "test.background"])?;
    ensure!(is_gone(child), "process {child} outlived its component");
    assert!(hedgerow.log("test.background")?.contains("shutdown: tidied\n"));
    hedgerow.wait_for_no_orphans()?;
    hedgerow.finish()
}

#[test]
fn a_daemon_that_forks_away_ends_with_its_component() -> Result<()> {
    let mut hedgerow = Hedgerow::start("")?;
    let draft = Draft::new()?;
    let lifecycle = "run: |\n  setsid sh -c 'trap \"\" HUP; setsid sleep 73102 & exit 0'\n  \
                     exec sleep 1000";
    draft.component("test.forking", "1.0.0", "", lifecycle)?;
    hedgerow.deploy(&draft.source(), &["test.forking=1.0.0"])?;
    let child = wait_for_processes(&hedgerow, "sleep 73102", 1)?;
    hedgerow.run(&["restart", "test.forking"])?;
    ensure!(is_gone(child), "process {child} outlived the restart of its component");
    let child = wait_for_processes(&hedgerow, "sleep 73102", 1)?;
    hedgerow.run(&["deploy", "--remove", "test.forking"])?;
    ensure!(is_gone(child), "process {child} outlived its component");
    hedgerow.wait_for_no_orphans()?;
    hedgerow.finish()
}

#[test]
fn a_step_that_takes_too_long_is_a_failed_step() -> Result<()> {
    let mut hedgerow = Hedgerow::start("")?;
    let draft = Draft::new()?;
    for (step, rest) in [("install", "run: exec sleep 1000"), ("startup", "shutdown: exit 0")] {
        let lifecycle =
            format!("{step}:\n  timeout: 1\n  script: echo waiting; exec sleep 1000\n{rest}");
        draft.component(&format!("test.slow-{step}"), "1.0.0", "", &lifecycle)?;
    }
    let lifecycle =
        "run: exec sleep 1000\nshutdown:\n  timeout: 1\n  script: echo waiting; exec sleep 1000";
    draft.component("test.slow-shutdown", "1.0.0", "", lifecycle)?;
    for step in ["install", "startup"] {
        let name = format!("test.slow-{step}");
        let said = hedgerow.say_deploy(&draft.source(), &[&format!("{name}=1.0.0")])?;
        ensure!(said.code == Some(1), "{said:?}");
        let expected = format!("{step} took longer than its timeout of 1 s");
        ensure!(said.stderr.contains(&expected), "{}", said.stderr);
        ensure!(said.stderr.contains(&format!("step: {step}")), "{}", said.stderr);
    }
    hedgerow.deploy(&draft.source(), &["test.slow-shutdown=1.0.0"])?;
    hedgerow.run(&["stop", "test.slow-shutdown"])?;
    assert_eq!(hedgerow.component("test.slow-shutdown")?.state, "FINISHED");
    hedgerow.wait_for_no_orphans()?;
    hedgerow.finish()
}

#[test]
fn one_that_writes_without_end_fills_no_disk_and_slows_nobody() -> Result<()> {
    const WRITTEN: u64 = 64 << 20;
    const FILES: u64 = 3;
    const SIZE: u64 = 256 << 10;
    // As much as it likes: this is about the files, not about the rate.
    let log = format!("[log]\nmax-size = {SIZE}\nfiles = {FILES}\nrate = 0\n");
    let hedgerow = Hedgerow::start(&log)?;
    let draft = Draft::new()?;
    let lifecycle = format!(
        "run: |\n  echo begins\n  yes 'a line of a component that has much to say' | head -c {WRITTEN}\n  echo ends"
    );
    draft.component("test.chatty", "1.0.0", "", &lifecycle)?;
    hedgerow.deploy(&components(), &["test.ticker=1.0.0"])?;
    let first = last_tick(&hedgerow)?;
    hedgerow.deploy(&draft.source(), &["test.chatty=1.0.0"])?;

    // Each turn is two answers of the daemon, and reads what another component wrote meanwhile.
    let (mut turns, mut last) = (0, first);
    eventually("test.chatty has written everything", PATIENCE, || {
        let used = disk_use(&hedgerow, "test.chatty")?;
        // What is read from a pipe at once, with the times before its lines, may go beyond the size.
        let bound = FILES * SIZE + (512 << 10);
        ensure!(used <= bound, "its logs have {used} bytes, more than {bound}");
        let chatty = hedgerow.component("test.chatty")?;
        if chatty.state == "FINISHED" {
            return Ok(Some(()));
        }
        turns += 1;
        last = last_tick(&hedgerow)?;
        Ok(None)
    })?;
    ensure!(turns >= 5 && last > first, "{turns} answers, ticks from {first} to {last}");
    let log = hedgerow.log("test.chatty")?;
    let end = log.lines().last().unwrap_or_default();
    ensure!(end.ends_with("ends"), "the end is what is kept, not {end:?}");
    ensure!(disk_use(&hedgerow, "test.chatty")? >= SIZE, "hardly anything was kept");
    hedgerow.finish()
}

#[test]
fn an_install_that_succeeded_is_not_repeated() -> Result<()> {
    let mut hedgerow = Hedgerow::start("")?;
    let draft = Draft::new()?;
    let lifecycle = "install: echo installed\nrun: echo runs; exec sleep 1000";
    draft.component("test.once", "1.0.0", "", lifecycle)?;
    draft.component("test.once", "1.0.1", "", lifecycle)?;
    let count = |hedgerow: &Hedgerow, text: &str| -> Result<usize> {
        Ok(hedgerow.log("test.once")?.matches(text).count())
    };
    let runs = |hedgerow: &Hedgerow, times: usize| {
        eventually("it runs again", PATIENCE, || {
            Ok((count(hedgerow, "run: runs\n")? == times).then_some(()))
        })
    };
    hedgerow.deploy(&draft.source(), &["test.once=1.0.0"])?;
    runs(&hedgerow, 1)?;
    hedgerow.run(&["restart", "test.once"])?;
    runs(&hedgerow, 2)?;
    hedgerow.run(&["stop", "test.once"])?;
    hedgerow.run(&["start", "test.once"])?;
    runs(&hedgerow, 3)?;
    hedgerow.stop_daemon()?;
    hedgerow.start_daemon()?;
    runs(&hedgerow, 4)?;
    assert_eq!(count(&hedgerow, "install: installed\n")?, 1);

    hedgerow.deploy(&draft.source(), &["test.once=1.0.1"])?;
    runs(&hedgerow, 5)?;
    assert_eq!(count(&hedgerow, "install: installed\n")?, 2);
    hedgerow.finish()
}

fn wait_for_log(hedgerow: &Hedgerow, name: &str, text: &str) -> Result<()> {
    eventually(&format!("{text:?} in the log of {name}"), PATIENCE, || {
        Ok(hedgerow.log(name)?.contains(text).then_some(()))
    })
}

/// Waits for as many processes of fences with these arguments; one of them.
fn wait_for_processes(hedgerow: &Hedgerow, arguments: &str, count: usize) -> Result<i32> {
    eventually(&format!("{count} times {arguments:?}"), PATIENCE, || {
        let traces = hedgerow.traces();
        let found: Vec<i32> = traces
            .in_fences()
            .filter(|(_, a)| a.trim() == arguments)
            .map(|(pid, _)| *pid)
            .collect();
        Ok(found.first().copied().filter(|_| found.len() == count))
    })
}

fn is_gone(pid: i32) -> bool {
    !fs::exists(format!("/proc/{pid}")).unwrap_or(true)
}

fn last_tick(hedgerow: &Hedgerow) -> Result<u64> {
    let line = hedgerow.run(&["logs", "-n", "1", "test.ticker"])?;
    let number = line.rsplit_once("tick ").context("a tick")?.1;
    number.trim().parse().with_context(|| line.clone())
}

/// Bytes of the component's log files.
fn disk_use(hedgerow: &Hedgerow, name: &str) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(hedgerow.root().join("state/logs"))? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(name) {
            // Rotated away meanwhile is no use of the disk.
            sum += entry.metadata().map_or(0, |metadata| metadata.len());
        }
    }
    Ok(sum)
}
