//! A custom runtime that says what it gets, and how to have it deployed.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result};
use hedgerow_harness::{Hedgerow, PATIENCE, eventually};

/// Says what it gets, and sleeps where it is told to.
const BOOTSTRAP: &str = r#"#!/usr/bin/python3
import http.client, json, os, time
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
base = "/2018-06-01/runtime/invocation/"
while True:
    api.request("GET", base + "next")
    answer = api.getresponse()
    event = json.loads(answer.read())
    event.pop("pad", None)
    print("got", json.dumps(event), flush=True)
    time.sleep(event.get("sleep", 0))
    api.request("POST", base + answer.headers["Lambda-Runtime-Aws-Request-Id"] + "/response", "null")
    api.getresponse().read()
"#;

/// Makes a function, with more options of `function create`.
pub fn create(hedgerow: &Hedgerow, name: &str, more: &[&str]) -> Result<()> {
    create_of(hedgerow, name, BOOTSTRAP, more)
}

pub fn create_of(hedgerow: &Hedgerow, name: &str, code: &str, more: &[&str]) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("bootstrap");
    fs::write(&path, code)?;
    fs::set_permissions(&path, Permissions::from_mode(0o755))?;
    let directory = directory.path().display().to_string();
    let words = ["function", "create", name, "--directory", &directory, "--handler", "any"];
    hedgerow.run(&[&words[..], &["--runtime", "provided.al2023"], more].concat())?;
    up(hedgerow, name)
}

pub fn up(hedgerow: &Hedgerow, name: &str) -> Result<()> {
    hedgerow.wait_for(name, "RUNNING", |found| found.state == "RUNNING").map(drop)
}

/// How often the function said that it got something like that.
pub fn got(hedgerow: &Hedgerow, name: &str, what: &str) -> Result<usize> {
    let path = hedgerow.root().join(format!("state/logs/{name}.log"));
    // There is none before it has said anything.
    let log = if path.exists() { fs::read_to_string(path)? } else { String::new() };
    Ok(log.lines().filter(|line| line.contains("got ") && line.contains(what)).count())
}

pub fn wait_for(hedgerow: &Hedgerow, name: &str, what: &str) -> Result<()> {
    let found = || Ok((got(hedgerow, name, what)? > 0).then_some(()));
    eventually(what, PATIENCE, found)
        .with_context(|| format!("{:?}; {}", hedgerow.log(name), hedgerow.complaints()))
}
