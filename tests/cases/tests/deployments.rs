//! Deployments as their authors expect them: groups, configuration, cancellation, plans, history.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use hedgerow_harness::{Draft, Hedgerow, PATIENCE, eventually};
use serde_json::{Value, json};

const SPEAKER: &str = "test.deploy-speaker";
const NEIGHBOUR: &str = "test.deploy-neighbour";
const STUCK: &str = "test.deploy-stuck";

fn draft() -> Result<Draft> {
    let draft = Draft::new()?;
    let configuration = "ComponentConfiguration:\n  DefaultConfiguration:\n    said: hello\n    unsaid: {a: 1, b: [1, 2]}";
    for version in ["1.0.0", "1.1.0", "2.0.0"] {
        let run = "run: echo says {configuration:/said}; exec sleep 1000";
        draft.component(SPEAKER, version, configuration, run)?;
    }
    draft.component(NEIGHBOUR, "1.0.0", "", "run: exec sleep 1000")?;
    draft.component(STUCK, "1.0.0", "", "startup: echo hangs; sleep 1000")?;
    Ok(draft)
}

fn deploy(hedgerow: &Hedgerow, draft: &Draft, more: &[&str]) -> Result<()> {
    let recipes = draft.recipes();
    let recipes = recipes.to_string_lossy();
    hedgerow.run(&[&["deploy", "--recipe-dir", &recipes], more].concat()).map(drop)
}

fn plan(hedgerow: &Hedgerow, draft: &Draft, more: &[&str]) -> Result<Value> {
    let recipes = draft.recipes();
    let recipes = recipes.to_string_lossy();
    let text = hedgerow.run(&[&["--json", "plan", "--recipe-dir", &recipes], more].concat())?;
    Ok(serde_json::from_str(&text)?)
}

fn names(hedgerow: &Hedgerow) -> Result<Vec<String>> {
    Ok(hedgerow.components()?.into_iter().map(|component| component.name).collect())
}

#[test]
fn a_component_stays_while_one_group_asks_for_it() -> Result<()> {
    let (draft, hedgerow) = (draft()?, Hedgerow::start("")?);
    let (one, two) = (format!("{SPEAKER}=^1.0.0"), format!("{SPEAKER}=2.0.0"));
    deploy(&hedgerow, &draft, &["--add", &one, "--group", "line"])?;
    assert_eq!(hedgerow.component(SPEAKER)?.version, "1.1.0");
    assert_eq!(hedgerow.last_deployment()?.group, "thinggroup/line");
    deploy(&hedgerow, &draft, &["--add", &format!("{SPEAKER}=*")])?;

    // Both groups' ranges hold, and a conflict names who made them.
    let recipes = draft.recipes();
    let recipes = recipes.to_string_lossy();
    let said = hedgerow.say(&["deploy", "--recipe-dir", &recipes, "--add", &two])?;
    ensure!(said.code == Some(1), "{said:?}");
    for word in ["LOCAL_DEPLOYMENTS", "thinggroup/line", "^1.0.0", "2.0.0"] {
        assert!(said.stderr.contains(word), "{word}: {}", said.stderr);
    }
    let last = hedgerow.last_deployment()?;
    assert_eq!(last.detailed_status, "FAILED_NO_STATE_CHANGE");
    assert_eq!(last.error_types, ["REQUEST_ERROR"]);
    assert!(last.error_stack.contains(&"COMPONENT_VERSION_REQUIREMENTS_NOT_MET".to_owned()));

    deploy(&hedgerow, &draft, &["--remove", SPEAKER])?;
    assert_eq!(names(&hedgerow)?, [SPEAKER]);
    deploy(&hedgerow, &draft, &["--remove", SPEAKER, "--group", "line"])?;
    assert_eq!(names(&hedgerow)?, [""; 0]);
    hedgerow.finish()
}

/// A complete document of thing group `line`.
fn document(created: i64, components: &Value) -> String {
    json!({
        "configurationArn": "arn:aws:greengrass:eu-west-1:1:configuration:thinggroup/line:1",
        "creationTimestamp": created,
        "components": components,
    })
    .to_string()
}

#[test]
fn a_complete_document_says_all_and_an_older_one_nothing() -> Result<()> {
    let (draft, hedgerow) = (draft()?, Hedgerow::start("")?);
    let both = json!({SPEAKER: {"version": "1.0.0", "configurationUpdate": {"merge": {"said": "a"}}},
        NEIGHBOUR: {"version": "1.0.0"}});
    deploy(&hedgerow, &draft, &["--document", &document(2000, &both)])?;
    assert_eq!(names(&hedgerow)?, [NEIGHBOUR, SPEAKER]);

    let recipes = draft.recipes();
    let recipes = recipes.to_string_lossy();
    let old = document(1000, &json!({NEIGHBOUR: {"version": "1.0.0"}}));
    let said = hedgerow.say(&["deploy", "--recipe-dir", &recipes, "--document", &old])?;
    ensure!(said.code != Some(0), "{said:?}");
    let last = hedgerow
        .deployments()?
        .into_iter()
        .find(|deployment| deployment.status == "REJECTED")
        .context("no deployment was rejected")?;
    assert_eq!(last.detailed_status, "REJECTED");
    assert_eq!(last.error_stack, ["DEPLOYMENT_REJECTED", "REJECTED_STALE_DEPLOYMENT"]);
    assert_eq!(names(&hedgerow)?, [NEIGHBOUR, SPEAKER]);

    let demanding = json!({"requiredCapabilities": ["TELEPORT"]}).to_string();
    let said = hedgerow.say(&["deploy", "--recipe-dir", &recipes, "--document", &demanding])?;
    assert!(said.stderr.contains("TELEPORT"), "{said:?}");

    // Values of the document are older than what came after; the whole of the newer one counts.
    let newer = document(3000, &json!({SPEAKER: {"version": "1.0.0"}}));
    deploy(&hedgerow, &draft, &["--document", &newer])?;
    assert_eq!(names(&hedgerow)?, [SPEAKER]);
    hedgerow.finish()
}

#[test]
fn only_what_a_step_says_restarts_it() -> Result<()> {
    let (draft, hedgerow) = (draft()?, Hedgerow::start("")?);
    deploy(&hedgerow, &draft, &["--add", &format!("{SPEAKER}=1.0.0")])?;
    let first = hedgerow.component(SPEAKER)?;
    let update = |update: &Value| -> Result<Value> {
        let update = json!({SPEAKER: update}).to_string();
        let planned = plan(&hedgerow, &draft, &["--update-config", &update])?;
        deploy(&hedgerow, &draft, &["--update-config", &update])?;
        Ok(planned)
    };

    let planned = update(&json!({"MERGE": {"unsaid": {"a": 2}}}))?;
    assert_eq!(planned["unchanged"], json!([SPEAKER]));
    let difference = json!([{"pointer": "/unsaid/a", "before": 1, "after": 2}]);
    assert_eq!(planned["configuration"][SPEAKER], difference);
    assert_eq!(hedgerow.component(SPEAKER)?.pid, first.pid);

    let planned = update(&json!({"MERGE": {"said": "more"}}))?;
    let reasons = planned["restarted"][SPEAKER].to_string();
    assert!(reasons.contains("run"), "{planned}");
    let second = hedgerow.component(SPEAKER)?;
    assert_ne!(second.pid, first.pid);
    assert!(hedgerow.log(SPEAKER)?.contains("says more"));

    // An equal value is no change, whenever it comes.
    let planned = update(&json!({"MERGE": {"said": "more"}}))?;
    assert_eq!(planned["configuration"], json!({}));
    assert_eq!(hedgerow.component(SPEAKER)?.pid, second.pid);

    update(&json!({"RESET": ["/said"]}))?;
    let value = hedgerow.run(&["config", "show", SPEAKER, "/said"])?;
    assert_eq!(value.trim(), "hello");
    hedgerow.finish()
}

#[test]
fn what_changes_nothing_writes_nothing() -> Result<()> {
    let (draft, hedgerow) = (draft()?, Hedgerow::start("")?);
    let add = [format!("{SPEAKER}=1.0.0"), format!("{NEIGHBOUR}=1.0.0")];
    let again = || hedgerow.deploy(&draft.source(), &add.each_ref().map(String::as_str));
    again()?;
    let state = |what: &str| -> Result<(Vec<u8>, i64)> {
        let path = hedgerow.root().join("state").join(what);
        let changed = fs::metadata(&path)?.mtime_nsec();
        Ok((if path.is_file() { fs::read(&path)? } else { vec![] }, changed))
    };
    let before = (state("state.redb")?, state("packages")?, hedgerow.components()?);
    again()?;
    plan(&hedgerow, &draft, &["--add", &format!("{SPEAKER}=2.0.0"), "--remove", NEIGHBOUR])?;
    let after = (state("state.redb")?, state("packages")?, hedgerow.components()?);
    assert!(before.0 == after.0, "the store has changed");
    assert_eq!(before.1, after.1);
    let pids = |components: &[hedgerow_harness::Component]| -> Vec<i32> {
        components.iter().map(|component| component.pid).collect()
    };
    assert_eq!(pids(&before.2), pids(&after.2));
    assert_eq!(hedgerow.last_deployment()?.detailed_status, "SUCCESSFUL");
    hedgerow.finish()
}

#[test]
fn a_plan_says_what_the_deployment_does() -> Result<()> {
    let (draft, hedgerow) = (draft()?, Hedgerow::start("")?);
    let speaker = format!("{SPEAKER}=1.0.0");
    let planned = plan(&hedgerow, &draft, &["--add", &speaker])?;
    assert_eq!(planned["added"], json!({SPEAKER: "1.0.0"}));
    assert_eq!(names(&hedgerow)?, [""; 0]);
    deploy(&hedgerow, &draft, &["--add", &speaker])?;
    let change = ["--add", &format!("{SPEAKER}=2.0.0"), "--add", &format!("{NEIGHBOUR}=1.0.0")];
    let planned = plan(&hedgerow, &draft, &change)?;
    assert_eq!(planned["updated"], json!({SPEAKER: {"from": "1.0.0", "to": "2.0.0"}}));
    assert_eq!(planned["added"], json!({NEIGHBOUR: "1.0.0"}));
    deploy(&hedgerow, &draft, &change)?;
    let planned = plan(&hedgerow, &draft, &["--remove", SPEAKER])?;
    assert_eq!(planned["removed"], json!({SPEAKER: "2.0.0"}));
    assert_eq!(planned["unchanged"], json!([NEIGHBOUR]));
    // An edited recipe restarts only what runs by it.
    for (run, restarted) in
        [("exec sleep 1000", json!([])), ("exec sleep 2000", json!([NEIGHBOUR]))]
    {
        draft.component(
            NEIGHBOUR,
            "1.0.0",
            "ComponentDescription: edited",
            &format!("run: {run}"),
        )?;
        let planned = plan(&hedgerow, &draft, &["--add", &format!("{NEIGHBOUR}=1.0.0")])?;
        let names: Vec<&String> =
            planned["restarted"].as_object().context("no object")?.keys().collect();
        assert_eq!(json!(names), restarted, "{planned}");
    }
    let said = hedgerow.say(&["plan", "--remove", "test.not-there"])?;
    assert!(said.code != Some(0) && said.stderr.contains("test.not-there"), "{said:?}");
    hedgerow.finish()
}

#[test]
fn a_deployment_that_hangs_is_canceled_and_the_next_one_runs() -> Result<()> {
    let (draft, mut hedgerow) = (draft()?, Hedgerow::start("")?);
    deploy(&hedgerow, &draft, &["--add", &format!("{SPEAKER}=1.0.0")])?;
    let recipes = draft.recipes();
    let begin = |component: &str| -> Result<String> {
        let add = format!("{component}=1.0.0");
        let recipes = recipes.to_string_lossy();
        let words = ["--json", "deploy", "--no-wait", "--recipe-dir", &recipes, "--add", &add];
        let said: Value = serde_json::from_str(&hedgerow.run(&words)?)?;
        Ok(said["deployment"].as_str().context("no id")?.to_owned())
    };
    let status = |id: &str| -> Result<hedgerow_harness::Deployment> {
        let text = hedgerow.run(&["--json", "deployment", "status", id])?;
        Ok(serde_json::from_str(&text)?)
    };
    let stuck = begin(STUCK)?;
    let waiting = begin(NEIGHBOUR)?;
    hedgerow.wait_for(STUCK, "STARTING", |now| now.state == "STARTING")?;
    assert_eq!(status(&waiting)?.status, "QUEUED");

    // One that waits never happened; one that is carried out is taken back.
    hedgerow.run(&["deployment", "cancel", &waiting])?;
    assert_eq!(status(&waiting)?.status, "CANCELED");
    hedgerow.run(&["deployment", "cancel", &stuck])?;
    eventually("it is canceled", PATIENCE, || {
        Ok((status(&stuck)?.status == "CANCELED").then_some(()))
    })?;
    assert_eq!(status(&stuck)?.detailed_status, "FAILED_ROLLBACK_COMPLETE");
    assert_eq!(names(&hedgerow)?, [SPEAKER]);
    deploy(&hedgerow, &draft, &["--add", &format!("{NEIGHBOUR}=1.0.0")])?;
    assert_eq!(names(&hedgerow)?, [NEIGHBOUR, SPEAKER]);

    // What is known of them is known to the next daemon as well.
    let before = hedgerow.deployments()?;
    hedgerow.kill_daemon()?;
    hedgerow.start_daemon()?;
    let mut after = hedgerow.deployments()?;
    after.retain(|deployment| deployment.id != waiting);
    let before: Vec<_> = before.into_iter().filter(|one| one.id != waiting).collect();
    assert_eq!(after, before);
    hedgerow.wait_for_no_orphans()?;
    hedgerow.finish()
}

#[test]
fn a_stage_has_a_deadline() -> Result<()> {
    let (draft, hedgerow) = (draft()?, Hedgerow::start("[deployment]\napply-timeout = 1\n")?);
    let said = hedgerow.say_deploy(&draft.source(), &[&format!("{STUCK}=1.0.0")])?;
    ensure!(said.code == Some(1), "{said:?}");
    let last = hedgerow.last_deployment()?;
    assert_eq!(last.detailed_status, "FAILED_ROLLBACK_COMPLETE");
    assert!(last.failure_cause.contains("apply-timeout"), "{}", last.failure_cause);
    assert_eq!(names(&hedgerow)?, [""; 0]);
    hedgerow.finish()
}

#[test]
fn limits_of_a_deployment_stay_until_the_next_word_on_them() -> Result<()> {
    let (draft, hedgerow) = (draft()?, Hedgerow::start("")?);
    let limits = json!({SPEAKER: {"systemResourceLimits": {"memory": 65536, "cpus": 0.5}}});
    let limits = limits.to_string();
    let add = format!("{SPEAKER}=1.0.0");
    deploy(&hedgerow, &draft, &["--add", &add, "--run-with", &limits])?;
    deploy(&hedgerow, &draft, &["--add", &format!("{NEIGHBOUR}=1.0.0")])?;
    let wrong = json!({SPEAKER: {"systemResourceLimits": {"cpus": -1.0}}}).to_string();
    let mut command = hedgerow.command();
    let command = command.args(["deploy", "--run-with", &wrong]).stdout(Stdio::null());
    ensure!(!command.stderr(Stdio::null()).status()?.success(), "a negative limit was taken");
    assert_eq!(
        hedgerow.last_deployment()?.error_stack.last().map(String::as_str),
        Some("RUN_WITH_CONFIG_NOT_VALID")
    );
    hedgerow.finish()
}
