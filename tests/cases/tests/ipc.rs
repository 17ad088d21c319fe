//! What a component on the unmodified SDK asks over IPC, and what it is answered.

use std::fs;

use anyhow::{Context, Result, ensure};
use hedgerow_harness::{Draft, Hedgerow, PATIENCE, components, eventually, examples};
use serde_json::{Value, json};

#[test]
fn every_question_has_its_answer() -> Result<()> {
    let hedgerow = Hedgerow::start("")?;
    hedgerow.deploy(&components(), &["test.ticker=1.0.0"])?;
    hedgerow.deploy(&with_sdk()?.source(), &["test.ipc=1.0.0"])?;
    // Its startup step has not ended: that it is up is its own word.
    let ipc = hedgerow.component("test.ipc")?;
    ensure!(ipc.state == "RUNNING" && ipc.pid != 0, "{ipc:?}");

    let rule = |operation: &str, resource: &str, service: &str| {
        format!(
            "component \"test.ipc\" has no accessControl rule for {service} that allows \
             aws.greengrass#{operation} on \"{resource}\""
        )
    };
    let unauthorized = |message: String| json!({"error": "UnauthorizedError", "message": message});
    let cli = "aws.greengrass.Cli";
    let pubsub = "aws.greengrass.ipc.pubsub";
    for (what, expected) in [
        // Greengrass wraps a single value in an object under its key.
        ("scalar", json!({"high": 10})),
        ("list", json!({"names": ["one", "two"]})),
        ("map", json!({"high": 10, "low": 1})),
        ("other case", json!({"High": 10})),
        (
            "missing",
            json!({
                "error": "ResourceNotFoundError",
                "message": "test.ipc has no configuration at /limits/deep"
            }),
        ),
        (
            "of another",
            json!({
                "error": "ResourceNotFoundError",
                "message": "no component \"test.absent\" is deployed on this device"
            }),
        ),
        ("whole", json!(["accessControl", "limits", "names"])),
        ("components", json!(["test.ipc", "test.ticker"])),
        ("details", json!(["test.ipc", "1.0.0", "STARTING"])),
        ("denied details", unauthorized(rule("GetComponentDetails", "test.ticker", cli))),
        ("denied publish", unauthorized(rule("PublishToTopic", "elsewhere", pubsub))),
        ("denied subscribe", unauthorized(rule("SubscribeToTopic", "elsewhere/#", pubsub))),
        ("publish", json!("published")),
        ("publish bytes", json!("published")),
    ] {
        assert_eq!(answers(&hedgerow, what)?, [expected], "{what}");
    }
    let not_provided = answers(&hedgerow, "not provided")?;
    assert_eq!(not_provided[0]["error"], "ServiceError");
    let message = not_provided[0]["message"].as_str().unwrap_or_default();
    ensure!(
        message.contains("GetSecretValue") && message.contains("not provided"),
        "it says {message:?}"
    );
    hedgerow.finish()
}

/// Its processes have other ids than a component's own.
#[test]
fn a_component_whose_root_is_the_hosts_is_answered() -> Result<()> {
    let hedgerow = Hedgerow::start("[[grant]]\ncomponent = \"test.ipc\"\nreal-root = []\n")?;
    hedgerow.deploy(&with_sdk()?.source(), &["test.ipc=1.0.0"])?;
    assert_eq!(answers(&hedgerow, "scalar")?, [json!({"high": 10})]);
    hedgerow.finish()
}

#[test]
fn messages_are_received_as_the_receive_mode_says() -> Result<()> {
    const TOPIC: &str = "test/ipc/messages";
    let hedgerow = Hedgerow::start("")?;
    hedgerow.deploy(&with_sdk()?.source(), &["test.ipc=1.0.0"])?;
    hedgerow.run(&["topic", "pub", "--json-payload", TOPIC, r#"{"from": "the host"}"#])?;
    hedgerow.run(&["topic", "pub", TOPIC, "a last word"])?;
    let hosts = [json!([TOPIC, {"from": "the host"}]), json!([TOPIC, "a last word"])];
    let own = [json!([TOPIC, {"from": "me"}]), json!([TOPIC, "bytes of mine"])];
    eventually("the last word is heard by both", PATIENCE, || {
        let heard = |what| Ok::<_, anyhow::Error>(answers(&hedgerow, what)?.last() == hosts.last());
        Ok((heard("all")? && heard("others")?).then_some(()))
    })?;
    assert_eq!(answers(&hedgerow, "all")?, [own, hosts.clone()].concat());
    assert_eq!(answers(&hedgerow, "others")?, hosts);

    // What it says of itself counts when it is bad, too.
    let before = hedgerow.component("test.ipc")?;
    hedgerow.run(&["topic", "pub", "test/ipc/fail", "now"])?;
    let again = hedgerow.wait_for("test.ipc", "RUNNING again", |now| {
        now.state == "RUNNING" && now.restarts == before.restarts + 1
    })?;
    ensure!(again.last_error.contains("reported itself as ERRORED"), "{again:?}");
    hedgerow.finish()
}

#[test]
fn every_configuration_is_open_where_the_administrator_says_so() -> Result<()> {
    let hedgerow = Hedgerow::start("[compat]\nopen-configuration = true\n")?;
    let draft = with_sdk()?;
    let more = "ComponentConfiguration:\n  DefaultConfiguration:\n    absent: found";
    draft.component("test.absent", "1.0.0", more, "run: exec sleep 1000000")?;
    hedgerow.deploy(&draft.source(), &["test.absent=1.0.0", "test.ipc=1.0.0"])?;
    assert_eq!(answers(&hedgerow, "of another")?, [json!({"absent": "found"})]);
    hedgerow.finish()
}

/// `test.ipc` with the SDK beside it, as its recipe wants it.
fn with_sdk() -> Result<Draft> {
    let draft = Draft::new()?;
    let recipe = components().recipes.join("test.ipc-1.0.0.yaml");
    draft.recipe("test.ipc-1.0.0.yaml", fs::read(recipe)?)?;
    let script = components().recipes.with_file_name("artifacts/test.ipc/1.0.0/ipc.py");
    draft.artifact("test.ipc", "1.0.0", "ipc.py", fs::read(script)?)?;
    let sdk = examples().artifacts.context("the examples have artifacts")?;
    let sdk = sdk.join("com.example.sensor/1.0.0/awsiotsdk.zip");
    let sdk =
        fs::read(&sdk).with_context(|| format!("{}: run `cargo xtask build`", sdk.display()))?;
    draft.artifact("test.ipc", "1.0.0", "awsiotsdk.zip", sdk)?;
    Ok(draft)
}

/// Everything that the component printed under this word.
fn answers(hedgerow: &Hedgerow, what: &str) -> Result<Vec<Value>> {
    let log = hedgerow.log("test.ipc")?;
    let mut found = Vec::new();
    for line in log.lines() {
        let Some((_, text)) = line.split_once("] startup: ") else { continue };
        let said: Value = serde_json::from_str(text).with_context(|| log.clone())?;
        found.extend(said.get(what).cloned());
    }
    Ok(found)
}
