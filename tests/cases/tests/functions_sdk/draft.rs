//! What is deployed.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use hedgerow_harness::{Draft, Hedgerow, examples, runtimes, v1_sdk};
use serde_json::{Value, json};

pub const CALLEE: &str = "com.example.Callee";
pub const LISTENER: &str = "com.example.Listener";

/// A function that uses an SDK.
pub struct Caller {
    pub name: &'static str,
    /// With its version.
    pub arn: &'static str,
    /// A level of its topics.
    pub short: &'static str,
    /// Whether the SDK knows `queueFullPolicy`.
    pub has_policy: bool,
    /// How what the SDK raises of refusals begins.
    pub exception: &'static str,
    /// What it says of it.
    pub sdk: Option<&'static str>,
    /// The directory in `target/sdk`.
    bundle: &'static str,
}

const PYTHON: &str = "InvocationException: Failed to invoke function due to ";

pub const CALLERS: [Caller; 3] = [
    Caller {
        name: "com.example.Python",
        arn: "arn:aws:lambda:eu-west-1:123456789012:function:python:1",
        short: "python",
        has_policy: true,
        exception: PYTHON,
        sdk: Some("greengrasssdk 1.6.1, without stream_manager"),
        bundle: "greengrasssdk",
    },
    Caller {
        name: "com.example.PythonWithStreams",
        arn: "arn:aws:lambda:eu-west-1:123456789012:function:streams:2",
        short: "streams",
        has_policy: false,
        exception: PYTHON,
        sdk: Some("greengrasssdk 1.4.0, with stream_manager"),
        bundle: "greengrasssdk-1.4",
    },
    Caller {
        name: "com.example.Node",
        arn: "arn:aws:lambda:eu-west-1:123456789012:function:node:1",
        short: "node",
        has_policy: true,
        exception: "Error: ",
        sdk: None,
        bundle: "aws-greengrass-core-sdk",
    },
];

/// Deploys all of it, with the runtimes, and with subscriptions of the three kinds.
pub fn deploy(hedgerow: &Hedgerow, draft: &Draft) -> Result<()> {
    let mut subscriptions = json!({});
    for Caller { name, arn, short, .. } in &CALLERS {
        let by_name = format!("component:{name}");
        let mut add = |id: &str, source: &str, subject: &str, target: &str| {
            let id = format!("{short}-{id}");
            let subject = format!("v1/{short}/{subject}");
            let subscription =
                json!({ "id": id, "source": source, "subject": subject, "target": target });
            subscriptions[id] = subscription;
        };
        let callee = "arn:aws:lambda:eu-west-1:123456789012:function:callee:3";
        add("callee", arn, "to/+", callee);
        add("cloud", &by_name, "cloud", "cloud");
        add("mixed-callee", arn, "mixed", callee);
        add("mixed-cloud", arn, "mixed", "cloud");
        add("component", &by_name, "component", &format!("component:{LISTENER}"));
    }
    let router = "aws.greengrass.LegacySubscriptionRouter";
    let config = json!({ router: { "MERGE": { "subscriptions": subscriptions } } }).to_string();
    let source = draft.source();
    let artifacts = source.artifacts.context("a draft has artifacts")?;
    let (recipes, artifacts) = (source.recipes.to_string_lossy(), artifacts.to_string_lossy());
    let mut words = vec!["deploy", "--recipe-dir", &recipes, "--artifact-dir", &artifacts];
    let mut add = vec![
        format!("{router}=2.1.13"),
        "aws.greengrass.LambdaManager=2.3.5".to_owned(),
        format!("{CALLEE}=1.0.0"),
        format!("{LISTENER}=1.0.0"),
    ];
    add.extend(CALLERS.iter().map(|caller| format!("{}=1.0.0", caller.name)));
    words.extend(add.iter().flat_map(|component| ["--add", component]));
    words.extend(["--update-config", &config]);
    hedgerow.run(&words).map(drop)
}

pub fn draft() -> Result<Draft> {
    let draft = Draft::new()?;
    let found = runtimes();
    copy(&found.recipes, &draft.recipes())?;
    copy(&found.artifacts.context("the runtimes have artifacts")?, &draft.artifacts())?;
    for Caller { name, arn, bundle, short, .. } in &CALLERS {
        let (file, text, runtime) = match *short {
            "node" => ("index.js", include_str!("index.js"), "nodejs20.x"),
            _ => ("app.py", include_str!("app.py"), "python3.8"),
        };
        let (module, _) = file.split_once('.').context("a file's name")?;
        let handler = format!("{module}.handler");
        let code = tempfile::tempdir()?;
        copy(&v1_sdk(bundle), code.path())?;
        fs::write(code.path().join(file), text)?;
        function(&draft, name, arn, runtime, &handler, rights(short, name), code.path())?;
    }
    let code = tempfile::tempdir()?;
    fs::write(code.path().join("callee.py"), include_str!("callee.py"))?;
    let arn = "arn:aws:lambda:eu-west-1:123456789012:function:callee:3";
    function(&draft, CALLEE, arn, "python3.8", "callee.handler", json!({}), code.path())?;
    listener(&draft)?;
    Ok(draft)
}

fn rights(short: &str, own: &str) -> Value {
    let policy = |operation: &str, resources: &[&str]| json!({ "1": { "operations": [operation], "resources": resources } });
    json!({
        "hedgerow.function": policy("hedgerow#InvokeFunction", &[CALLEE, own]),
        "aws.greengrass.ipc.pubsub":
            policy("aws.greengrass#PublishToTopic", &[&format!("v1/{short}/local")]),
    })
}

/// As AWS makes a component of a function.
fn function(
    draft: &Draft,
    name: &str,
    arn: &str,
    runtime: &str,
    handler: &str,
    access_control: Value,
    code: &Path,
) -> Result<()> {
    let recipe = json!({
        "RecipeFormatVersion": "2020-01-25",
        "ComponentName": name,
        "ComponentVersion": "1.0.0",
        "ComponentType": "aws.greengrass.lambda",
        "ComponentSource": arn,
        "ComponentConfiguration": { "DefaultConfiguration": {
            "pinned": false,
            "maxInstancesCount": 1,
            "timeoutInSeconds": 60,
            "containerParams": { "memorySize": 262_144 },
            "accessControl": access_control,
        } },
        "ComponentDependencies": {
            "aws.greengrass.LambdaLauncher":
                { "VersionRequirement": "^2.0.0", "DependencyType": "HARD" },
            "aws.greengrass.LambdaRuntimes":
                { "VersionRequirement": "^2.0.0", "DependencyType": "SOFT" },
        },
        "Manifests": [{
            "Platform": { "os": "linux" },
            "Artifacts": [{ "URI": "greengrass:lambda-artifact.zip", "Unarchive": "ZIP" }],
            "Lifecycle": { "setenv": {
                "AWS_GREENGRASS_LAMBDA_ARN": arn,
                "AWS_GREENGRASS_LAMBDA_FUNCTION_HANDLER": handler,
                "AWS_GREENGRASS_LAMBDA_RUNTIME": runtime,
                "AWS_GREENGRASS_LAMBDA_ARTIFACT_PATH": "{artifacts:decompressedPath}/lambda-artifact",
            } },
        }],
    });
    draft.recipe(&format!("{name}-1.0.0.json"), recipe.to_string())?;
    let zip = code.with_extension("zip");
    let mut pack = Command::new("python3");
    pack.args(["-m", "zipfile", "-c"]).arg(&zip).arg(".").current_dir(code);
    ensure!(pack.status()?.success());
    draft.artifact(name, "1.0.0", "lambda-artifact.zip", fs::read(&zip)?)?;
    Ok(fs::remove_file(zip)?)
}

/// On the SDK of Greengrass v2.
fn listener(draft: &Draft) -> Result<()> {
    let sdk = examples().artifacts.context("the examples have artifacts")?;
    let sdk = sdk.join("com.example.sensor/1.0.0/awsiotsdk.zip");
    let sdk =
        fs::read(&sdk).with_context(|| format!("{}: run `cargo xtask test`", sdk.display()))?;
    draft.artifact(LISTENER, "1.0.0", "sdk.zip", sdk)?;
    draft.artifact(LISTENER, "1.0.0", "listener.py", include_str!("listener.py"))?;
    let policy = json!({ "1": {
        "operations": ["aws.greengrass#SubscribeToTopic"], "resources": ["v1/+/local"],
    } });
    let recipe = json!({
        "RecipeFormatVersion": "2020-01-25",
        "ComponentName": LISTENER,
        "ComponentVersion": "1.0.0",
        "ComponentConfiguration": { "DefaultConfiguration": {
            "accessControl": { "aws.greengrass.ipc.pubsub": policy },
        } },
        "Manifests": [{
            "Artifacts": [
                { "Uri": "s3://bucket/listener.py" },
                { "Uri": "s3://bucket/sdk.zip", "Unarchive": "ZIP" },
            ],
            "Lifecycle": {
                "setenv": { "PYTHONPATH": "{artifacts:decompressedPath}/sdk" },
                "run": "exec python3 -u {artifacts:path}/listener.py",
            },
        }],
    });
    draft.recipe(&format!("{LISTENER}-1.0.0.json"), recipe.to_string())?;
    Ok(())
}

/// What is in a directory.
fn copy(from: &Path, to: &Path) -> Result<()> {
    ensure!(from.exists(), "{}: run `cargo xtask test`, which makes it", from.display());
    let copied = Command::new("cp").arg("-rL").arg(from.join(".")).arg(to).status()?;
    ensure!(copied.success());
    Ok(())
}
