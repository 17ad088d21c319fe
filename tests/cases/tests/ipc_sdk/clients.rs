//! The recipes of the clients, and of those that they deal with.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use hedgerow_harness::{Draft, components, examples, javascript_sdk};
use serde_json::{Value, json};

use super::steps::{Step, steps};

/// Name and how it is run.
pub const CLIENTS: [(&str, &str); 3] = [
    ("aws.test.PythonV1", "exec python3 -u {artifacts:path}/sdk.py v1 {artifacts:path}/steps.json"),
    ("aws.test.PythonV2", "exec python3 -u {artifacts:path}/sdk.py v2 {artifacts:path}/steps.json"),
    (JAVASCRIPT, "exec node {artifacts:path}/sdk.js {artifacts:path}/steps.json"),
];

pub const JAVASCRIPT: &str = "aws.test.JavaScript";

/// The one component that may ask whose token it is.
pub const STREAM_MANAGER: &str = "aws.greengrass.StreamManager";

/// The clients, and whom they deal with.
pub fn draft() -> Result<Draft> {
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
