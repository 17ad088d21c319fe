//! Functions that misbehave in every way that a runtime can: each caller gets Lambda's error, and the next caller a
//! function that works. And a daemon that is killed while events wait.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result, ensure};
use hedgerow_harness::{Hedgerow, PATIENCE, Said, eventually};
use serde_json::{Value, json};
use tempfile::TempDir;

const NAME: &str = "com.example.Hostile";

/// What fails is tried again soon.
const SOON: &str = "[[restart]]\ncomponent = '*'\ninitial-backoff = 0.05\nmax-backoff = 0.05\n";

/// Makes the function of `bootstrap.py`.
fn create(hedgerow: &Hedgerow, more: &[&str]) -> Result<Said> {
    let code = TempDir::new()?;
    let path = code.path().join("bootstrap");
    fs::write(&path, include_str!("bootstrap.py"))?;
    fs::set_permissions(&path, Permissions::from_mode(0o755))?;
    let directory = code.path().to_string_lossy();
    let mut words = vec!["function", "create", NAME, "--directory", &directory];
    words.extend(["--handler", "any", "--runtime", "provided.al2023"]);
    words.extend(more);
    let said = hedgerow.say(&words)?;
    ensure!(said.code == Some(0), "{said:?}");
    Ok(said)
}

fn invoke(hedgerow: &Hedgerow, deed: &str) -> Result<Said> {
    hedgerow.say(&["invoke", NAME, "--payload", &json!({ "do": deed }).to_string()])
}

fn success(hedgerow: &Hedgerow, deed: &str) -> Result<Value> {
    let said = invoke(hedgerow, deed)?;
    ensure!(said.code == Some(0), "{deed}: {said:?}\n{}", hedgerow.log(NAME)?);
    serde_json::from_str(&said.stdout).with_context(|| format!("{deed}: {said:?}"))
}

/// Fails unless the caller gets an error of that type whose message has that text.
fn failure(hedgerow: &Hedgerow, deed: &str, error_type: &str, text: &str) -> Result<()> {
    let said = invoke(hedgerow, deed)?;
    ensure!(said.code == Some(1), "{deed}: {said:?}");
    let error: Value =
        serde_json::from_str(&said.stdout).with_context(|| format!("{deed}: {said:?}"))?;
    let is_right = error["errorType"] == error_type
        && error["errorMessage"].as_str().is_some_and(|message| message.contains(text));
    ensure!(is_right, "{deed}: {error}");
    Ok(())
}

#[test]
fn callers_get_the_right_error_and_the_pool_goes_on() -> Result<()> {
    let hedgerow = Hedgerow::start(SOON)?;
    create(&hedgerow, &["--timeout", "2", "--memory", "256"])?;
    hedgerow.run(&["config", "set", NAME, "/hedgerow/ephemeralStorageInMB=8"])?;
    for (deed, error_type, text) in [
        ("exits", "Runtime.ExitError", "Runtime exited with error: exit status 3"),
        ("is_killed", "Runtime.ExitError", "Runtime exited with error: signal: killed"),
        ("leaves", "Runtime.ExitError", "Runtime exited without providing a reason"),
        ("cuts_its_answer", "Runtime.ExitError", "Runtime exited with error: exit status 5"),
        ("hangs", "Sandbox.Timedout", "Task timed out after 2.00 seconds"),
        ("drips_its_answer", "Sandbox.Timedout", "Task timed out after 2.00 seconds"),
        ("fails", "My.Error", "it does not want to"),
        ("answers_a_gibibyte", "Function.ResponseSizeTooLarge", "exceeded maximum allowed"),
        ("eats_memory", "Runtime.OutOfMemory", "signal: killed"),
    ] {
        failure(&hedgerow, deed, error_type, text)?;
        ensure!(success(&hedgerow, "echo")? == "well", "after {deed}");
    }
    for (deed, answer) in [
        ("answers_another", json!({ "status": 400 })),
        ("sends_garbage", json!("hung up")),
        ("drips", json!("dripping")),
        ("answers_twice", json!("first")),
        // EAGAIN and ENOSPC.
        ("forks", json!({ "limited": true, "error": 11 })),
        ("fills_its_disk", json!({ "errno": 28, "written": 8 << 20 })),
    ] {
        let found = success(&hedgerow, deed)?;
        ensure!(found == answer, "{deed}: {found}");
        ensure!(success(&hedgerow, "echo")? == "well", "after {deed}");
    }
    let log = hedgerow.log(NAME)?;
    for line in ["its last words", "first 202, second 400", "Status: timeout", "REPORT RequestId:"]
    {
        ensure!(log.contains(line), "{line:?} is not in {log}");
    }
    ensure!(daemons_peak(&hedgerow)? < 128 << 20, "the daemon kept what it should throw away");
    hedgerow.finish()
}

/// Most bytes of memory that the daemon had so far.
fn daemons_peak(hedgerow: &Hedgerow) -> Result<u64> {
    let pid = hedgerow.daemon_pid().context("no daemon runs")?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kilobytes.context("no VmHWM")? * 1024)
}

#[test]
fn a_function_that_does_not_begin_says_why() -> Result<()> {
    for (begins, error_type, text) in [
        ("with an error", "My.InitError", "nothing works"),
        ("with an exit", "Runtime.ExitError", "exit status 7"),
        ("never", "Sandbox.Timedout", "timed out after 1.00 seconds"),
    ] {
        let hedgerow = Hedgerow::start(SOON)?;
        create(&hedgerow, &[])?;
        ensure!(success(&hedgerow, "echo")? == "well");
        hedgerow.run(&["config", "set", NAME, "/hedgerow/initTimeoutInSeconds=1"])?;
        let variable = format!("/lambdaExecutionParameters/EnvironmentVariables/BEGINS={begins}");
        hedgerow.run(&["config", "set", NAME, &variable])?;
        failure(&hedgerow, "echo", error_type, text)?;
        hedgerow.finish()?;
    }
    Ok(())
}

/// Numbers of the `counted` lines in its log, in order.
fn counted(hedgerow: &Hedgerow) -> Result<Vec<u32>> {
    let log = hedgerow.log(NAME)?;
    let numbers = log.lines().filter_map(|line| line.rsplit_once("counted ")?.1.parse().ok());
    let mut numbers: Vec<u32> = numbers.collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Processes that run the function's code.
fn instances(hedgerow: &Hedgerow) -> BTreeSet<i32> {
    let traces = hedgerow.traces();
    let code = traces.in_fences().filter(|(_, line)| line.contains("/var/task/bootstrap"));
    code.map(|(pid, _)| *pid).collect()
}

#[test]
fn a_killed_daemon_loses_no_event_and_leaves_no_instance() -> Result<()> {
    const EVENTS: u32 = 24;
    let mut hedgerow = Hedgerow::start(SOON)?;
    create(&hedgerow, &["--max-instances", "1", "--timeout", "10"])?;
    for number in 0..EVENTS {
        let event = json!({ "do": "counts", "number": number }).to_string();
        hedgerow.run(&["invoke", NAME, "--async", "--payload", &event])?;
    }
    let before = instances(&hedgerow);
    ensure!(before.len() == 1, "{before:?}");
    hedgerow.kill_daemon()?;
    hedgerow.start_daemon()?;
    eventually("every event is delivered", PATIENCE, || {
        let mut numbers = counted(&hedgerow)?;
        numbers.dedup();
        Ok((numbers == (0..EVENTS).collect::<Vec<_>>()).then_some(()))
    })
    .map_err(|error| error.context(format!("{:?}", counted(&hedgerow))))?;
    let after = instances(&hedgerow);
    ensure!(after.len() <= 1 && after.is_disjoint(&before), "{before:?} {after:?}");
    hedgerow.finish()
}
