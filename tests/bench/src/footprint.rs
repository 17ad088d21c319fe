//! `bench footprint`: what a Hedgerow takes of the machine while it does little.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use hedgerow_harness::{Hedgerow, Source};

use crate::components::{Components, IDLE, addition};
use crate::figure::{Figure, Target};
use crate::process;
use crate::sample::Spread;

/// Megabytes of all resident processes together.
const MEMORY: f64 = 10.0;
/// Milliseconds from exec to ready.
const READY: f64 = 60.0;

/// The examples publish once a second; by then buffers have their size.
const SETTLING: Duration = Duration::from_secs(10);

const EXAMPLES: [&str; 2] = ["com.example.sensor", "com.example.alarm"];

pub fn measure(idle: u64, rounds: usize) -> Result<Vec<Figure>> {
    let mut figures = memory()?;
    figures.extend(ready(rounds)?);
    figures.extend(writes(Duration::from_secs(idle))?);
    Ok(figures)
}

/// PSS with the two examples running; their own processes are not counted.
fn memory() -> Result<Vec<Figure>> {
    let hedgerow = Hedgerow::start("")?;
    let deployed = written(&hedgerow)?;
    deploy(&hedgerow, &hedgerow_harness::examples(), &EXAMPLES)?;
    let deployed = total(&written(&hedgerow)?) - total(&deployed);
    // Not waited for: watched, as a resident process is.
    thread::sleep(SETTLING);

    let mut figures = Vec::new();
    let mut sum = 0;
    for (pid, name) in resident(&hedgerow)? {
        let memory = process::memory(pid)?;
        sum += memory.pss;
        figures.push(Figure::new(format!("footprint.pss.{name}"), megabytes(memory.pss), "MB"));
        let anonymous = megabytes(memory.anonymous);
        figures.push(Figure::new(format!("footprint.pss.{name}.anonymous"), anonymous, "MB"));
    }
    let together = Figure::new("footprint.pss.together", megabytes(sum), "MB");
    figures.push(together.held_to(Target::AtMost(MEMORY)));
    let name = "footprint.written.examples-deployment";
    figures.push(Figure::new(name, megabytes(deployed), "MB"));
    hedgerow.finish()?;
    Ok(figures)
}

/// Exec to ready: from nothing, and where the launcher and two fences have survived the daemon.
fn ready(rounds: usize) -> Result<Vec<Figure>> {
    let components = Components::write()?;
    let mut fresh = Vec::new();
    for _ in 0..rounds {
        let mut hedgerow = Hedgerow::prepare("")?;
        fresh.push(hedgerow.start_daemon()?);
        hedgerow.finish()?;
    }
    let mut hedgerow = Hedgerow::start("")?;
    deploy(&hedgerow, &components.source(), &IDLE[..2])?;
    let mut again = Vec::new();
    for _ in 0..rounds {
        hedgerow.kill_daemon()?;
        again.push(hedgerow.start_daemon()?);
    }
    hedgerow.finish()?;
    let figure = |name: &str, times: Vec<Duration>| {
        let times = times.into_iter().map(|time| time.as_secs_f64() * 1e3);
        Figure::of(format!("footprint.ready.{name}"), Spread::of(times), "ms")
            .held_to(Target::AtMost(READY))
    };
    Ok(vec![figure("from-nothing", fresh), figure("launcher-there", again)])
}

/// Bytes to disk: one deployment beside two that are there, and idling.
fn writes(idle: Duration) -> Result<Vec<Figure>> {
    let components = Components::write()?;
    let hedgerow = Hedgerow::start("")?;
    deploy(&hedgerow, &components.source(), &IDLE[..2])?;
    let before = total(&written(&hedgerow)?);
    deploy(&hedgerow, &components.source(), &IDLE[2..])?;
    let after = written(&hedgerow)?;
    let deployment = total(&after) - before;

    thread::sleep(idle);
    let idled = total(&written(&hedgerow)?) - total(&after);
    hedgerow.finish()?;
    let name = format!("footprint.written.idle-{}-s", idle.as_secs());
    Ok(vec![
        Figure::new("footprint.written.deployment", deployment as f64, "B"),
        Figure::new(name, idled as f64, "B").held_to(Target::AtMost(0.0)),
    ])
}

fn deploy(hedgerow: &Hedgerow, source: &Source, names: &[&str]) -> Result<()> {
    let additions: Vec<String> = names.iter().map(|name| addition(name)).collect();
    hedgerow
        .deploy(source, &additions.iter().map(String::as_str).collect::<Vec<_>>())
        .with_context(|| std::fs::read_to_string(hedgerow.daemon_log()).unwrap_or_default())?;
    for name in names {
        hedgerow.wait_for(name, "runs", |one| one.state == "RUNNING")?;
    }
    Ok(())
}

fn resident(hedgerow: &Hedgerow) -> Result<BTreeMap<i32, String>> {
    process::resident(hedgerow.root(), hedgerow.daemon_pid().context("no daemon runs")?)
}

fn written(hedgerow: &Hedgerow) -> Result<BTreeMap<i32, u64>> {
    resident(hedgerow)?.into_keys().map(|pid| Ok((pid, process::written(pid)?))).collect()
}

fn total(written: &BTreeMap<i32, u64>) -> u64 {
    written.values().sum()
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
