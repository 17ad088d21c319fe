//! Every operation of the model, through the unmodified SDKs: both clients of the Python one, and the JavaScript one.
//!
//! One component for each client carries out the same steps, at the same time; what they print is compared with what
//! is written here.

mod clients;
mod steps;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use hedgerow_harness::{Draft, Hedgerow, PATIENCE, eventually};
use hedgerow_ipc::model::Operation::{self, *};
use serde_json::{Value, json};

use clients::{CLIENTS, JAVASCRIPT, STREAM_MANAGER, draft};
use steps::{Expected, Step, steps};

#[test]
fn the_steps_are_all_of_the_model() {
    let known: BTreeSet<&str> = steps("a").iter().map(|step| step.operation.header()).collect();
    let all = Operation::ALL.iter();
    let missing: Vec<&Operation> = all.filter(|one| !known.contains(one.header())).collect();
    assert!(missing.is_empty(), "no step for {missing:?}");
}

#[test]
fn every_operation_through_every_client() -> Result<()> {
    let hedgerow = Hedgerow::start("")?;
    let draft = draft()?;
    let mut names = vec!["test.stranger=1.0.0", "test.allowing=1.0.0", "test.paused=1.0.0"];
    let clients: Vec<String> = CLIENTS.iter().map(|(name, _)| format!("{name}=1.0.0")).collect();
    names.extend(clients.iter().map(String::as_str));
    hedgerow.deploy(&draft.source(), &names)?;
    for (client, _) in CLIENTS {
        eventually(&format!("{client} is done"), PATIENCE, || {
            Ok(said(&hedgerow, client)?.contains_key("done").then_some(()))
        })
        .map_err(|error| error.context(hedgerow.log(client).unwrap_or_default()))?;
        compare(&hedgerow, client)?;
    }
    deployments_ask(&hedgerow, &draft)?;
    token_is_known(&hedgerow, &draft)?;
    hedgerow.finish()
}

/// Each client puts the first update of a deployment off, lets the second one pass, and judges its configuration.
fn deployments_ask(hedgerow: &Hedgerow, draft: &Draft) -> Result<()> {
    let deploy = |high: u32, version: &str| {
        let update = json!({"RESET": ["/limits"], "MERGE": {"limits": {"high": high}}});
        let updates: BTreeMap<&str, &Value> =
            CLIENTS.iter().map(|(name, _)| (*name, &update)).collect();
        let recipes = draft.recipes();
        hedgerow.say(&[
            "deploy",
            "--recipe-dir",
            &recipes.to_string_lossy(),
            "--add",
            &format!("test.allowing={version}"),
            "--update-config",
            &json!(updates).to_string(),
            "--component-update-policy",
            r#"{"timeout": 30, "action": "NOTIFY_COMPONENTS"}"#,
        ])
    };
    let taken = deploy(12, "1.0.1")?;
    ensure!(taken.code == Some(0), "{}", taken.stderr);
    let rejected = deploy(101, "1.0.2")?;
    ensure!(
        rejected.code != Some(0) && rejected.stderr.contains("that is too high"),
        "{rejected:?}"
    );
    ensure!(hedgerow.component("test.allowing")?.version == "1.0.1");
    let mut judged = 0;
    for (client, _) in CLIENTS {
        let told = |said: &BTreeMap<String, Vec<Value>>| said.get("updates event").cloned();
        let is_over = |events: &Vec<Value>| {
            let asked: Vec<&Value> =
                events.iter().filter_map(|e| id_of(e, "preUpdateEvent")).collect();
            let done = events.iter().filter_map(|e| id_of(e, "postUpdateEvent"));
            asked.len() == 4 && done.filter(|id| asked.contains(id)).count() == 2
        };
        eventually(&format!("{client} knows of both ends"), PATIENCE, || {
            Ok(told(&said(hedgerow, client)?).filter(is_over).map(|_| ()))
        })
        .map_err(|error| error.context(hedgerow.log(client).unwrap_or_default()))?;
        let said = said(hedgerow, client)?;
        ensure!(
            said["defer"] == [json!({}), json!({}), json!({}), json!({})],
            "{client}: {said:?}"
        );
        let heard = said["watch event"].len();
        ensure!(
            heard == 2,
            "{client}: {heard} events, of 11 and of 12 but not of what was rejected"
        );
        let questions: Vec<&Value> =
            said["validate event"]
                .iter()
                .map(|event| {
                    &event["validateConfigurationUpdateEvent"]["configuration"]["limits"]["high"]
                })
                .collect();
        ensure!(
            questions[0] == 12 && questions.len() == said["report"].len(),
            "{client}: {said:?}"
        );
        judged += questions.iter().filter(|high| **high == 101).count();
    }
    ensure!(judged > 0, "nobody was asked of 101");
    Ok(())
}

fn id_of<'a>(event: &'a Value, kind: &str) -> Option<&'a Value> {
    event.get(kind)?.get("deploymentId")
}

/// The stream manager's own token is a valid one.
fn token_is_known(hedgerow: &Hedgerow, draft: &Draft) -> Result<()> {
    hedgerow.deploy(&draft.source(), &[&format!("{STREAM_MANAGER}=9.9.9")])?;
    eventually("the stream manager is done", PATIENCE, || {
        Ok(said(hedgerow, STREAM_MANAGER)?.contains_key("done").then_some(()))
    })?;
    let said = said(hedgerow, STREAM_MANAGER)?;
    ensure!(said["valid"] == [json!({"isValid": true})], "{said:?}");
    ensure!(said["invalid"][0]["error"] == "InvalidTokenError", "{said:?}");
    Ok(())
}

/// Everything that `client` was answered, with what is expected here.
fn compare(hedgerow: &Hedgerow, client: &str) -> Result<()> {
    let said = said(hedgerow, client)?;
    // It does not have this operation.
    let has =
        |step: &Step| client != JAVASCRIPT || step.operation != SubscribeToIoTCoreConnectionStatus;
    let mut wrong = Vec::new();
    for Step { what, operation, expected, .. } in steps(client).into_iter().filter(has) {
        let answer = said.get(what).and_then(|all| all.first()).unwrap_or(&Value::Null);
        let is_right = match &expected {
            Expected::Answer(wanted) => has_all(answer, wanted),
            Expected::Error(name, part) => {
                let message = answer["message"].as_str().unwrap_or_default();
                let kinds = operation.errors().iter().map(|kind| kind.model_type());
                let is_modelled = kinds.into_iter().any(|kind| kind.ends_with(name));
                if client == JAVASCRIPT && !is_modelled {
                    // All that this SDK shows of an error that Greengrass sends and the model does not list.
                    message.contains(name)
                } else {
                    // This SDK does not say which of the listed ones it was.
                    let is_named = client == JAVASCRIPT || answer["error"] == *name;
                    is_named && answer.get("failure").is_none() && message.contains(part)
                }
            }
        };
        if !is_right {
            wrong.push(format!("{what}: {answer} where {expected:?} was expected"));
        }
    }
    ensure!(wrong.is_empty(), "{client}:\n{}", wrong.join("\n"));
    let event = &said["watch event"][0]["configurationUpdateEvent"];
    ensure!(
        *event == json!({"componentName": client, "keyPath": ["limits", "high"]}),
        "{client}: {event}"
    );
    let bytes = said.get("topic event").map(Vec::len);
    ensure!(bytes == Some(1), "{client}: {bytes:?} messages on the topic");
    Ok(())
}

/// Whether `answer` has everything that `wanted` has.
fn has_all(answer: &Value, wanted: &Value) -> bool {
    match (answer, wanted) {
        (Value::Object(answer), Value::Object(wanted)) => wanted
            .iter()
            .all(|(key, wanted)| has_all(answer.get(key).unwrap_or(&Value::Null), wanted)),
        _ => answer == wanted,
    }
}

/// Everything that the component printed, by its words.
fn said(hedgerow: &Hedgerow, component: &str) -> Result<BTreeMap<String, Vec<Value>>> {
    let log = hedgerow.log(component)?;
    let mut said = BTreeMap::<String, Vec<Value>>::new();
    for line in log.lines() {
        let Some((_, text)) = line.split_once("] run: ") else { continue };
        let Ok(Value::Object(words)) = serde_json::from_str(text) else { continue };
        for (what, answer) in words {
            said.entry(what).or_default().push(answer);
        }
    }
    Ok(said)
}
