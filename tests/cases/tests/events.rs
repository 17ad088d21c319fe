//! Events of functions: stored before they count, delivered after any crash, and where they come from.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result, ensure};
use hedgerow_harness::{Hedgerow, PATIENCE, Start, eventually};
use tempfile::TempDir;

const NAME: &str = "com.example.Events";

/// A custom runtime: says what it gets and in which context, and fails where it is told to.
const BOOTSTRAP: &str = r#"#!/usr/bin/python3
import http.client, json, os
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
base = "/2018-06-01/runtime/invocation/"
while True:
    api.request("GET", base + "next")
    answer = api.getresponse()
    event = json.loads(answer.read())
    request = base + answer.headers["Lambda-Runtime-Aws-Request-Id"]
    print("got", json.dumps(event), answer.headers["Lambda-Runtime-Client-Context"], flush=True)
    fails = "fail" in event
    body = '{"errorType": "Told", "errorMessage": "as told"}' if fails else "null"
    api.request("POST", request + ("/error" if fails else "/response"), body)
    api.getresponse().read()
"#;

/// Makes the function, which hears topics `in/#`.
fn create(hedgerow: &Hedgerow, more: &[&str]) -> Result<()> {
    let code = tempfile::tempdir()?;
    let path = code.path().join("bootstrap");
    fs::write(&path, BOOTSTRAP)?;
    fs::set_permissions(&path, Permissions::from_mode(0o755))?;
    let directory = code.path().display().to_string();
    let words = ["function", "create", NAME, "--directory", &directory, "--handler", "any"];
    let more = [&["--runtime", "provided.al2023", "--topic", "in/#"], more].concat();
    hedgerow.run(&[&words[..], &more].concat())?;
    hedgerow.wait_for(NAME, "RUNNING", |found| found.state == "RUNNING")?;
    Ok(())
}

fn publish(hedgerow: &Hedgerow, payload: &str) -> Result<()> {
    hedgerow.run(&["topic", "pub", "--json-payload", "in/a", payload])?;
    Ok(())
}

/// How often the function said that it got something like that.
fn got(hedgerow: &Hedgerow, what: &str) -> Result<usize> {
    let path = hedgerow.root().join(format!("state/logs/{NAME}.log"));
    // There is none before it has said anything.
    let log = if path.exists() { fs::read_to_string(path)? } else { String::new() };
    Ok(log.lines().filter(|line| line.contains("got ") && line.contains(what)).count())
}

fn wait_for(hedgerow: &Hedgerow, what: &str, times: usize) -> Result<()> {
    let got = eventually(what, PATIENCE, || Ok((got(hedgerow, what)? >= times).then_some(())));
    got.with_context(|| format!("{:?}; {}", hedgerow.log(NAME), hedgerow.complaints()))
}

/// The next daemon, which ends at that commit: before or after it is ready.
fn start_until(hedgerow: &mut Hedgerow, crash_at: &str) -> Result<()> {
    // Whether it was ready by then does not matter.
    let _ = hedgerow.start_daemon_with(Start { crash_at: Some(crash_at), ..Start::default() });
    hedgerow.await_crash()
}

#[test]
fn an_event_that_was_stored_outlives_any_crash() -> Result<()> {
    let mut hedgerow = Hedgerow::start("")?;
    create(&hedgerow, &[])?;
    hedgerow.kill_daemon()?;
    let crash_at = Some("enqueue:after");
    hedgerow.start_daemon_with(Start { crash_at, ..Start::default() })?;
    hedgerow.wait_for(NAME, "RUNNING", |found| found.state == "RUNNING")?;
    publish(&hedgerow, r#"{"n":1}"#)?;
    hedgerow.await_crash()?;
    ensure!(got(&hedgerow, r#"{"n": 1}"#)? == 0);

    start_until(&mut hedgerow, "complete:before")?;
    ensure!(got(&hedgerow, r#"{"n": 1}"#)? == 1);
    start_until(&mut hedgerow, "complete:after")?;
    ensure!(got(&hedgerow, r#"{"n": 1}"#)? == 2);
    hedgerow.start_daemon()?;
    hedgerow.wait_for(NAME, "RUNNING", |found| found.state == "RUNNING")?;
    publish(&hedgerow, r#"{"n":2}"#)?;
    wait_for(&hedgerow, r#"{"n": 2}"#, 1)?;
    ensure!(got(&hedgerow, r#"{"n": 1}"#)? == 2, "what was completed came again");
    hedgerow.finish()
}

#[test]
fn events_come_from_topics_schedules_and_files_and_end_as_dead_letters() -> Result<()> {
    let watched = TempDir::new()?;
    fs::set_permissions(watched.path(), Permissions::from_mode(0o755))?;
    let path = watched.path().display().to_string();
    let hedgerow = Hedgerow::start(&format!(
        "[[grant]]\ncomponent = '{NAME}'\nhost-paths = [{{ path = '{path}', target = '/mnt' }}]\n"
    ))?;
    create(&hedgerow, &["--schedule", "rate(2 seconds)"])?;
    publish(&hedgerow, r#"{"n":1}"#)?;
    wait_for(&hedgerow, r#"{"n": 1} {"custom":{"subject":"in/a"}}"#, 1)?;
    wait_for(&hedgerow, r#""detail-type": "Scheduled Event""#, 2)?;

    hedgerow.run(&[
        "config",
        "set",
        NAME,
        r#"/hedgerow/files={"0":{"path":"/mnt/in"},"1":{"path":"/etc/secret"}}"#,
        "/hedgerow/deadLetterTopic=dead",
        "/hedgerow/maxRetryAttempts=0",
        "/hedgerow/schedules={}",
    ])?;
    // It says so once its sources are those of the new configuration.
    eventually("what it cannot watch", PATIENCE, || {
        Ok(hedgerow.log(NAME)?.contains("/etc/secret: it is neither below").then_some(()))
    })?;
    fs::create_dir(watched.path().join("in"))?;
    fs::write(watched.path().join("in/reading"), "text")?;
    wait_for(&hedgerow, r#"{"path": "/mnt/in/reading", "kind": "created"}"#, 1)?;

    let mut told = hedgerow.command();
    let told =
        told.args(["topic", "sub", "--count", "1", "dead"]).stdout(std::process::Stdio::piped());
    let mut told = told.spawn()?;
    eventually("a dead letter", PATIENCE, || {
        publish(&hedgerow, r#"{"fail":true}"#)?;
        Ok(told.try_wait()?)
    })?;
    let told = String::from_utf8(told.wait_with_output()?.stdout)?;
    for part in
        [r#""condition":"RetriesExhausted""#, r#""requestPayload":{"fail":true}"#, "as told"]
    {
        ensure!(told.contains(part), "{part}: {told}");
    }
    hedgerow.finish()
}
