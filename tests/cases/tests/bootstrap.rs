//! `bootstrap`: when it runs, in which order, and what its exit code asks for.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result, ensure};
use hedgerow_harness::{Draft, Hedgerow, PATIENCE, Start, eventually};

const BASE: &str = "test.boot-base";
const TOP: &str = "test.boot-top";

fn version(draft: &Draft, name: &str, version: &str, more: &str, bootstrap: &str) -> Result<()> {
    let lifecycle = format!(
        "bootstrap: {bootstrap}\ninstall: echo installs {version}\nrun: echo runs {version}; exec sleep 1000"
    );
    draft.component(name, version, more, &lifecycle).map(drop)
}

fn lines(hedgerow: &Hedgerow, name: &str, part: &str) -> Result<usize> {
    Ok(hedgerow.log(name)?.lines().filter(|line| line.contains(part)).count())
}

#[test]
fn it_runs_once_for_a_version_and_before_anything_is_switched() -> Result<()> {
    let (draft, hedgerow) = (Draft::new()?, Hedgerow::start("")?);
    // 100 is success as well: what Greengrass restarts for it needs no restart here.
    version(&draft, BASE, "1.0.0", "", "echo boots 1; exit 100")?;
    version(&draft, BASE, "2.0.0", "", "echo boots 2")?;
    let needs = format!("ComponentDependencies:\n  {BASE}:\n    VersionRequirement: '*'");
    version(&draft, TOP, "1.0.0", &needs, "echo boots 1")?;
    hedgerow.deploy(&draft.source(), &[&format!("{TOP}=1.0.0"), &format!("{BASE}=1.0.0")])?;
    for name in [BASE, TOP] {
        let log = hedgerow.log(name)?;
        let at = |part: &str| log.find(part).with_context(|| format!("{part}: {log}"));
        assert!(at("boots 1")? < at("installs")? && at("installs")? < at("runs")?, "{log}");
    }
    let top = hedgerow.component(TOP)?.pid;
    hedgerow.deploy(&draft.source(), &[&format!("{TOP}=1.0.0")])?;
    assert_eq!(lines(&hedgerow, BASE, "boots")?, 1);

    hedgerow.deploy(&draft.source(), &[&format!("{BASE}=2.0.0")])?;
    assert_eq!(lines(&hedgerow, BASE, "boots 2")?, 1);
    assert_eq!(lines(&hedgerow, TOP, "boots")?, 1);
    hedgerow.wait_for(TOP, "RUNNING", |now| now.state == "RUNNING" && now.pid != top)?;

    // Another text of the same version.
    version(&draft, BASE, "2.0.0", "", "echo boots anew")?;
    hedgerow.deploy(&draft.source(), &[&format!("{BASE}=2.0.0")])?;
    assert_eq!(lines(&hedgerow, BASE, "boots anew")?, 1);
    hedgerow.finish()
}

#[test]
fn one_that_fails_takes_the_deployment_back() -> Result<()> {
    let (draft, mut hedgerow) = (Draft::new()?, Hedgerow::start("")?);
    let old = "\n  bootstrapOnRollback: true\n  script: echo boots 1";
    version(&draft, BASE, "1.0.0", "", old)?;
    version(&draft, BASE, "2.0.0", "", "echo no; exit 7")?;
    version(&draft, TOP, "1.0.0", "", "\n  timeout: 1\n  script: exec sleep 1000")?;
    hedgerow.deploy(&draft.source(), &[&format!("{BASE}=1.0.0")])?;
    let said = hedgerow.say_deploy(&draft.source(), &[&format!("{BASE}=2.0.0")])?;
    ensure!(said.code == Some(1), "{said:?}");
    let last = hedgerow.last_deployment()?;
    assert_eq!(last.detailed_status, "FAILED_ROLLBACK_COMPLETE");
    let stack = ["DEPLOYMENT_FAILURE", "COMPONENT_UPDATE_ERROR", "COMPONENT_BOOTSTRAP_ERROR"];
    assert_eq!(last.error_stack, stack);
    assert!(last.failure_cause.contains("exit code 7"), "{}", last.failure_cause);
    assert_eq!(hedgerow.component(BASE)?.version, "1.0.0");
    assert_eq!(hedgerow.component(BASE)?.state, "RUNNING");
    assert_eq!(lines(&hedgerow, BASE, "boots 1")?, 2, "again on the way back, as its recipe wants");

    let said = hedgerow.say_deploy(&draft.source(), &[&format!("{TOP}=1.0.0")])?;
    ensure!(said.code == Some(1), "{said:?}");
    let last = hedgerow.last_deployment()?;
    assert_eq!(last.error_stack.last().map(String::as_str), Some("COMPONENT_BOOTSTRAP_TIMEOUT"));
    hedgerow.wait_for_no_orphans()?;
    hedgerow.finish()
}

#[test]
fn where_nothing_is_to_be_done_about_it_what_waited_goes_on() -> Result<()> {
    let (draft, hedgerow) = (Draft::new()?, Hedgerow::start("")?);
    version(&draft, BASE, "1.0.0", "", "exit 7")?;
    let (recipes, add) = (draft.recipes(), format!("{BASE}=1.0.0"));
    let recipes = recipes.to_string_lossy();
    let words = ["deploy", "--recipe-dir", &recipes, "--add", &add];
    let said =
        hedgerow.say(&[&words[..], &["--failure-handling-policy", "DO_NOTHING"]].concat())?;
    ensure!(said.code == Some(1), "{said:?}");
    hedgerow.wait_for(BASE, "RUNNING", |now| now.state == "RUNNING")?;
    hedgerow.finish()
}

#[test]
fn a_reboot_that_does_not_come_is_canceled_and_not_asked_for_again() -> Result<()> {
    let directory = tempfile::tempdir()?;
    fs::set_permissions(directory.path(), Permissions::from_mode(0o777))?;
    let asked = directory.path().join("asked");
    let settings = format!(
        "[deployment]\nreboot-command = ['/bin/sh', '-c', 'echo reboot >> {}; exec sleep 1000']\n",
        asked.display()
    );
    let (draft, mut hedgerow) = (Draft::new()?, Hedgerow::start(&settings)?);
    let old = "\n  bootstrapOnRollback: true\n  script: echo boots 1";
    version(&draft, BASE, "1.0.0", "", old)?;
    version(&draft, BASE, "2.0.0", "", "echo boots 2; exit 101")?;
    hedgerow.deploy(&draft.source(), &[&format!("{BASE}=1.0.0")])?;
    let (recipes, add) = (draft.recipes(), format!("{BASE}=2.0.0"));
    let recipes = recipes.to_string_lossy();
    hedgerow.run(&["deploy", "--no-wait", "--recipe-dir", &recipes, "--add", &add])?;
    let count = || fs::read_to_string(&asked).map_or(0, |text| text.lines().count());
    eventually("a reboot is asked for", PATIENCE, || Ok((count() == 1).then_some(())))?;
    hedgerow.run(&["deployment", "cancel", &hedgerow.last_deployment()?.id])?;
    eventually("it is taken back", PATIENCE, || {
        Ok((hedgerow.last_deployment()?.status == "CANCELED").then_some(()))
    })?;
    assert_eq!(hedgerow.component(BASE)?.version, "1.0.0");
    assert_eq!(count(), 1);
    hedgerow.wait_for_no_orphans()?;
    hedgerow.finish()
}

#[test]
fn after_a_reboot_that_it_asked_for_the_deployment_goes_on() -> Result<()> {
    let directory = tempfile::tempdir()?;
    fs::set_permissions(directory.path(), Permissions::from_mode(0o777))?;
    let asked = directory.path().join("asked");
    let settings = format!(
        "[deployment]\nreboot-command = ['/bin/sh', '-c', 'echo reboot >> {}']\n",
        asked.display()
    );
    let (draft, mut hedgerow) = (Draft::new()?, Hedgerow::start(&settings)?);
    version(&draft, BASE, "1.0.0", "", "echo boots 1; exit 101")?;
    let add = format!("{BASE}=1.0.0");
    let recipes = draft.recipes();
    hedgerow.run(&[
        "deploy",
        "--no-wait",
        "--recipe-dir",
        &recipes.to_string_lossy(),
        "--add",
        &add,
    ])?;
    let count = || fs::read_to_string(&asked).map_or(0, |text| text.lines().count());
    eventually("a reboot is asked for", PATIENCE, || Ok((count() == 1).then_some(())))?;
    assert_eq!(hedgerow.last_deployment()?.stage, "BOOTSTRAP");
    hedgerow.kill_daemon()?;

    // A new daemon is no new boot.
    hedgerow.start_daemon()?;
    eventually("it is asked for again", PATIENCE, || Ok((count() == 2).then_some(())))?;
    hedgerow.kill_daemon()?;
    hedgerow.start_daemon_with(Start { another_boot: true, ..Start::default() })?;
    eventually("the deployment succeeds", PATIENCE, || {
        Ok((hedgerow.last_deployment()?.status == "SUCCEEDED").then_some(()))
    })?;
    assert_eq!(hedgerow.component(BASE)?.state, "RUNNING");
    assert_eq!((lines(&hedgerow, BASE, "boots")?, count()), (1, 2));
    hedgerow.wait_for_no_orphans()?;
    hedgerow.finish()
}

#[test]
fn a_crash_between_two_bootstraps_goes_on_with_the_second() -> Result<()> {
    for point in ["deploy:after", "bootstrap:before", "bootstrap:after"] {
        let (draft, mut hedgerow) = (Draft::new()?, Hedgerow::prepare("")?);
        version(&draft, BASE, "1.0.0", "", "echo boots")?;
        hedgerow.start_daemon_with(Start { crash_at: Some(point), ..Start::default() })?;
        let said = hedgerow.say_deploy(&draft.source(), &[&format!("{BASE}=1.0.0")])?;
        ensure!(said.code == Some(3), "the daemon went away, and the command says {said:?}");
        hedgerow.await_crash()?;
        hedgerow.start_daemon()?;
        hedgerow.wait_for(BASE, "RUNNING", |now| now.state == "RUNNING")?;
        // One that was not recorded is run again; one that was is not.
        let times = if point == "bootstrap:before" { 2 } else { 1 };
        assert_eq!(lines(&hedgerow, BASE, "boots")?, times, "{point}");
        hedgerow.wait_for_no_orphans()?;
        hedgerow.finish()?;
    }
    Ok(())
}
