//! `cargo xtask demo`: two components on the unmodified AWS SDK, watched for ten seconds; then the daemon is
//! killed and started again.

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

const COMPONENTS: [&str; 2] = ["com.example.sensor", "com.example.alarm"];
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

    parts.run("deploy the sensor and the alarm", |part| {
        let source = hedgerow_harness::examples();
        let mut deploy = hedgerow.command();
        deploy.arg("deploy").arg("--recipe-dir").arg(&source.recipes);
        if let Some(artifacts) = &source.artifacts {
            deploy.arg("--artifact-dir").arg(artifacts);
        }
        for name in COMPONENTS {
            deploy.arg("--add").arg(format!("{name}={VERSION}"));
        }
        shown(part, deploy)
    })?;
    proven.push(
        "two ordinary Greengrass recipes on the unmodified awsiotsdk run, each in its own fence"
            .to_owned(),
    );

    let seen = parts.run("watch them for ten seconds", |part| {
        live::watch(part, &hedgerow, Duration::from_secs(10))
    })?;
    ensure!(seen.readings > 0 && seen.alarms > 0, "no messages were seen: {seen:?}");
    proven.push(format!(
        "{} real readings and {} alarms over a threshold from the recipe went over IPC",
        seen.readings, seen.alarms
    ));

    let before = parts.run("kill the daemon with SIGKILL", |part| kill(part, &mut hedgerow))?;
    parts.run("start it again", |part| {
        let took = hedgerow.start_daemon()?;
        part.say(&format!("ready after {}", milliseconds(took)));
        Ok(())
    })?;
    let fates = parts.run("see both back as desired", |part| back(part, &hedgerow, &before))?;
    proven.push(
        "after SIGKILL of the daemon both components are RUNNING again, as was desired".to_owned(),
    );
    proven.extend(fates);

    parts.run("messages flow again", |_| {
        hedgerow.run(&["topic", "sub", "--count", "1", "alarms/host"]).map(drop)
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

/// Waits for both to run, and says for each whether it ever stopped.
fn back(
    part: &Part,
    hedgerow: &Hedgerow,
    before: &BTreeMap<String, Component>,
) -> Result<Vec<String>> {
    let mut fates = Vec::new();
    for name in COMPONENTS {
        let old = before.get(name).with_context(|| format!("{name} was not there"))?;
        let now = eventually(&format!("{name} runs again"), PATIENCE, || {
            let now = hedgerow.component(name)?;
            Ok((now.state == "RUNNING" && now.pid != 0).then_some(now))
        })?;
        let fate = if now.pid == old.pid {
            format!("{name} never stopped: process {} all along", now.pid)
        } else {
            format!(
                "{name} was replaced (process {}, now {}): its SDK does not connect again",
                old.pid, now.pid
            )
        };
        part.say(&fate);
        fates.push(fate);
    }
    Ok(fates)
}

fn milliseconds(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}
