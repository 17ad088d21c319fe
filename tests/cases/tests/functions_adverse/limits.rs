//! Too much of everything: each limit refuses, and says what it is and how it is raised.

use std::fs;

use anyhow::{Context, Result, ensure};
use hedgerow_harness::{Hedgerow, PATIENCE, eventually};

use super::bootstrap::create;

const NAME: &str = "com.example.Limited";

/// What the command says on its standard error stream; it must fail.
fn refusal(hedgerow: &Hedgerow, words: &[&str]) -> Result<String> {
    let said = hedgerow.say(words)?;
    ensure!(said.code == Some(1), "{words:?}: {said:?}");
    Ok(said.stderr)
}

fn says(text: &str, parts: &[&str]) -> Result<()> {
    for part in parts {
        ensure!(text.contains(part), "{part:?} is not in {text:?}");
    }
    Ok(())
}

/// Seconds since boot, suspension included (`CLOCK_BOOTTIME`).
fn uptime() -> Result<f64> {
    let text = fs::read_to_string("/proc/uptime")?;
    Ok(text.split(' ').next().context("/proc/uptime is empty")?.parse()?)
}

#[test]
fn each_limit_refuses_with_its_key() -> Result<()> {
    let hedgerow = Hedgerow::start("[function]\nqueue-max-size = 1500000\n")?;
    create(&hedgerow, NAME, &["--max-instances", "1", "--timeout", "3"])?;
    let set = |words: &[&str]| hedgerow.run(&[&["config", "set", NAME], words].concat());
    set(&[
        "/maxQueueSize=1",
        "/hedgerow/initTimeoutInSeconds=1",
        "/hedgerow/deadLetterTopic=dead",
    ])?;
    let files = tempfile::tempdir()?;
    let payload = |size: usize| -> Result<String> {
        let path = files.path().join(size.to_string());
        fs::write(&path, format!(r#"{{"pad":"{}"}}"#, "x".repeat(size - 10)))?;
        Ok(format!("@{}", path.display()))
    };

    // Sizes.
    let (large, huge) = (payload(1_050_000)?, payload(6_300_000)?);
    let text = refusal(&hedgerow, &["invoke", NAME, "--payload", &huge])?;
    says(&text, &["payload", "6291456"])?;
    let text = refusal(&hedgerow, &["invoke", NAME, "--async", "--payload", &large])?;
    says(&text, &["1050000", "1048576"])?;

    // Concurrency: one runs, one waits, the third is refused; who waits is refused in its time.
    let spawn = |payload: &str| {
        let mut command = hedgerow.command();
        command.args(["invoke", NAME, "--payload", payload]);
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped()).spawn()
    };
    let slow = r#"{"sleep":2.8}"#;
    let first = spawn(slow)?;
    let shown = || -> Result<serde_json::Value> {
        Ok(serde_json::from_str(&hedgerow.run(&["--json", "function", "show", NAME])?)?)
    };
    eventually("one runs", PATIENCE, || Ok((shown()?["instances"]["busy"] == 1).then_some(())))?;
    let second = spawn(slow)?;
    eventually("one waits", PATIENCE, || Ok((shown()?["waiting"] == 1).then_some(())))?;
    let text = refusal(&hedgerow, &["invoke", NAME])?;
    says(&text, &[NAME, "1 invocations wait already", "maxQueueSize"])?;
    for waited in [first, second] {
        let said = waited.wait_with_output()?;
        ensure!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    }

    // Events: as many as the queue is long, and as many bytes as all may have.
    hedgerow.run(&["stop", NAME])?;
    hedgerow.run(&["invoke", NAME, "--async"])?;
    let text = refusal(&hedgerow, &["invoke", NAME, "--async"])?;
    says(&text, &[NAME, "1 events wait already", "maxQueueSize"])?;
    set(&["/maxQueueSize=100"])?;
    let large = payload(1_000_000)?;
    hedgerow.run(&["invoke", NAME, "--async", "--payload", &large])?;
    let text = refusal(&hedgerow, &["invoke", NAME, "--async", "--payload", &large])?;
    says(&text, &["1500000 bytes", "function.queue-max-size"])?;

    // Age: what is too old when the function runs again is given up, and says so where it can.
    set(&["/hedgerow/maxEventAgeInSeconds=1"])?;
    eventually("its events are too old", PATIENCE, || {
        let oldest = &shown()?["queue_oldest"]["boottime"];
        let born = oldest.as_f64().context("of no event")? / 1e9;
        Ok((uptime()? > born + 2.0).then_some(()))
    })?;
    hedgerow.run(&["start", NAME])?;
    eventually("its events are given up", PATIENCE, || {
        Ok(hedgerow
            .log(NAME)?
            .contains("is given up (EventAgeExceeded); told on topic")
            .then_some(()))
    })?;
    hedgerow.finish()
}
