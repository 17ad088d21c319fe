//! `bench start`: from nothing to the exit of `/bin/true` and the end of everything made for it.
//!
//! Ours is a fence opened by the shipped launcher, one step, and the fence closed. The references run the same
//! OCI configuration, that of [`hedgerow_launcher::spec`], on the same root tree; for that this process enters the
//! launcher's mount namespace. They do not start an init or install the steps' seccomp filter, which ours does.

pub mod launcher;
mod peer;

use std::time::Duration;

use anyhow::{Context, Result};

use crate::figure::{Figure, Target};
use crate::sample::{Spread, percentile};
use launcher::Launcher;
use peer::{Peer, Stage};

/// Not counted: what is read from disk for the first time.
const WARM_UP: usize = 3;

pub fn measure(rounds: usize) -> Result<Vec<Figure>> {
    let mut launcher = Launcher::start()?;
    let plan = launcher.plan()?;
    // Once, so that the launcher has made the directories that the plan mounts.
    launcher.cold(&plan)?;
    let stage = Stage::enter(&launcher, &plan)?;
    let crun = Peer::find("crun")?;
    let runc = Peer::find("runc")?;

    let (mut ours, mut cruns, mut runcs) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..WARM_UP + rounds {
        let took = (launcher.cold(&plan)?.whole, crun.cold(&stage)?, runc.cold(&stage)?);
        if round >= WARM_UP {
            ours.push(took.0);
            cruns.push(took.1);
            runcs.push(took.2);
        }
    }
    drop(stage);
    launcher.stop().context("the launcher does not end")?;

    let [ours, cruns, runcs] = [ours, cruns, runcs].map(milliseconds);
    let ratio = Spread::of(ours.iter().zip(&cruns).map(|(ours, crun)| ours / crun));
    let mut cold = Figure::new("start.cold", median(&ours) / median(&cruns), "x crun");
    cold.spread = Some([ratio.least, ratio.greatest]);
    Ok(vec![
        Figure::of("start.fence.p50", Spread::of(ours.clone()), "ms"),
        Figure::new("start.fence.p95", percentile(&mut ours.clone(), 95.0), "ms"),
        Figure::of("start.crun.p50", Spread::of(cruns.clone()), "ms"),
        Figure::new("start.crun.p95", percentile(&mut cruns.clone(), 95.0), "ms"),
        Figure::of("start.runc.p50", Spread::of(runcs.clone()), "ms"),
        Figure::new("start.runc.p95", percentile(&mut runcs.clone(), 95.0), "ms"),
        cold.held_to(Target::AtMost(1.0)),
    ])
}

/// From nothing to a started step, in a fence of its own each time.
pub fn bare(rounds: usize) -> Result<Vec<Duration>> {
    let mut launcher = Launcher::start()?;
    let plan = launcher.plan()?;
    let mut times = Vec::new();
    for round in 0..WARM_UP + rounds {
        let took = launcher.cold(&plan)?.started;
        if round >= WARM_UP {
            times.push(took);
        }
    }
    launcher.stop().context("the launcher does not end")?;
    Ok(times)
}

fn milliseconds(times: Vec<Duration>) -> Vec<f64> {
    times.into_iter().map(|time| time.as_secs_f64() * 1e3).collect()
}

fn median(values: &[f64]) -> f64 {
    Spread::of(values.iter().copied()).median
}
