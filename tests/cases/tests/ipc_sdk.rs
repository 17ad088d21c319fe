//! Every operation of the model, through the unmodified SDKs: both clients of the Python one, and the JavaScript one.
//!
//! One component for each client carries out the same steps, at the same time; what they print is compared with what
//! is written here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use hedgerow_harness::{
    Draft, Hedgerow, PATIENCE, components, eventually, examples, javascript_sdk,
};
use hedgerow_ipc::model::Operation::{self, *};
use serde_json::{Value, json};

/// Name and how it is run.
const CLIENTS: [(&str, &str); 3] = [
    ("aws.test.PythonV1", "exec python3 -u {artifacts:path}/sdk.py v1 {artifacts:path}/steps.json"),
    ("aws.test.PythonV2", "exec python3 -u {artifacts:path}/sdk.py v2 {artifacts:path}/steps.json"),
    (JAVASCRIPT, "exec node {artifacts:path}/sdk.js {artifacts:path}/steps.json"),
];

const JAVASCRIPT: &str = "aws.test.JavaScript";

/// The one component that may ask whose token it is.
const STREAM_MANAGER: &str = "aws.greengrass.StreamManager";

struct Step {
    what: &'static str,
    operation: Operation,
    request: Value,
    until: &'static [&'static str],
    expected: Expected,
}

#[derive(Debug)]
enum Expected {
    /// An answer that has at least this.
    Answer(Value),
    /// An error of this shape, whose message has this part.
    Error(&'static str, &'static str),
}

fn ok(what: &'static str, operation: Operation, request: Value, answer: Value) -> Step {
    Step { what, operation, request, until: &[], expected: Expected::Answer(answer) }
}

fn refused(
    what: &'static str,
    operation: Operation,
    request: Value,
    error: &'static str,
    part: &'static str,
) -> Step {
    Step { what, operation, request, until: &[], expected: Expected::Error(error, part) }
}

/// What one client does.
fn steps(own: &str) -> Vec<Step> {
    let mut steps = pubsub(own);
    steps.extend(configuration());
    steps.extend(lifecycle(own));
    steps.extend(deployments(own));
    steps.extend(the_rest());
    steps.extend(missing());
    steps
}

fn pubsub(own: &str) -> Vec<Step> {
    let topic = |end: &str| format!("sdk/{own}/{end}");
    let publish = |topic: &str| json!({"topic": topic, "publishMessage": {"jsonMessage": {"message": {"n": 1}}}});
    let binary = json!({
        "topic": topic("b"),
        "publishMessage": {"binaryMessage": {"message": "AAEC/w=="}}
    });
    const INVALID: &str = "InvalidArgumentsError";
    vec![
        ok("topic", SubscribeToTopic, json!({"topic": topic("b")}), json!({})),
        ok("publish", PublishToTopic, publish(&topic("a")), json!({})),
        ok("publish bytes", PublishToTopic, binary, json!({})),
        refused("wildcard", PublishToTopic, publish(&topic("#")), INVALID, "must not contain"),
        refused("filter", SubscribeToTopic, json!({"topic": topic("#/a")}), INVALID, "`#`"),
        refused(
            "foreign topic",
            PublishToTopic,
            publish("other"),
            "UnauthorizedError",
            "\"other\"",
        ),
        refused(
            "foreign filter",
            SubscribeToTopic,
            json!({"topic": "sdk/+"}),
            "UnauthorizedError",
            "\"sdk/+\"",
        ),
    ]
}

fn configuration() -> Vec<Step> {
    let get = |path: Value| json!({"keyPath": path});
    let of = |name: &str, path: Value| json!({"componentName": name, "keyPath": path});
    let update = |path: Value, value: Value, timestamp: f64| json!({"keyPath": path, "valueToMerge": value, "timestamp": timestamp});
    // Later than any deployment of this test, which is not in 2100.
    const LATER: f64 = 4_102_444_800.25;
    const INVALID: &str = "InvalidArgumentsError";
    vec![
        ok(
            "scalar",
            GetConfiguration,
            get(json!(["limits", "high"])),
            json!({"value": {"high": 10}}),
        ),
        ok(
            "dependency's",
            GetConfiguration,
            of("test.dependency", json!(["shared"])),
            json!({"value": {"shared": "yes"}}),
        ),
        refused(
            "stranger's",
            GetConfiguration,
            of("test.stranger", json!([])),
            "ServiceError",
            "does not depend",
        ),
        ok(
            "allowed",
            GetConfiguration,
            of("test.allowing", json!(["open"])),
            json!({"value": {"open": 1}}),
        ),
        refused(
            "nobody's",
            GetConfiguration,
            of("test.absent", json!([])),
            "ResourceNotFoundError",
            "test.absent",
        ),
        refused(
            "no such key",
            GetConfiguration,
            get(json!(["limits", "deep"])),
            "ResourceNotFoundError",
            "/limits/deep",
        ),
        ok("watch", SubscribeToConfigurationUpdate, get(json!(["limits"])), json!({})),
        refused(
            "watch no key",
            SubscribeToConfigurationUpdate,
            get(json!(["none"])),
            "ResourceNotFoundError",
            "/none",
        ),
        refused(
            "watch stranger",
            SubscribeToConfigurationUpdate,
            of("test.stranger", json!([])),
            "ServiceError",
            "SubscribeToConfigurationUpdate",
        ),
        ok(
            "update",
            UpdateConfiguration,
            update(json!(["limits"]), json!({"high": 11}), LATER),
            json!({}),
        ),
        ok(
            "update new",
            UpdateConfiguration,
            update(json!([]), json!({"new": {"deep": [1]}}), LATER),
            json!({}),
        ),
        ok(
            "updated",
            GetConfiguration,
            get(json!([])),
            json!({"value": {"limits": {"high": 11, "low": 1}, "new": {"deep": [1]}}}),
        ),
        refused(
            "too old",
            UpdateConfiguration,
            update(json!(["limits", "high"]), json!(12), 1.5),
            "FailedUpdateConditionCheckError",
            "/limits/high",
        ),
        refused(
            "rights",
            UpdateConfiguration,
            update(json!(["accessControl"]), json!({}), LATER),
            INVALID,
            "accessControl",
        ),
        refused(
            "map to value",
            UpdateConfiguration,
            update(json!(["limits"]), json!(1), LATER),
            INVALID,
            "a map",
        ),
        refused(
            "value to map",
            UpdateConfiguration,
            update(json!(["names"]), json!({"a": 1}), LATER),
            INVALID,
            "a value",
        ),
        ok("validate", SubscribeToValidateConfigurationUpdates, json!({}), json!({})),
        refused(
            "unasked report",
            SendConfigurationValidityReport,
            json!({"configurationValidityReport": {"status": "ACCEPTED", "deploymentId": "none"}}),
            INVALID,
            "has not been asked",
        ),
    ]
}

fn lifecycle(own: &str) -> Vec<Step> {
    let named = |name: &str| json!({"componentName": name});
    let defer = json!({"deploymentId": "none", "recheckAfterMs": 10});
    vec![
        ok("state", UpdateState, json!({"state": "RUNNING"}), json!({})),
        ok("list", ListComponents, json!({}), json!({})),
        ok(
            "details",
            GetComponentDetails,
            named(own),
            json!({"componentDetails": {"componentName": own, "version": "1.0.0"}}),
        ),
        ok(
            "details of who may not be read",
            GetComponentDetails,
            named("test.stranger"),
            json!({"componentDetails": {"version": "1.0.0", "configuration": null}}),
        ),
        refused(
            "no details",
            GetComponentDetails,
            named("test.absent"),
            "ResourceNotFoundError",
            "test.absent",
        ),
        ok(
            "restart",
            RestartComponent,
            named("test.stranger"),
            json!({"restartStatus": "SUCCEEDED"}),
        ),
        refused(
            "restart nobody",
            RestartComponent,
            named("test.absent"),
            "ComponentNotFoundError",
            "test.absent",
        ),
        refused(
            "restart denied",
            RestartComponent,
            named("test.dependency"),
            "UnauthorizedError",
            "test.dependency",
        ),
        ok("stop", StopComponent, named("test.stranger"), json!({"stopStatus": "SUCCEEDED"})),
        refused(
            "stop nobody",
            StopComponent,
            named("test.absent"),
            "ComponentNotFoundError",
            "test.absent",
        ),
        refused(
            "defer unsubscribed",
            DeferComponentUpdate,
            defer.clone(),
            "InvalidArgumentsError",
            "not subscribed",
        ),
        ok("updates", SubscribeToComponentUpdates, json!({}), json!({})),
        refused("defer unasked", DeferComponentUpdate, defer, "ServiceError", "has passed"),
        ok("pause", PauseComponent, named("test.paused"), json!({})),
        ok("resume", ResumeComponent, named("test.paused"), json!({})),
        refused(
            "pause nobody",
            PauseComponent,
            named("test.absent"),
            "ResourceNotFoundError",
            "test.absent",
        ),
        refused(
            "resume nobody",
            ResumeComponent,
            named("test.absent"),
            "ResourceNotFoundError",
            "test.absent",
        ),
        refused(
            "pause denied",
            PauseComponent,
            named("test.stranger"),
            "UnauthorizedError",
            "test.stranger",
        ),
    ]
}

fn deployments(own: &str) -> Vec<Step> {
    let new = format!("test.made.by.{own}");
    let create = |recipes: &str, artifacts: &str| {
        json!({
            "recipeDirectoryPath": recipes,
            "artifactsDirectoryPath": artifacts,
            "rootComponentVersionsToAdd": {new.as_str(): "1.0.0"},
            "componentToConfiguration": {new.as_str(): {"MERGE": {"k": 1}}},
        })
    };
    let id = json!({"deploymentId": "$deployment"});
    let none = json!({"deploymentId": "none"});
    let ended = Step {
        until: &["QUEUED", "IN_PROGRESS"],
        ..ok(
            "deployed",
            GetLocalDeploymentStatus,
            id.clone(),
            json!({"deployment": {"status": "SUCCEEDED"}}),
        )
    };
    let slow = json!({
        "recipeDirectoryPath": "recipes",
        "rootComponentVersionsToAdd": {format!("test.slow.by.{own}"): "1.0.0"},
    });
    let canceled = Step {
        until: &["QUEUED", "IN_PROGRESS"],
        ..ok(
            "canceled",
            GetLocalDeploymentStatus,
            id.clone(),
            json!({"deployment": {"status": "CANCELED"}}),
        )
    };
    const INVALID: &str = "InvalidArgumentsError";
    vec![
        refused(
            "no recipes",
            CreateLocalDeployment,
            create("absent", ""),
            "InvalidRecipeDirectoryPathError",
            "absent",
        ),
        refused(
            "no artifacts",
            CreateLocalDeployment,
            create("recipes", "recipes/x.yaml"),
            "InvalidArtifactsDirectoryPathError",
            "no directory",
        ),
        refused(
            "others' files",
            CreateLocalDeployment,
            create("/etc/ssl/private", ""),
            "InvalidRecipeDirectoryPathError",
            "/etc/ssl/private",
        ),
        refused("nothing", CreateLocalDeployment, json!({}), INVALID, "at least one"),
        ok("create", CreateLocalDeployment, create("recipes", "artifacts"), json!({})),
        ended,
        ok(
            "made",
            GetComponentDetails,
            json!({"componentName": new}),
            json!({"componentDetails": {"configuration": {"k": 1}}}),
        ),
        ok("deployments", ListLocalDeployments, json!({}), json!({})),
        refused(
            "no status",
            GetLocalDeploymentStatus,
            none.clone(),
            "ResourceNotFoundError",
            "none",
        ),
        refused("cancel none", CancelLocalDeployment, none, "ResourceNotFoundError", "none"),
        refused("cancel ended", CancelLocalDeployment, id.clone(), INVALID, "has ended"),
        ok("create slow", CreateLocalDeployment, slow, json!({})),
        ok("cancel", CancelLocalDeployment, id.clone(), json!({})),
        canceled,
    ]
}

fn the_rest() -> Vec<Step> {
    let metric = |name: &str, value: f64| json!({"metrics": [{"name": name, "unit": "BYTES_PER_SECOND", "value": value}]});
    let token = json!({"token": "ABCDEFGHIJKLMNOP"});
    vec![
        ok("metric", PutComponentMetric, metric("sdk.rate", 1.5), json!({})),
        refused(
            "bad metric",
            PutComponentMetric,
            metric("sdk.rate", -1.0),
            "InvalidArgumentsError",
            "negative",
        ),
        refused(
            "denied metric",
            PutComponentMetric,
            metric("other", 1.0),
            "UnauthorizedError",
            "other",
        ),
        refused("token", ValidateAuthorizationToken, token, "UnauthorizedError", STREAM_MANAGER),
    ]
}

/// What needs what this version does not have says so, before anything else.
fn missing() -> Vec<Step> {
    let thing = json!({"thingName": "t"});
    let message = json!({"topicName": "t", "qos": "0", "payload": "AA=="});
    let certificate = json!({"credential": {"clientDeviceCertificate": "c"}});
    let mqtt = json!({"credential": {"mqttCredential": {"clientId": "c"}}});
    let action = json!({"clientDeviceAuthToken": "t", "operation": "o", "resource": "r"});
    let update = json!({"thingName": "t", "payload": "AA=="});
    let server = json!({"certificateOptions": {"certificateType": "SERVER"}});
    let (shadows, devices, cloud) =
        ("aws.greengrass.ShadowManager", "aws.greengrass.clientdevices.Auth", "AWS IoT Core");
    [
        (PublishToIoTCore, message, cloud),
        (SubscribeToIoTCore, json!({"topicName": "t", "qos": "1"}), cloud),
        (SubscribeToIoTCoreConnectionStatus, json!({}), cloud),
        (GetThingShadow, thing.clone(), shadows),
        (UpdateThingShadow, update, shadows),
        (DeleteThingShadow, thing.clone(), shadows),
        (ListNamedShadowsForThing, thing, shadows),
        (GetSecretValue, json!({"secretId": "s"}), "aws.greengrass.SecretManager"),
        (SubscribeToCertificateUpdates, server, devices),
        (VerifyClientDeviceIdentity, certificate, devices),
        (GetClientDeviceAuthToken, mqtt, devices),
        (AuthorizeClientDeviceAction, action, devices),
        (CreateDebugPassword, json!({}), "aws.greengrass.LocalDebugConsole"),
    ]
    .map(|(operation, request, part)| {
        refused(operation.header(), operation, request, "ServiceError", part)
    })
    .into()
}

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

/// The clients, and whom they deal with.
fn draft() -> Result<Draft> {
    let draft = Draft::new()?;
    let idle = "run: exec sleep 1000000";
    for (name, configuration) in [
        ("test.dependency", "shared: \"yes\""),
        ("test.stranger", "secret: 1"),
        ("test.allowing", "open: 1"),
        ("test.paused", "still: 1"),
    ] {
        let more = format!("ComponentConfiguration:\n  DefaultConfiguration:\n    {configuration}");
        for version in ["1.0.0", "1.0.1", "1.0.2"] {
            draft.component(name, version, &more, idle)?;
        }
    }
    let python = examples().artifacts.context("the examples have artifacts")?;
    let python = python.join("com.example.sensor/1.0.0/awsiotsdk.zip");
    let scripts = components().recipes.with_file_name("artifacts/test.sdk/1.0.0");
    for (name, run) in CLIENTS {
        let (script, sdk) = match name {
            JAVASCRIPT => ("sdk.js", javascript_sdk()),
            _ => ("sdk.py", python.clone()),
        };
        let sdk =
            fs::read(&sdk).with_context(|| format!("{}: run `cargo xtask test`", sdk.display()))?;
        draft.artifact(name, "1.0.0", script, fs::read(scripts.join(script))?)?;
        draft.artifact(name, "1.0.0", "sdk.zip", sdk)?;
        let steps: Vec<Value> = steps(name)
            .iter()
            .map(|Step { what, operation, request, until, .. }| {
                let operation = operation.header().trim_start_matches("aws.greengrass#");
                json!({"what": what, "operation": operation, "request": request, "until": until})
            })
            .collect();
        draft.artifact(name, "1.0.0", "steps.json", Value::Array(steps).to_string())?;
        draft.recipe(&format!("{name}-1.0.0.json"), recipe(name, script, run).to_string())?;
    }
    stream_manager(&draft, &python, &scripts)?;
    Ok(draft)
}

/// Takes the place of the built-in one, and asks for its own token and for none.
fn stream_manager(draft: &Draft, sdk: &Path, scripts: &Path) -> Result<()> {
    const VERSION: &str = "9.9.9";
    draft.artifact(STREAM_MANAGER, VERSION, "sdk.py", fs::read(scripts.join("sdk.py"))?)?;
    draft.artifact(STREAM_MANAGER, VERSION, "sdk.zip", fs::read(sdk)?)?;
    let step = |what: &str, token: &str| json!({"what": what, "operation": "ValidateAuthorizationToken", "request": {"token": token}});
    let steps = json!([step("valid", "TOKEN"), step("invalid", "ABCDEFGHIJKLMNOP")]).to_string();
    let run = format!(
        "run: |\n  echo '{steps}' | sed \"s/TOKEN/$SVCUID/\" > steps.json\n  \
         PYTHONPATH={{artifacts:decompressedPath}}/sdk exec python3 -u {{artifacts:path}}/sdk.py v2 steps.json",
    );
    let text = format!(
        "RecipeFormatVersion: \"2020-01-25\"\nComponentName: {STREAM_MANAGER}\nComponentVersion: \"{VERSION}\"\n\
         Manifests:\n  - Artifacts:\n      - Uri: s3://bucket/sdk.py\n      - Uri: s3://bucket/sdk.zip\n        \
         Unarchive: ZIP\n    Lifecycle:\n      {}\n",
        run.replace('\n', "\n      ")
    );
    draft.recipe(&format!("{STREAM_MANAGER}-{VERSION}.yaml"), text)?;
    Ok(())
}

fn recipe(name: &str, script: &str, run: &str) -> Value {
    let policy = |operations: &[&str], resources: &[&str]| {
        let operations: Vec<String> =
            operations.iter().map(|name| format!("aws.greengrass#{name}")).collect();
        json!({"operations": operations, "resources": resources})
    };
    let write = |file: &str, component: String, lifecycle: Value| {
        let recipe = json!({
            "RecipeFormatVersion": "2020-01-25",
            "ComponentName": component,
            "ComponentVersion": "1.0.0",
            "ComponentConfiguration": {"DefaultConfiguration": {"k": 0}},
            "Manifests": [{"Lifecycle": lifecycle}],
        });
        format!("cat > recipes/{file} <<'END'\n{recipe}\nEND\n")
    };
    let idle = "exec sleep 1000000";
    let prepare = [
        "mkdir -p recipes artifacts\n".to_owned(),
        write("x.yaml", format!("test.made.by.{name}"), json!({"run": idle})),
        write("y.yaml", format!("test.slow.by.{name}"), json!({"install": idle})),
    ]
    .concat();
    json!({
        "RecipeFormatVersion": "2020-01-25",
        "ComponentName": name,
        "ComponentVersion": "1.0.0",
        "ComponentDependencies": {"test.dependency": {"VersionRequirement": "^1.0.0"}},
        "ComponentConfiguration": {"DefaultConfiguration": {
            "limits": {"high": 10, "low": 1},
            "names": ["one", "two"],
            "accessControl": {
                "aws.greengrass.ipc.pubsub": {
                    "1": policy(&["PublishToTopic", "SubscribeToTopic"], &[&format!("sdk/{name}/*")]),
                },
                "aws.greengrass.Cli": {
                    "1": policy(
                        &["ListComponents", "CreateLocalDeployment", "CancelLocalDeployment",
                          "GetLocalDeploymentStatus", "ListLocalDeployments", "GetComponentDetails"],
                        &["*"],
                    ),
                    "2": policy(
                        &["RestartComponent", "StopComponent"],
                        &["test.stranger", "test.absent"],
                    ),
                },
                "aws.greengrass.ipc.lifecycle": {
                    "1": policy(
                        &["PauseComponent", "ResumeComponent"],
                        &["test.paused", "test.absent"],
                    ),
                },
                "aws.greengrass.ipc.componentmetric": {
                    "1": policy(&["PutComponentMetric"], &["sdk.*"]),
                },
                "io.hedgerow.ipc.configuration": {
                    "1": policy(
                        &["GetConfiguration"],
                        &["test.allowing", &format!("test.made.by.{name}")],
                    ),
                },
            },
        }},
        "Manifests": [{
            "Artifacts": [
                {"Uri": format!("s3://bucket/{script}")},
                {"Uri": "s3://bucket/steps.json"},
                {"Uri": "s3://bucket/sdk.zip", "Unarchive": "ZIP"},
            ],
            "Lifecycle": {
                "setenv": {
                    "PYTHONPATH": "{artifacts:decompressedPath}/sdk",
                    "NODE_PATH": "{artifacts:decompressedPath}/sdk/node_modules",
                },
                "run": format!("{prepare}{run}"),
            },
        }],
    })
}
