//! Components that fail, and when they are tried again.

use anyhow::{Result, ensure};
use hedgerow_harness::{Draft, Hedgerow, PATIENCE, eventually};

/// Fails as soon as it runs.
const FAILING: &str = "run: |\n  echo tried\n  exit 3";

fn tries(hedgerow: &Hedgerow, name: &str) -> Result<usize> {
    Ok(hedgerow.log(name)?.matches("run: tried\n").count())
}

fn wait_for_tries(hedgerow: &Hedgerow, name: &str, count: usize) -> Result<()> {
    eventually(&format!("{name} is tried {count} times"), PATIENCE, || {
        Ok((tries(hedgerow, name)? >= count).then_some(()))
    })
}

#[test]
fn one_that_fails_is_tried_again_and_again_with_waits_between() -> Result<()> {
    let hedgerow = Hedgerow::start(
        "[[restart]]\ncomponent = 'test.quick*'\ninitial-backoff = 0.05\nmax-backoff = 0.1\n",
    )?;
    let draft = Draft::new()?;
    draft.component("test.quick", "1.0.0", "", FAILING)?;
    draft.component("test.usual", "1.0.0", "", FAILING)?;
    // Each has a process, so the deployment may see it RUNNING and be content.
    hedgerow.say_deploy(&draft.source(), &["test.quick=1.0.0"])?;
    hedgerow.say_deploy(&draft.source(), &["test.usual=1.0.0"])?;
    wait_for_tries(&hedgerow, "test.quick", 10)?;
    let quick = hedgerow.component("test.quick")?;
    ensure!(quick.state != "BROKEN", "{quick:?}");
    ensure!(quick.last_error.contains("run ended with exit code 3 (RUN_ERROR)"), "{quick:?}");
    // The usual waits are a second and more.
    ensure!(tries(&hedgerow, "test.usual")? < 10, "it spins");
    hedgerow.wait_for("test.usual", "ERRORED", |now| now.state == "ERRORED")?;
    hedgerow.finish()
}

#[test]
fn a_reset_does_not_wait_for_the_next_try() -> Result<()> {
    let hedgerow = Hedgerow::start("[[restart]]\ncomponent = '*'\ninitial-backoff = 600\n")?;
    let draft = Draft::new()?;
    draft.component("test.failing", "1.0.0", "", FAILING)?;
    hedgerow.say_deploy(&draft.source(), &["test.failing=1.0.0"])?;
    hedgerow.wait_for("test.failing", "ERRORED", |now| now.state == "ERRORED" && now.pid == 0)?;
    hedgerow.run(&["reset", "test.failing"])?;
    wait_for_tries(&hedgerow, "test.failing", 2)?;
    hedgerow.finish()
}

#[test]
fn by_greengrass_s_own_rule_the_third_failure_is_the_last() -> Result<()> {
    let hedgerow = Hedgerow::start("[compat]\ngreengrass-restart = true\n")?;
    let draft = Draft::new()?;
    draft.component("test.failing", "1.0.0", "", FAILING)?;
    hedgerow.say_deploy(&draft.source(), &["test.failing=1.0.0"])?;
    let broken = hedgerow.wait_for("test.failing", "BROKEN", |now| now.state == "BROKEN")?;
    assert_eq!((broken.pid, broken.restarts), (0, 2));
    assert_eq!(tries(&hedgerow, "test.failing")?, 3);

    // An operator gets it going again, with as many tries as before.
    hedgerow.say(&["start", "test.failing"])?;
    wait_for_tries(&hedgerow, "test.failing", 6)?;
    hedgerow.wait_for("test.failing", "BROKEN again", |now| now.state == "BROKEN")?;
    assert_eq!(tries(&hedgerow, "test.failing")?, 6);
    hedgerow.finish()
}

#[test]
fn three_failures_fail_the_deployment_that_waits() -> Result<()> {
    let hedgerow = Hedgerow::start("[[restart]]\ncomponent = '*'\ninitial-backoff = 0.05\n")?;
    let draft = Draft::new()?;
    draft.component("test.failing", "1.0.0", "", "startup: echo tried; exit 3")?;
    let said = hedgerow.say_deploy(&draft.source(), &["test.failing=1.0.0"])?;
    ensure!(said.code == Some(1), "{said:?}");
    ensure!(said.stderr.contains("STARTUP_ERROR"), "{said:?}");
    hedgerow.finish()
}

#[test]
fn the_launcher_s_death_is_no_fault_of_the_components() -> Result<()> {
    let mut hedgerow = Hedgerow::start("[compat]\ngreengrass-restart = true\n")?;
    let draft = Draft::new()?;
    draft.component("test.sound", "1.0.0", "", "run: exec sleep 1000")?;
    hedgerow.deploy(&draft.source(), &["test.sound=1.0.0"])?;
    let mut pid = 0;
    for _ in 0..4 {
        let sound = hedgerow.wait_for("test.sound", "RUNNING anew", |now| {
            now.state == "RUNNING" && now.pid != pid
        })?;
        pid = sound.pid;
        hedgerow.kill_launcher()?;
    }
    hedgerow
        .wait_for("test.sound", "RUNNING anew", |now| now.state == "RUNNING" && now.pid != pid)?;
    hedgerow.wait_for_no_orphans()?;
    hedgerow.finish()
}
