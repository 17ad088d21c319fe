//! What each client does, and what it is to be answered.

use hedgerow_ipc::model::Operation::{self, *};
use serde_json::{Value, json};

use super::clients::STREAM_MANAGER;

pub struct Step {
    pub what: &'static str,
    pub operation: Operation,
    pub request: Value,
    pub until: &'static [&'static str],
    pub expected: Expected,
}

#[derive(Debug)]
pub enum Expected {
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
pub fn steps(own: &str) -> Vec<Step> {
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
