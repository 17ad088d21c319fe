//! Lambda functions as components: deployed, updated, rolled back, stopped and removed as any.

mod code;
mod container;
mod prepared;
mod ways;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use hedgerow_harness::{Hedgerow, PATIENCE, eventually, runtimes};
use tempfile::TempDir;

const NAME: &str = "com.example.Function";

/// What fails is tried again soon: this is about what comes after the third time.
const SOON: &str = "[[restart]]\ncomponent = '*'\ninitial-backoff = 0.05\nmax-backoff = 0.05\n";

/// A custom runtime: says which version it is, polls, and answers each event with the version.
fn bootstrap(version: &str) -> String {
    format!(
        r#"#!/usr/bin/python3
import http.client, json, os
print("this is {version}", flush=True)
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
base = "/2018-06-01/runtime/invocation/"
while True:
    api.request("GET", base + "next")
    answer = api.getresponse()
    event = json.loads(answer.read())
    print("got", event, flush=True)
    api.request("POST", base + answer.headers["Lambda-Runtime-Aws-Request-Id"] + "/response", '"{version}"')
    api.getresponse().read()
"#
    )
}

/// A directory with a function's code.
struct Code(TempDir);

impl Code {
    fn new(file: &str, text: &str) -> Result<Self> {
        let code = Self(tempfile::tempdir()?);
        let path = code.0.path().join(file);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(code)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

fn create<'a>(code: &'a Code, handler: &'a str, runtime: &'a str, more: &[&'a str]) -> Vec<String> {
    let directory = code.path().display().to_string();
    let words =
        ["function", "create", NAME, "--directory", &directory, "--handler", handler, "--runtime"];
    words.iter().chain(&[runtime]).chain(more).map(|word| (*word).to_owned()).collect()
}

fn run(hedgerow: &Hedgerow, words: &[String]) -> Result<String> {
    hedgerow.run(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The processes of its instances that run the code.
fn runtimes_of(hedgerow: &Hedgerow, path: &str) -> Vec<i32> {
    let traces = hedgerow.traces();
    let runs = |arguments: &str| arguments.split(' ').any(|word| word == path);
    traces.in_fences().filter(|(_, arguments)| runs(arguments)).map(|(pid, _)| *pid).collect()
}

#[test]
fn a_pinned_function_is_updated_rolled_back_stopped_and_removed() -> Result<()> {
    let hedgerow = Hedgerow::start(SOON)?;
    let custom = |text: &str| Code::new("bootstrap", text);
    let one = custom(&bootstrap("one"))?;
    run(&hedgerow, &create(&one, "any", "provided.al2023", &["--pinned"]))?;
    let up = hedgerow.component(NAME)?;
    ensure!((up.version.as_str(), up.state.as_str()) == ("1.0.0", "RUNNING"), "{up:?}");
    ensure!(hedgerow.log(NAME)?.contains("this is one"));

    let two = custom(&bootstrap("two"))?;
    run(&hedgerow, &create(&two, "any", "provided.al2023", &["--pinned"]))?;
    let up = hedgerow.component(NAME)?;
    ensure!((up.version.as_str(), up.state.as_str()) == ("1.0.1", "RUNNING"), "{up:?}");
    ensure!(hedgerow.log(NAME)?.contains("this is two"));

    let bad = custom("#!/bin/sh\necho will not; exit 3\n")?;
    let words = create(&bad, "any", "provided.al2023", &["--pinned"]);
    let said = hedgerow.say(&words.iter().map(String::as_str).collect::<Vec<_>>())?;
    ensure!(said.code == Some(1), "{said:?}");
    ensure!(said.stderr.contains("exit status 3"), "{}", said.stderr);
    hedgerow.wait_for(NAME, "1.0.1 again", |found| {
        found.version == "1.0.1" && found.state == "RUNNING"
    })?;

    let runs = runtimes_of(&hedgerow, "/var/task/bootstrap");
    hedgerow.run(&["config", "set", NAME, "/timeoutInSeconds=5"])?;
    ensure!(runtimes_of(&hedgerow, "/var/task/bootstrap") == runs, "what it runs did not change");
    let variable = "/lambdaExecutionParameters/EnvironmentVariables/A=1";
    hedgerow.run(&["config", "set", NAME, variable])?;
    ensure!(hedgerow.component(NAME)?.state == "RUNNING");
    eventually("the old instance has gone", PATIENCE, || {
        let now = runtimes_of(&hedgerow, "/var/task/bootstrap");
        Ok((now.len() == 1 && now != runs).then_some(()))
    })?;
    let refused = hedgerow.say(&["config", "set", NAME, "/timeoutInSeconds=soon"])?;
    ensure!(refused.stderr.contains("configuration /timeoutInSeconds: expected a"), "{refused:?}");

    hedgerow.run(&["stop", NAME])?;
    ensure!(hedgerow.component(NAME)?.state == "FINISHED");
    ensure!(runtimes_of(&hedgerow, "/var/task/bootstrap").is_empty());
    hedgerow.run(&["start", NAME])?;
    ensure!(hedgerow.component(NAME)?.state == "RUNNING");
    let paused = hedgerow.say(&["pause", NAME])?;
    ensure!(paused.stderr.contains("it is a Lambda function"), "{paused:?}");
    hedgerow.run(&["function", "delete", NAME])?;
    ensure!(hedgerow.component(NAME).is_err());
    hedgerow.finish()
}

#[test]
fn no_instance_outlives_its_daemon() -> Result<()> {
    let mut hedgerow = Hedgerow::start("")?;
    let code = Code::new("bootstrap", &bootstrap("one"))?;
    run(&hedgerow, &create(&code, "any", "provided", &["--pinned"]))?;
    let before = runtimes_of(&hedgerow, "/var/task/bootstrap");
    ensure!(before.len() == 1, "{before:?}");
    hedgerow.kill_daemon()?;
    hedgerow.start_daemon()?;
    hedgerow.wait_for(NAME, "RUNNING", |found| found.state == "RUNNING")?;
    let after = runtimes_of(&hedgerow, "/var/task/bootstrap");
    ensure!(after.len() == 1 && after != before, "{before:?} {after:?}");
    hedgerow.finish()
}

#[test]
fn a_function_that_does_not_come_up_is_errored_until_it_does() -> Result<()> {
    let hedgerow = Hedgerow::start(SOON)?;
    let bad = Code::new("bootstrap", "#!/bin/sh\necho will not; exit 3\n")?;
    run(&hedgerow, &create(&bad, "any", "provided", &[]))?;
    ensure!(hedgerow.component(NAME)?.state == "RUNNING", "nobody has asked it anything yet");
    let failed = hedgerow.say(&["invoke", NAME])?;
    ensure!(failed.code == Some(1), "{failed:?}");
    let errored = hedgerow.wait_for(NAME, "ERRORED", |found| found.state == "ERRORED")?;
    ensure!(errored.last_error.contains("exit status 3"), "{errored:?}");
    let good = Code::new("bootstrap", &bootstrap("good"))?;
    run(&hedgerow, &create(&good, "any", "provided", &[]))?;
    ensure!(hedgerow.component(NAME)?.state == "RUNNING");
    ensure!(hedgerow.run(&["invoke", NAME])?.contains("good"));
    hedgerow.finish()
}

/// Unmodified `awslambdaric` runs a function for an older Python, by the nearest version that is there.
#[test]
fn a_python_function_is_run_by_the_nearest_version() -> Result<()> {
    let hedgerow = Hedgerow::start("")?;
    let source = runtimes();
    let recipes = fs::read_dir(&source.recipes).with_context(|| {
        format!("{}: run `cargo xtask test`, which makes it", source.recipes.display())
    })?;
    let mut add = Vec::new();
    for recipe in recipes {
        let name = recipe?.file_name().to_string_lossy().into_owned();
        let component = name.strip_suffix(".yaml").and_then(|name| name.rsplit_once('-'));
        let (name, version) = component.with_context(|| name.clone())?;
        if name.starts_with("io.hedgerow.runtime.python") {
            add.push(format!("{name}={version}"));
        }
    }
    hedgerow.deploy(&source, &add.iter().map(String::as_str).collect::<Vec<_>>())?;
    let handler = "import os\n\
                   print('loaded for', os.environ['AWS_EXECUTION_ENV'], flush=True)\n\
                   def handler(event, context):\n    \
                   print('event', event, flush=True)\n    return {'said': event}\n";
    let code = Code::new("app.py", handler)?;
    // In the memory that Greengrass gives where a recipe says nothing.
    let more = ["--memory", "16", "--topic", "test/in"];
    run(&hedgerow, &create(&code, "app.handler", "python3.8", &more))?;
    ensure!(hedgerow.component(NAME)?.state == "RUNNING");
    ensure!(!hedgerow.log(NAME)?.contains("loaded"), "nobody has asked it anything yet");
    let answer = hedgerow.run(&["invoke", NAME, "--payload", "[1]"])?;
    ensure!(answer.trim() == r#"{"said": [1]}"#, "{answer}");
    ensure!(hedgerow.log(NAME)?.contains("loaded for AWS_Lambda_python3.8"));
    hedgerow.run(&["topic", "pub", "--json-payload", "test/in", "[2]"])?;
    eventually("the message is an event", PATIENCE, || {
        Ok(hedgerow.log(NAME)?.contains("event [2]").then_some(()))
    })?;
    hedgerow.finish()
}

#[test]
fn the_code_of_a_function_is_updated_and_all_else_stays() -> Result<()> {
    let hedgerow = Hedgerow::start("")?;
    let one = Code::new("bootstrap", &bootstrap("one"))?;
    run(&hedgerow, &create(&one, "any", "provided", &["--timeout", "7", "--env", "A=1"]))?;
    ensure!(hedgerow.run(&["invoke", NAME])?.contains("one"));
    let two = Code::new("bootstrap", &bootstrap("two"))?;
    let directory = two.path().display().to_string();
    let update = ["function", "update-code", NAME, "--directory", &directory];
    hedgerow.run(&[&update[..], &["--handler", "other"]].concat())?;
    ensure!(hedgerow.run(&["invoke", NAME])?.contains("two"));
    let shown = hedgerow.run(&["--json", "function", "show", NAME])?;
    let shown: serde_json::Value = serde_json::from_str(&shown)?;
    let is_it =
        shown["version"] == "1.0.1" && shown["handler"] == "other" && shown["timeout"] == 7000;
    ensure!(is_it, "{shown}");
    let none =
        hedgerow.say(&["function", "update-code", "test.None", "--directory", &directory])?;
    ensure!(none.code == Some(1) && none.stderr.contains("test.None"), "{none:?}");
    hedgerow.finish()
}
