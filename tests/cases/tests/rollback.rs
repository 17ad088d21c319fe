//! Deployments that fail after they were committed: what was before is there again, or what is there is left.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use hedgerow_harness::{Draft, Hedgerow, PATIENCE, Start, eventually};

const GOOD: &str = "test.rollback-good";
const OTHER: &str = "test.rollback-other";
const NEW: &str = "test.rollback-new";

/// What fails is tried again soon: these cases are about what comes after the third time.
const SOON: &str = "[[restart]]\ncomponent = '*'\ninitial-backoff = 0.05\nmax-backoff = 0.05\n";

/// `good` 1.0.0 runs, 2.0.0 does not; both say their `greeting`, of which each version has its own default.
fn draft() -> Result<Draft> {
    let draft = Draft::new()?;
    let configuration = |greeting: &str| {
        format!("ComponentConfiguration:\n  DefaultConfiguration:\n    '{greeting}': '{greeting}'")
    };
    let run = |version: &str, greeting: &str| {
        format!("run: echo runs {version} says {{configuration:/{greeting}}}; exec sleep 1000")
    };
    draft.component(GOOD, "1.0.0", &configuration("one"), &run("1.0.0", "one"))?;
    draft.component(GOOD, "2.0.0", &configuration("two"), "install: echo will not; exit 3")?;
    draft.component(OTHER, "1.0.0", "", "run: exec sleep 1000")?;
    draft.component(NEW, "1.0.0", "", "run: exec sleep 1000")?;
    Ok(draft)
}

fn states(hedgerow: &Hedgerow) -> Result<BTreeMap<String, (String, String)>> {
    let components = hedgerow.components()?;
    Ok(components.into_iter().map(|c| (c.name, (c.version, c.state))).collect())
}

fn started() -> Result<(Draft, Hedgerow)> {
    let (draft, hedgerow) = (draft()?, Hedgerow::start(SOON)?);
    let add = [format!("{GOOD}=1.0.0"), format!("{OTHER}=1.0.0")];
    hedgerow.deploy(&draft.source(), &add.each_ref().map(String::as_str))?;
    Ok((draft, hedgerow))
}

/// The deployment to `good` 2.0.0 that cannot succeed; it adds `new` and removes `other` besides.
fn words<'a>(recipes: &'a str, policy: &'a str) -> Vec<&'a str> {
    vec![
        "deploy",
        "--recipe-dir",
        recipes,
        "--add",
        "test.rollback-good=2.0.0",
        "--add",
        "test.rollback-new=1.0.0",
        "--remove",
        OTHER,
        "--failure-handling-policy",
        policy,
    ]
}

#[test]
fn a_version_that_does_not_come_up_gives_way_to_the_one_before() -> Result<()> {
    let (draft, mut hedgerow) = started()?;
    let (before, other) = (states(&hedgerow)?, hedgerow.component(OTHER)?);
    let recipes = draft.recipes();
    let said = hedgerow.say(&words(&recipes.to_string_lossy(), "ROLLBACK"))?;
    ensure!(said.code == Some(1), "{said:?}");
    assert!(said.stderr.contains("will not"), "the last words of its log: {}", said.stderr);

    let last = hedgerow.last_deployment()?;
    assert_eq!((last.status.as_str(), last.stage.as_str()), ("FAILED", "DONE"));
    assert_eq!(last.detailed_status, "FAILED_ROLLBACK_COMPLETE");
    let stack = ["DEPLOYMENT_FAILURE", "COMPONENT_UPDATE_ERROR", "COMPONENT_BROKEN"];
    assert_eq!(last.error_stack, stack);
    assert_eq!(last.error_types, ["USER_COMPONENT_ERROR"]);
    assert!(last.failure_cause.contains(GOOD) && last.failure_cause.contains('3'), "{last:?}");

    // What came is gone, what was to go never stopped, and what was before runs with what it had.
    assert_eq!(states(&hedgerow)?, before);
    assert_eq!(hedgerow.component(OTHER)?.pid, other.pid);
    // RUNNING is said before its first line is.
    let log = eventually("its second line", PATIENCE, || {
        let log = hedgerow.log(GOOD)?;
        let runs = log.lines().filter(|line| line.ends_with("runs 1.0.0 says one")).count();
        Ok((runs >= 2).then_some((runs, log)))
    })?;
    assert_eq!(log.0, 2, "{}", log.1);
    let configuration = hedgerow.run(&["--json", "config", "show", GOOD])?;
    let configuration: serde_json::Value = serde_json::from_str(&configuration)?;
    assert_eq!(configuration, serde_json::json!({"one": "one"}));

    // The group asks for what it asked before: a deployment of something else does not bring the failure back.
    hedgerow.deploy(&draft.source(), &[&format!("{NEW}=1.0.0")])?;
    assert_eq!(hedgerow.component(GOOD)?.version, "1.0.0");
    hedgerow.wait_for_no_orphans()?;
    hedgerow.finish()
}

#[test]
fn an_edited_recipe_of_the_same_version_gives_way_to_the_one_before() -> Result<()> {
    let (draft, hedgerow) = started()?;
    draft.component(GOOD, "1.0.0", "", "install: echo edited; exit 3")?;
    let said = hedgerow.say_deploy(&draft.source(), &[&format!("{GOOD}=1.0.0")])?;
    ensure!(said.code == Some(1), "{said:?}");
    assert_eq!(hedgerow.last_deployment()?.detailed_status, "FAILED_ROLLBACK_COMPLETE");
    assert_eq!(hedgerow.component(GOOD)?.state, "RUNNING");
    ensure!(hedgerow.log(GOOD)?.contains("edited"), "{}", hedgerow.log(GOOD)?);
    eventually("what was before says its line", PATIENCE, || {
        Ok(hedgerow.log(GOOD)?.trim_end().ends_with("runs 1.0.0 says one").then_some(()))
    })?;
    hedgerow.finish()
}

#[test]
fn do_nothing_leaves_what_came_of_it() -> Result<()> {
    let (draft, hedgerow) = started()?;
    let recipes = draft.recipes();
    let said = hedgerow.say(&words(&recipes.to_string_lossy(), "DO_NOTHING"))?;
    ensure!(said.code == Some(1), "{said:?}");
    let last = hedgerow.last_deployment()?;
    assert_eq!(last.detailed_status, "FAILED_ROLLBACK_NOT_REQUESTED");
    let good = hedgerow.component(GOOD)?;
    assert_eq!(good.version, "2.0.0");
    hedgerow.wait_for(NEW, "RUNNING", |now| now.state == "RUNNING")?;
    hedgerow.finish()
}

#[test]
fn a_first_deployment_that_fails_leaves_nothing() -> Result<()> {
    let (draft, mut hedgerow) = (draft()?, Hedgerow::start(SOON)?);
    let said = hedgerow.say_deploy(&draft.source(), &[&format!("{GOOD}=2.0.0")])?;
    ensure!(said.code == Some(1), "{said:?}");
    assert_eq!(hedgerow.components()?.len(), 0);
    assert_eq!(hedgerow.last_deployment()?.detailed_status, "FAILED_ROLLBACK_COMPLETE");
    let packages = hedgerow.root().join("state/packages");
    let left: Vec<_> = std::fs::read_dir(packages)?.filter_map(|entry| entry.ok()).collect();
    let trees = left.iter().filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
    assert!(trees.count() <= 2, "what came with it is not kept: {left:?}");
    hedgerow.wait_for_no_orphans()?;
    hedgerow.finish()
}

#[test]
fn a_crash_in_a_rollback_or_a_removal_ends_in_the_same_state() -> Result<()> {
    for point in ["rollback:before", "rollback:after", "finish:before", "finish:after"] {
        let (draft, mut hedgerow) = started()?;
        hedgerow.kill_daemon()?;
        hedgerow.start_daemon_with(Start { crash_at: Some(point), ..Start::default() })?;
        let recipes = draft.recipes();
        let said = hedgerow.say(&words(&recipes.to_string_lossy(), "ROLLBACK"))?;
        ensure!(said.code == Some(3), "the daemon went away, and the command says {said:?}");
        hedgerow.await_crash()?;
        hedgerow.start_daemon()?;
        let ended = eventually("the deployment ends", PATIENCE, || {
            let last = hedgerow.last_deployment()?;
            Ok((last.stage == "DONE" && last.status == "FAILED").then_some(last))
        })
        .with_context(|| format!("{point}: {}", hedgerow.complaints()))?;
        assert_eq!(ended.detailed_status, "FAILED_ROLLBACK_COMPLETE", "{point}");
        hedgerow
            .wait_for(GOOD, "RUNNING", |now| now.state == "RUNNING" && now.version == "1.0.0")?;
        let names: Vec<_> = hedgerow.components()?.into_iter().map(|c| c.name).collect();
        assert_eq!(names, [GOOD, OTHER], "{point}");
        hedgerow.wait_for_no_orphans()?;
        hedgerow.finish()?;
    }
    for point in ["remove:before", "remove:after", "finish:before", "finish:after"] {
        let (_, mut hedgerow) = started()?;
        hedgerow.kill_daemon()?;
        hedgerow.start_daemon_with(Start { crash_at: Some(point), ..Start::default() })?;
        let said = hedgerow.say(&["deploy", "--remove", OTHER])?;
        ensure!(said.code == Some(3), "the daemon went away, and the command says {said:?}");
        hedgerow.await_crash()?;
        hedgerow.start_daemon()?;
        eventually("it is gone", PATIENCE, || {
            let names: Vec<_> = hedgerow.components()?.into_iter().map(|c| c.name).collect();
            Ok((names == [GOOD]).then_some(()))
        })
        .with_context(|| format!("{point}: {}", hedgerow.complaints()))?;
        eventually("the deployment ends", PATIENCE, || {
            Ok((hedgerow.last_deployment()?.status == "SUCCEEDED").then_some(()))
        })?;
        hedgerow.wait_for_no_orphans()?;
        hedgerow.finish()?;
    }
    Ok(())
}
