//! The daemon or the launcher gone for a while, and what their successors make of it.

use std::fs;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use hedgerow_harness::{Draft, Hedgerow, PATIENCE, components, eventually, examples};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[test]
fn a_component_without_a_session_never_stops_and_its_log_has_no_gap() -> Result<()> {
    let mut hedgerow = Hedgerow::start("")?;
    hedgerow.deploy(&components(), &["test.ticker=1.0.0"])?;
    let pid = hedgerow.component("test.ticker")?.pid;
    for _ in 0..3 {
        let before = ticks(&hedgerow)?.len();
        hedgerow.kill_daemon()?;
        ensure!(!is_gone(pid), "it ended with the daemon");
        hedgerow.start_daemon()?;
        let now = hedgerow
            .wait_for("test.ticker", "RUNNING", |component| component.state == "RUNNING")?;
        assert_eq!((now.pid, now.restarts), (pid, 0));
        eventually("it goes on", PATIENCE, || {
            Ok((ticks(&hedgerow)?.len() > before + 5).then_some(()))
        })?;
    }
    let mut expected = 1;
    for tick in ticks(&hedgerow)? {
        // Lines that were written and not yet taken out of the pipe are written again.
        ensure!(tick <= expected, "after {} came {tick}", expected - 1);
        expected = expected.max(tick + 1);
    }
    hedgerow.wait_for_no_orphans()?;
    hedgerow.finish()
}

#[test]
fn an_exit_while_there_was_no_daemon_is_told_to_the_next() -> Result<()> {
    let mut hedgerow = Hedgerow::start("")?;
    hedgerow.deploy(&components(), &["test.bell=1.0.0"])?;
    let pid = hedgerow.component("test.bell")?.pid;
    wait_for_log(&hedgerow, "test.bell", "waiting")?;
    hedgerow.kill_daemon()?;
    kill(Pid::from_raw(pid), Signal::SIGUSR1)?;
    eventually("the bell's end", PATIENCE, || Ok(is_gone(pid).then_some(())))?;
    hedgerow.start_daemon()?;
    hedgerow.wait_for("test.bell", "its exit code", |bell| {
        bell.last_error.contains("run ended with exit code 7")
    })?;
    let again = hedgerow.wait_for("test.bell", "RUNNING again", |bell| bell.state == "RUNNING")?;
    ensure!(again.pid != pid && again.restarts == 1, "{again:?}");
    hedgerow.wait_for_no_orphans()?;
    hedgerow.finish()
}

#[test]
fn a_component_with_an_open_session_is_replaced() -> Result<()> {
    let mut hedgerow = Hedgerow::start("")?;
    hedgerow.deploy(&examples(), &["com.example.sensor=1.0.0"])?;
    hedgerow.run(&["topic", "sub", "--count", "1", "sensors/host"])?;
    let pid = hedgerow.component("com.example.sensor")?.pid;
    hedgerow.kill_daemon()?;
    hedgerow.start_daemon()?;
    let now = hedgerow.wait_for("com.example.sensor", "RUNNING", |now| now.state == "RUNNING")?;
    ensure!(now.pid != pid, "nobody would ever hear of it again");
    hedgerow.run(&["topic", "sub", "--count", "1", "sensors/host"])?;
    hedgerow.wait_for_no_orphans()?;
    hedgerow.finish()
}

#[test]
fn a_stop_under_way_is_finished_by_the_next_daemon() -> Result<()> {
    let mut hedgerow = Hedgerow::start("")?;
    let draft = Draft::new()?;
    let lifecycle = "run: exec sleep 1000\nshutdown: echo tidies; exec sleep 1000";
    for name in ["test.to-stop", "test.to-remove"] {
        draft.component(name, "1.0.0", "", lifecycle)?;
    }
    hedgerow.deploy(&draft.source(), &["test.to-stop=1.0.0", "test.to-remove=1.0.0"])?;
    for words in [&["stop", "test.to-stop"] as &[&str], &["deploy", "--remove", "test.to-remove"]] {
        let mut asked = hedgerow.command();
        let mut asked = asked.args(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        wait_for_log(&hedgerow, words.last().context("a name")?, "shutdown: tidies")?;
        hedgerow.kill_daemon()?;
        ensure!(!asked.wait()?.success(), "{words:?} succeeded, though it did not");
        hedgerow.start_daemon()?;
    }
    hedgerow.wait_for("test.to-stop", "FINISHED", |now| now.state == "FINISHED")?;
    hedgerow.wait_for_no_orphans()?;
    let names: Vec<String> = hedgerow.components()?.into_iter().map(|c| c.name).collect();
    assert_eq!(names, ["test.to-stop"]);
    hedgerow.finish()
}

#[test]
fn the_launchers_death_ends_every_fence_and_all_is_well_again() -> Result<()> {
    let mut hedgerow = Hedgerow::start("")?;
    hedgerow.deploy(&components(), &["test.ticker=1.0.0", "test.front=1.0.0"])?;
    let before = hedgerow.components()?;
    let old: Vec<i32> = hedgerow.traces().in_fences().map(|(pid, _)| *pid).collect();
    hedgerow.kill_launcher()?;
    eventually("every process of every fence has ended", PATIENCE, || {
        Ok(old.iter().all(|pid| is_gone(*pid)).then_some(()))
    })?;
    for component in before {
        let now = hedgerow.wait_for(&component.name, "RUNNING in a new fence", |now| {
            now.state == "RUNNING" && now.pid != component.pid
        })?;
        ensure!(now.last_error.contains("launcher"), "{now:?}");
    }
    let log = fs::read_to_string(hedgerow.daemon_log())?;
    ensure!(log.contains("the launcher is gone, and every fence with it"), "{log}");
    hedgerow.wait_for_no_orphans()?;
    hedgerow.finish()
}

#[test]
fn daemon_and_launcher_killed_together() -> Result<()> {
    let mut hedgerow = Hedgerow::start("")?;
    hedgerow.deploy(&components(), &["test.ticker=1.0.0"])?;
    let pid = hedgerow.component("test.ticker")?.pid;
    hedgerow.kill_daemon()?;
    hedgerow.kill_launcher()?;
    eventually("the fence has ended", PATIENCE, || Ok(is_gone(pid).then_some(())))?;
    hedgerow.start_daemon()?;
    hedgerow.wait_for("test.ticker", "RUNNING", |now| now.state == "RUNNING")?;
    hedgerow.wait_for_no_orphans()?;
    hedgerow.finish()
}

#[test]
fn a_second_daemon_in_one_directory_leaves_the_first_alone() -> Result<()> {
    let mut hedgerow = Hedgerow::start("")?;
    hedgerow.deploy(&components(), &["test.ticker=1.0.0"])?;
    let before = hedgerow.component("test.ticker")?;
    let second = hedgerow.daemon_command().output()?;
    let said = String::from_utf8_lossy(&second.stderr);
    ensure!(second.status.code() == Some(1), "{}: {said}", second.status);
    ensure!(said.contains("in use by another"), "{said}");
    let now = hedgerow.component("test.ticker")?;
    assert_eq!((now.pid, now.restarts, now.last_error), (before.pid, 0, String::new()));
    // It is still the one that is obeyed.
    hedgerow.run(&["restart", "test.ticker"])?;
    ensure!(hedgerow.component("test.ticker")?.pid != before.pid, "it does not obey any more");
    hedgerow.wait_for_no_orphans()?;
    hedgerow.finish()
}

#[test]
fn two_side_by_side_do_not_disturb_each_other() -> Result<()> {
    let one = Hedgerow::start("")?;
    let mut other = Hedgerow::start("")?;
    one.deploy(&components(), &["test.ticker=1.0.0"])?;
    other.deploy(&components(), &["test.ticker=1.0.0", "test.back=1.0.0"])?;
    let before = one.component("test.ticker")?;
    assert_eq!(one.components()?.len(), 1);
    other.run(&["stop", "test.ticker"])?;
    other.kill_daemon()?;
    other.start_daemon()?;
    other.kill_launcher()?;
    other.wait_for("test.back", "RUNNING", |now| {
        now.state == "RUNNING" && now.last_error.contains("launcher")
    })?;
    other.finish()?;
    let now = one.component("test.ticker")?;
    assert_eq!((now.pid, now.restarts, now.state.as_str()), (before.pid, 0, "RUNNING"));
    one.finish()
}

#[test]
fn a_stop_of_the_daemon_stops_dependents_first_and_leaves_nothing() -> Result<()> {
    let mut hedgerow = Hedgerow::start("")?;
    hedgerow.deploy(&components(), &["test.front=1.0.0", "test.ticker=1.0.0"])?;
    hedgerow.run(&["stop", "test.ticker"])?;
    let stopped = hedgerow.stop_daemon()?;
    ensure!(stopped.success(), "{stopped}");
    let front = stopped_at(&hedgerow, "test.front")?;
    let back = stopped_at(&hedgerow, "test.back")?;
    // Both as the kernel says it, in hundredths; the dependent takes a second for it.
    ensure!(front <= back, "test.back stopped at {back}, test.front, which needs it, at {front}");
    eventually("nothing is left", PATIENCE, || Ok(hedgerow.traces().is_empty().then_some(())))?;
    // What is desired stays so.
    hedgerow.start_daemon()?;
    for (name, state) in
        [("test.front", "RUNNING"), ("test.back", "RUNNING"), ("test.ticker", "FINISHED")]
    {
        hedgerow.wait_for(name, state, |now| now.state == state)?;
    }
    hedgerow.finish()
}

/// Seconds since the boot, from the line that its shutdown step wrote.
fn stopped_at(hedgerow: &Hedgerow, name: &str) -> Result<f64> {
    let path = hedgerow.root().join(format!("state/logs/{name}.log"));
    let log = fs::read_to_string(&path)?;
    let (_, time) = log.rsplit_once("stops at ").with_context(|| log.clone())?;
    time.trim().parse().with_context(|| log.clone())
}

/// The numbers that the ticker wrote.
fn ticks(hedgerow: &Hedgerow) -> Result<Vec<u64>> {
    let log = hedgerow.log("test.ticker")?;
    let numbers = log.lines().filter_map(|line| line.rsplit_once("run: tick "));
    numbers.map(|(_, number)| number.parse().with_context(|| number.to_owned())).collect()
}

fn wait_for_log(hedgerow: &Hedgerow, name: &str, text: &str) -> Result<()> {
    eventually(&format!("{text:?} in the log of {name}"), PATIENCE, || {
        Ok(hedgerow.log(name)?.contains(text).then_some(()))
    })
}

fn is_gone(pid: i32) -> bool {
    !fs::exists(format!("/proc/{pid}")).unwrap_or(true)
}
