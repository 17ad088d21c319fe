//! `bench deploy`: from the command to RUNNING, everything local; what is written for it; and what it costs where
//! there is nothing to do.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hedgerow_harness::{Draft, Hedgerow};

use crate::figure::{Figure, Target};
use crate::process;
use crate::sample::Spread;
use crate::start;

/// Milliseconds above a bare start in the fence.
const ABOVE_START: f64 = 100.0;
/// Milliseconds of a command that changes nothing.
const UNCHANGED: f64 = 15.0;
/// Bytes of a deployment beside its artifacts.
const WRITTEN: f64 = 1e6;

/// Of each component's one artifact.
const ARTIFACT: usize = 100_000;

const MANY: usize = 100;
/// Each of these depends on one of the layer below it.
const LAYER: usize = 10;

pub fn measure(rounds: usize) -> Result<Vec<Figure>> {
    let mut figures = one(rounds)?;
    figures.extend(many()?);
    Ok(figures)
}

/// One component at a time, each a new one; and each once more, where it changes nothing.
fn one(rounds: usize) -> Result<Vec<Figure>> {
    let bare = milliseconds(start::bare(rounds)?);
    let hedgerow = Hedgerow::start("")?;
    let (mut fresh, mut unchanged, mut bytes, mut again) = (vec![], vec![], vec![], vec![]);
    for round in 0..rounds {
        let draft = Draft::new()?;
        let name = format!("bench.one{round}");
        component(&draft, &name, "", round)?;
        let before = written(&hedgerow)?;
        fresh.push(deploy(&hedgerow, &draft, std::slice::from_ref(&name))?);
        let deployed = written(&hedgerow)?;
        unchanged.push(deploy(&hedgerow, &draft, &[name])?);
        bytes.push(deployed.saturating_sub(before).saturating_sub(ARTIFACT as u64) as f64);
        again.push(written(&hedgerow)?.saturating_sub(deployed) as f64);
    }
    hedgerow.finish()?;
    let start = Spread::of(bare);
    let fresh = Spread::of(milliseconds(fresh));
    let above = Figure::new("deploy.one.above-start", fresh.median - start.median, "ms");
    Ok(vec![
        Figure::of("deploy.bare-start", start, "ms"),
        Figure::of("deploy.one", fresh, "ms"),
        above.held_to(Target::AtMost(ABOVE_START)),
        Figure::of("deploy.one.written", Spread::of(bytes), "B").held_to(Target::Under(WRITTEN)),
        Figure::of("deploy.unchanged", Spread::of(milliseconds(unchanged)), "ms")
            .held_to(Target::AtMost(UNCHANGED)),
        Figure::of("deploy.unchanged.written", Spread::of(again), "B").held_to(Target::AtMost(0.0)),
    ])
}

/// Many at once, in layers that wait for each other.
fn many() -> Result<Vec<Figure>> {
    let hedgerow = Hedgerow::start("")?;
    let draft = Draft::new()?;
    let name = |index: usize| format!("bench.many{index}");
    for index in 0..MANY {
        let below = index.checked_sub(LAYER).map(|below| {
            format!("ComponentDependencies: {{{}: {{VersionRequirement: 1.0.0}}}}", name(below))
        });
        component(&draft, &name(index), &below.unwrap_or_default(), index)?;
    }
    let before = written(&hedgerow)?;
    let top: Vec<String> = (MANY - LAYER..MANY).map(name).collect();
    let took = deploy(&hedgerow, &draft, &top)?;
    let bytes = written(&hedgerow)?.saturating_sub(before);
    let running = hedgerow.components()?.iter().filter(|one| one.state == "RUNNING").count();
    ensure!(running == MANY, "{running} of {MANY} run");
    let beside = bytes.saturating_sub((MANY * ARTIFACT) as u64) as f64;
    hedgerow.finish()?;
    Ok(vec![
        Figure::new("deploy.many", took.as_secs_f64() * 1e3, "ms"),
        Figure::new("deploy.many.each", took.as_secs_f64() * 1e3 / MANY as f64, "ms"),
        Figure::new("deploy.many.written", beside, "B").held_to(Target::Under(WRITTEN)),
    ])
}

/// One that runs, with an artifact that no other has.
fn component(draft: &Draft, name: &str, more: &str, number: usize) -> Result<()> {
    let text = format!(
        "RecipeFormatVersion: '2020-01-25'\nComponentName: {name}\nComponentVersion: 1.0.0\n{more}\nManifests:\n\
         - Artifacts: [{{Uri: 's3://bucket/data'}}]\n  Lifecycle: {{run: exec sleep infinity}}\n"
    );
    draft.recipe(&format!("{name}-1.0.0.yaml"), text)?;
    let content: Vec<u8> = number.to_le_bytes().into_iter().cycle().take(ARTIFACT).collect();
    draft.artifact(name, "1.0.0", "data", content)?;
    Ok(())
}

/// The whole command: it ends once everything runs.
fn deploy(hedgerow: &Hedgerow, draft: &Draft, names: &[String]) -> Result<Duration> {
    let additions: Vec<String> = names.iter().map(|name| format!("{name}=1.0.0")).collect();
    let additions: Vec<&str> = additions.iter().map(String::as_str).collect();
    let start = Instant::now();
    hedgerow.deploy(&draft.source(), &additions)?;
    Ok(start.elapsed())
}

/// By everything of ours that is resident.
fn written(hedgerow: &Hedgerow) -> Result<u64> {
    let daemon = hedgerow.daemon_pid().context("no daemon runs")?;
    let resident: BTreeMap<_, _> = process::resident(hedgerow.root(), daemon)?;
    resident.into_keys().map(process::written).sum()
}

fn milliseconds(times: Vec<Duration>) -> Vec<f64> {
    times.into_iter().map(|time| time.as_secs_f64() * 1e3).collect()
}
