//! The daemon killed at every commit, and in between: what a start finds is the old or the new, as a whole.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use hedgerow_harness::{Draft, Hedgerow, PATIENCE, Start, components, eventually};

const BACK: &str = "test.crash-back";
const FRONT: &str = "test.crash-front";

/// Two components in two versions that differ in everything that a deployment decides: version, configuration and
/// what runs. `front` needs `back` in its own version.
fn pair() -> Result<Draft> {
    let draft = Draft::new()?;
    for (version, greeting) in [("1.0.0", "one"), ("2.0.0", "two")] {
        let configuration = format!(
            "ComponentConfiguration:\n  DefaultConfiguration:\n    '{greeting}': '{greeting}'"
        );
        let lifecycle = format!(
            "install: echo installs {version}\n\
             run: echo runs {version} says {{configuration:/{greeting}}}; exec sleep 1000\n\
             shutdown: echo stops {version}"
        );
        draft.component(BACK, version, &configuration, &lifecycle)?;
        let more = format!(
            "{configuration}\nComponentDependencies:\n  {BACK}:\n    VersionRequirement: '={version}'"
        );
        let lifecycle = format!(
            "install: echo installs {version}\n\
             startup: echo runs {version} says {{configuration:/{greeting}}}; sleep 1000 &\n\
             shutdown: echo stops {version}"
        );
        draft.component(FRONT, version, &more, &lifecycle)?;
    }
    Ok(draft)
}

fn addition(version: &str) -> [String; 2] {
    // `back` changes with `front` and has to be asked for with it where it was before.
    [format!("{FRONT}={version}"), format!("{BACK}={version}")]
}

/// Waits until everything that is desired is up, and says which version that is; `None` where nothing is
/// desired. Anything between two versions is an error.
fn settled(hedgerow: &mut Hedgerow) -> Result<Option<String>> {
    let mut last = Vec::new();
    let version = eventually("the desired state", PATIENCE, || {
        let components = hedgerow.components()?;
        let versions: BTreeSet<&str> = components.iter().map(|c| c.version.as_str()).collect();
        last = components.clone();
        ensure!(matches!(components.len(), 0 | 2), "half a deployment: {components:?}");
        ensure!(versions.len() <= 1, "between two versions: {components:?}");
        let up = components.iter().all(|component| component.state == "RUNNING");
        Ok(up.then(|| versions.first().map(|version| (*version).to_owned())))
    })
    .with_context(|| format!("{last:#?}; {}", hedgerow.complaints()))?;
    hedgerow.wait_for_no_orphans()?;
    for name in version.iter().flat_map(|_| [BACK, FRONT]) {
        // What runs is what is desired, with the configuration of that version.
        let greeting = if version.as_deref() == Some("1.0.0") { "one" } else { "two" };
        let expected = format!("runs {} says {greeting}", version.as_deref().unwrap_or_default());
        eventually(&format!("{name} {expected}"), PATIENCE, || {
            let log = hedgerow.log(name)?;
            let last = log.lines().rfind(|line| line.contains("runs "));
            Ok(last.filter(|line| line.ends_with(&expected)).map(drop))
        })?;
    }
    eventually("every job has ended", PATIENCE, || {
        Ok(hedgerow.jobs()?.values().all(|job| job.state.is_final()).then_some(()))
    })?;
    Ok(version)
}

/// Deploys with a daemon that ends at `point`, and returns what the next daemon made of it.
fn crash_at(point: &str, from: Option<&str>, to: &str) -> Result<Option<String>> {
    let draft = pair()?;
    let mut hedgerow = Hedgerow::prepare("")?;
    if let Some(from) = from {
        hedgerow.start_daemon()?;
        hedgerow.deploy(&draft.source(), &addition(from).each_ref().map(String::as_str))?;
        hedgerow.kill_daemon()?;
    }
    hedgerow.start_daemon_with(Start { crash_at: Some(point), ..Start::default() })?;
    let said =
        hedgerow.say_deploy(&draft.source(), &addition(to).each_ref().map(String::as_str))?;
    ensure!(said.code == Some(3), "the daemon went away, and the command says {said:?}");
    hedgerow.await_crash()?;
    hedgerow.start_daemon()?;
    let version = settled(&mut hedgerow).with_context(|| point.to_owned())?;
    hedgerow.finish()?;
    Ok(version)
}

#[test]
fn a_first_deployment_is_there_or_not() -> Result<()> {
    for (point, found) in [
        ("deploy:before", None),
        ("deploy:after", Some("1.0.0")),
        ("installed:before", Some("1.0.0")),
        ("installed:after", Some("1.0.0")),
        ("finish:before", Some("1.0.0")),
        ("finish:after", Some("1.0.0")),
    ] {
        assert_eq!(crash_at(point, None, "1.0.0")?.as_deref(), found, "{point}");
    }
    Ok(())
}

#[test]
fn an_upgrade_is_the_old_or_the_new() -> Result<()> {
    for (point, found) in [
        ("deploy:before", "1.0.0"),
        ("deploy:after", "2.0.0"),
        ("installed:before", "2.0.0"),
        ("installed:after", "2.0.0"),
        ("finish:before", "2.0.0"),
        ("finish:after", "2.0.0"),
    ] {
        assert_eq!(crash_at(point, Some("1.0.0"), "2.0.0")?.as_deref(), Some(found), "{point}");
    }
    Ok(())
}

#[test]
fn a_goal_is_the_old_or_the_new() -> Result<()> {
    for (point, words, found) in [
        ("goal:before", ["stop", BACK], "RUNNING"),
        ("goal:after", ["stop", BACK], "FINISHED"),
        ("goal:before", ["start", BACK], "FINISHED"),
        ("goal:after", ["start", BACK], "RUNNING"),
    ] {
        let draft = pair()?;
        let mut hedgerow = Hedgerow::start("")?;
        hedgerow.deploy(&draft.source(), &[&format!("{BACK}=1.0.0")])?;
        if words[0] == "start" {
            hedgerow.run(&["stop", BACK])?;
        }
        hedgerow.kill_daemon()?;
        hedgerow.start_daemon_with(Start { crash_at: Some(point), ..Start::default() })?;
        let said = hedgerow.say(&words)?;
        ensure!(said.code == Some(3), "the daemon went away, and the command says {said:?}");
        hedgerow.await_crash()?;
        hedgerow.start_daemon()?;
        hedgerow.wait_for(BACK, &format!("{found} after {point}"), |now| now.state == found)?;
        hedgerow.wait_for_no_orphans()?;
        hedgerow.finish()?;
    }
    Ok(())
}

#[test]
fn jobs_of_an_earlier_boot_are_shown_no_more_and_their_numbers_not_given_again() -> Result<()> {
    let mut hedgerow = Hedgerow::start("")?;
    hedgerow.deploy(&components(), &["test.ticker=1.0.0"])?;
    let first: BTreeSet<String> = hedgerow.jobs()?.into_keys().collect();
    assert_eq!(first.len(), 1);
    // The launcher stays, and with it what fences are made from.
    hedgerow.kill_daemon()?;
    hedgerow.start_daemon_with(Start { another_boot: true, ..Start::default() })?;
    assert_eq!(hedgerow.jobs()?.len(), 0);
    hedgerow.run(&["restart", "test.ticker"])?;
    let second: BTreeSet<String> = hedgerow.jobs()?.into_keys().collect();
    assert!(second.len() == 1 && second.is_disjoint(&first), "{first:?}, {second:?}");
    hedgerow.finish()
}

/// How often the daemon is killed in the course of deployments.
const KILLS: u32 = 24;

#[test]
fn a_kill_at_any_moment_between_leaves_the_old_or_the_new() -> Result<()> {
    let draft = pair()?;
    let mut hedgerow = Hedgerow::start("")?;
    let mut delay = duration_of_an_upgrade(&hedgerow, &draft)?;
    let mut found = "2.0.0".to_owned();
    for _ in 0..KILLS {
        let to = if found == "1.0.0" { "2.0.0" } else { "1.0.0" };
        let mut deployment = deploy_command(&hedgerow, &draft, to).spawn()?;
        // The moment of the kill is what this case is about; nothing is waited for.
        thread::sleep(delay);
        hedgerow.kill_daemon()?;
        let done = deployment.wait()?.success();
        hedgerow.start_daemon()?;
        let now = settled(&mut hedgerow)
            .with_context(|| format!("killed {delay:?} after the deployment of {to}"))?
            .context("nothing is desired any more")?;
        ensure!(!done || now == to, "{to} was acknowledged and {now} is there");
        // Sooner or later, so that the kills gather around the commit on any machine.
        delay = if now == to { delay.mul_f64(0.8) } else { delay.mul_f64(1.25) };
        found = now;
    }
    hedgerow.finish()
}

/// From 1.0.0 to 2.0.0, on this machine now.
fn duration_of_an_upgrade(hedgerow: &Hedgerow, draft: &Draft) -> Result<Duration> {
    for version in ["1.0.0", "2.0.0"] {
        let start = std::time::Instant::now();
        let status = deploy_command(hedgerow, draft, version).status()?;
        ensure!(status.success(), "{version} is not deployed");
        if version == "2.0.0" {
            return Ok(start.elapsed());
        }
    }
    bail!("no version was timed")
}

fn deploy_command(hedgerow: &Hedgerow, draft: &Draft, version: &str) -> std::process::Command {
    let mut command = hedgerow.command();
    command.arg("deploy").arg("--recipe-dir").arg(draft.recipes());
    for added in addition(version) {
        command.args(["--add", &added]);
    }
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[test]
fn what_was_acknowledged_survives_a_kill_right_after() -> Result<()> {
    let mut hedgerow = Hedgerow::start("")?;
    let kill_and_start = |hedgerow: &mut Hedgerow| {
        hedgerow.kill_daemon()?;
        hedgerow.start_daemon().map(drop)
    };
    hedgerow.deploy(&components(), &["test.ticker=1.0.0", "test.back=1.0.0"])?;
    kill_and_start(&mut hedgerow)?;
    for name in ["test.ticker", "test.back"] {
        hedgerow.wait_for(name, "RUNNING", |now| now.state == "RUNNING")?;
    }
    hedgerow.run(&["stop", "test.ticker"])?;
    kill_and_start(&mut hedgerow)?;
    hedgerow.wait_for("test.ticker", "FINISHED", |now| now.state == "FINISHED")?;
    hedgerow.run(&["start", "test.ticker"])?;
    kill_and_start(&mut hedgerow)?;
    hedgerow.wait_for("test.ticker", "RUNNING", |now| now.state == "RUNNING")?;
    hedgerow.run(&["deploy", "--remove", "test.ticker"])?;
    kill_and_start(&mut hedgerow)?;
    let names: Vec<String> = hedgerow.components()?.into_iter().map(|c| c.name).collect();
    assert_eq!(names, ["test.back"]);
    hedgerow.wait_for_no_orphans()?;
    hedgerow.finish()
}
