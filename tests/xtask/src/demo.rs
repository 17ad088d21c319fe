//! `cargo xtask demo`: a component and two Lambda functions on the unmodified AWS SDK, one of which classifies with a
//! model, watched for ten seconds; then the daemon is killed and started again.

mod live;

use std::collections::BTreeMap;
use std::env;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hedgerow_harness::{Component, Hedgerow, PATIENCE, eventually};

use crate::command::{as_root, shown};
use crate::needs::Purpose;
use crate::parts::{Part, Parts};
use crate::{build, examples, setup};

const SENSOR: &str = "com.example.sensor";
const FUNCTIONS: [&str; 2] = ["com.example.alarm", "com.example.classify"];
const VERSION: &str = "1.0.0";

/// Prepares as the caller and shows as root.
pub fn run(parts: &mut Parts) -> Result<()> {
    setup::install(parts, &[Purpose::Demo])?;
    build::release(parts)?;
    examples::lay_out(parts)?;
    let this = env::current_exe()?;
    let mut show = as_root(this.to_str().context("a path that is not text")?);
    show.arg("demo-as-root");
    parts.run("the show, as root", |part| shown(part, show))
}

/// The show itself.
pub fn show(parts: &mut Parts) -> Result<()> {
    let mut proven = Vec::new();
    let mut hedgerow = parts.run("start Hedgerow on a private bus", |part| {
        let mut hedgerow = Hedgerow::prepare("")?;
        let took = hedgerow.start_daemon()?;
        part.say(&format!(
            "root {}, ready after {}",
            hedgerow.root().display(),
            milliseconds(took)
        ));
        Ok(hedgerow)
    })?;

    parts.run("deploy the sensor and two functions of its readings", |part| {
        let source = hedgerow_harness::examples();
        let mut deploy = hedgerow.command();
        deploy.arg("deploy").arg("--recipe-dir").arg(&source.recipes);
        if let Some(artifacts) = &source.artifacts {
            deploy.arg("--artifact-dir").arg(artifacts);
        }
        for name in [SENSOR].iter().chain(&FUNCTIONS) {
            deploy.arg("--add").arg(format!("{name}={VERSION}"));
        }
        shown(part, deploy)
    })?;
    proven.push(
        "an ordinary Greengrass component and two Lambda functions on the unmodified awsiotsdk and awslambdaric run, each \
         in fences of its own"
            .to_owned(),
    );

    let seen = parts.run("watch them for ten seconds", |part| {
        live::watch(part, &hedgerow, Duration::from_secs(10))
    })?;
    ensure!(
        seen.readings > 0 && seen.alarms > 0 && seen.classes > 0,
        "no messages were seen: {seen:?}"
    );
    proven.push(format!(
        "{} real readings went over IPC; each invoked a function that raised {} alarms over a threshold from its recipe, \
         and one that told the class of {} with ONNX Runtime",
        seen.readings, seen.alarms, seen.classes
    ));

    let before = parts.run("kill the daemon with SIGKILL", |part| kill(part, &mut hedgerow))?;
    parts.run("start it again", |part| {
        let took = hedgerow.start_daemon()?;
        part.say(&format!("ready after {}", milliseconds(took)));
        Ok(())
    })?;
    let fates = parts.run("see them back as desired", |part| back(part, &hedgerow, &before))?;
    proven.push("after SIGKILL of the daemon all are RUNNING again, as was desired".to_owned());
    proven.extend(fates);

    parts.run("messages flow again", |_| {
        for topic in ["alarms/host", "classes/host"] {
            hedgerow.run(&["topic", "sub", "--count", "1", topic])?;
        }
        Ok(())
    })?;

    parts.run("stop in order and look for remains", |_| hedgerow.finish())?;
    proven.push("no process, mount, cgroup or file of it is left".to_owned());

    println!("\nProven:");
    for fact in proven {
        println!("  - {fact}");
    }
    Ok(())
}

/// Kills the daemon and returns the components as they were, once each is seen alive without it.
fn kill(part: &Part, hedgerow: &mut Hedgerow) -> Result<BTreeMap<String, Component>> {
    let before: BTreeMap<String, Component> =
        hedgerow.components()?.into_iter().map(|one| (one.name.clone(), one)).collect();
    let daemon = hedgerow.daemon_pid().context("no daemon")?;
    hedgerow.kill_daemon()?;
    part.say(&format!("hedgerowd, process {daemon}, is gone"));
    Ok(before)
}

/// Waits for all to run, and says whether the sensor ever stopped.
fn back(
    part: &Part,
    hedgerow: &Hedgerow,
    before: &BTreeMap<String, Component>,
) -> Result<Vec<String>> {
    let old = before.get(SENSOR).with_context(|| format!("{SENSOR} was not there"))?;
    let now = eventually(&format!("{SENSOR} runs again"), PATIENCE, || {
        let now = hedgerow.component(SENSOR)?;
        Ok((now.state == "RUNNING" && now.pid != 0).then_some(now))
    })?;
    let mut fates = vec![if now.pid == old.pid {
        format!("{SENSOR} never stopped: process {} all along", now.pid)
    } else {
        format!(
            "{SENSOR} was replaced (process {}, now {}): its SDK does not connect again",
            old.pid, now.pid
        )
    }];
    for name in FUNCTIONS {
        eventually(&format!("{name} runs again"), PATIENCE, || {
            Ok((hedgerow.component(name)?.state == "RUNNING").then_some(()))
        })?;
    }
    fates.push(
        "the functions' instances went with the daemon; new ones start as events come".to_owned(),
    );
    for fate in &fates {
        part.say(fate);
    }
    Ok(fates)
}

fn milliseconds(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}
