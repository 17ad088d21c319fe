//! Functions written for Greengrass v1, on the unmodified SDKs of PyPI and npm: what they publish and invoke, and what
//! the SDKs make of refusals.

mod draft;

use std::fs;

use anyhow::{Context, Result, ensure};
use hedgerow_harness::{Hedgerow, PATIENCE, eventually};
use serde_json::{Value, json};

use draft::{Caller, draft};

/// What a function has to say of its SDK.
fn asked(hedgerow: &Hedgerow, caller: &Caller) -> Result<Value> {
    let event = json!({ "as": caller.short }).to_string();
    let said = hedgerow.say(&["invoke", caller.name, "--payload", &event])?;
    ensure!(said.code == Some(0), "{said:?}\n{}", hedgerow.log(caller.name)?);
    serde_json::from_str(&said.stdout).with_context(|| said.stdout.clone())
}

/// The answers that every SDK gives alike, and how refusals begin and what they say.
fn check(caller: &Caller, answers: &Value) -> Result<()> {
    let error = r#"{"errorMessage": "as you wish", "errorType": "ValueError""#;
    let answered = [
        ("publish", json!("published")),
        ("publish locally", json!("published")),
        ("publish to some", json!("published")),
        ("invoke", json!(["", "[1]"])),
        ("invoke by name", json!(["", "\"\\u00fc\""])),
        ("invoke later", json!(["", ""])),
    ];
    for (what, answer) in answered {
        ensure!(answers[what] == answer, "{what}: {answers:#}");
    }
    let failed = &answers["invoke what fails"];
    ensure!(failed[0] == "Unhandled", "{failed}");
    ensure!(failed[1].as_str().is_some_and(|body| body.starts_with(error)), "{failed}");
    let Caller { name, arn, has_policy, .. } = caller;
    let no_cloud = "did not reach cloud: there is no cloud link yet";
    let some = &answers["publish to all or none"];
    let is_refused = some.as_str().is_some_and(|said| said.contains(no_cloud));
    ensure!(is_refused == *has_policy, "{answers:#}");
    let refused = [
        ("publish to the cloud", no_cloud.to_owned()),
        (
            "publish to nobody",
            format!("No subscription exists for the source {arn} and subject v1/"),
        ),
        ("publish to nobody", format!("(source: component:{name})")),
        ("publish to a component", "aws.greengrass#PublishToTopic on \"v1/".to_owned()),
        (
            "invoke without a right",
            "hedgerow#InvokeFunction on \"com.example.Secluded\"".to_owned(),
        ),
        ("invoke nobody", "hedgerow#InvokeFunction on \"com.example.Nobody\"".to_owned()),
        ("invoke another version", "version 3 is deployed".to_owned()),
    ];
    for (what, why) in refused {
        let said = answers[what].as_str().unwrap_or_default();
        ensure!(said.starts_with(caller.exception) && said.contains(&why), "{what}: {answers:#}");
    }
    Ok(())
}

#[test]
fn functions_of_greengrass_v1_publish_and_invoke() -> Result<()> {
    let mut hedgerow = Hedgerow::start("")?;
    draft::deploy(&hedgerow, &draft()?)?;
    eventually("the listener has subscribed", PATIENCE, || {
        let log = hedgerow.log(draft::LISTENER).unwrap_or_default();
        Ok(log.contains("listening").then_some(()))
    })?;
    for caller in &draft::CALLERS {
        let answers = asked(&hedgerow, caller)?;
        check(caller, &answers).with_context(|| caller.name)?;
        let (shadow, secret) = match caller.short {
            "node" => (
                json!({ "code": 501, "message": "there is no shadow service on this device yet" }),
                r#"Error: "{\"Status\":501,\"Message\":\"there is no secret manager on this device yet\"}""#,
            ),
            _ => (
                json!(
                    "ShadowError: Request for shadow state returned error code 501 with message \
                       \"there is no shadow service on this device yet\""
                ),
                "SecretsManagerError: Request for secret value returned error code 501 with message \
                 there is no secret manager on this device yet",
            ),
        };
        ensure!(answers["shadow"] == shadow, "{answers:#}");
        ensure!(answers["shadow update"] == shadow, "{answers:#}");
        ensure!(answers["secret"] == secret, "{answers:#}");
        if let Some(sdk) = caller.sdk {
            ensure!(answers["sdk"] == sdk, "{answers:#}");
        }
        let topic = format!("v1/{}", caller.short);
        eventually("what was published is there", PATIENCE, || {
            let heard = hedgerow.log(draft::LISTENER)?;
            let is_heard = format!("heard {topic}/local");
            let got = hedgerow.log(draft::CALLEE)?;
            let event = format!("got {{'on': '{topic}/to/callee'}} on {topic}/to/callee");
            let later = format!("got {{'later': '{}'}} on by hand", caller.short);
            let some = format!("got {{'on': '{topic}/mixed'}} on {topic}/mixed");
            let is_there = heard.contains(&is_heard)
                && [event, later, some].iter().all(|line| got.contains(line));
            Ok(is_there.then_some(()))
        })?;
        let got = hedgerow.log(draft::CALLEE)?;
        let mixed = got.matches(&format!("on {topic}/mixed")).count();
        let expected = if caller.has_policy { 1 } else { 2 };
        ensure!(mixed == expected, "what was to reach all or none reached one:\n{got}");
        let said = hedgerow.log(caller.name)?;
        ensure!(
            said.contains("there is no cloud link yet"),
            "it is not told what got lost:\n{said}"
        );
    }

    // Its only instance waits for itself, and no longer than the device lets any invocation run.
    let config = "aws.greengrass.LambdaManager";
    hedgerow.run(&["config", "set", config, "/getResultTimeoutInSecond=1"])?;
    let own = draft::CALLERS[0].name;
    let event = json!({ "invoke": own }).to_string();
    let said = hedgerow.say(&["invoke", own, "--payload", &event])?;
    ensure!(said.code == Some(1) && said.stderr.contains("Sandbox.Timedout"), "{said:?}");

    // As in Greengrass v1, where the administrator wants it so. Without `as` the other one fails.
    let other = json!({ "invoke": draft::CALLERS[1].name }).to_string();
    let refused = hedgerow.run(&["invoke", own, "--payload", &other])?;
    ensure!(refused.contains("hedgerow#InvokeFunction"), "{refused}");
    hedgerow.stop_daemon()?;
    let settings = "[compat]\nopen-invoke = true\n";
    fs::write(hedgerow.root().join("etc/hedgerow.toml"), settings)?;
    hedgerow.start_daemon()?;
    let invoked = || {
        let said = hedgerow.say(&["invoke", own, "--payload", &other])?;
        Ok(said.stdout.contains("KeyError").then_some(()))
    };
    eventually("one invokes the other", PATIENCE, invoked)?;
    hedgerow.finish()
}
