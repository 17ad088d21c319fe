//! Two hundred functions that have nothing to do, each with a frozen instance; a few have the fence of their next one.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hedgerow_harness::Hedgerow;

use super::deployed::{Caller, deploy_many};
use crate::figure::{Figure, Target};
use crate::process;

const FUNCTIONS: usize = 200;

/// As by default.
const PREPARED: usize = 4;

/// Kilobytes of all our processes, for each function.
const MEMORY: f64 = 250.0;

/// The last instance is frozen and what was done for it is over.
const SETTLING: Duration = Duration::from_secs(5);

pub fn measure(seconds: u64) -> Result<Vec<Figure>> {
    let hedgerow = Hedgerow::start(&format!("[function]\nprepared-fences = {PREPARED}\n"))?;
    let before = memory(&hedgerow)?;
    let names = deploy_many(&hedgerow, FUNCTIONS)?;
    let deployed = memory(&hedgerow)?;
    let caller = Caller::connect(hedgerow.root())?;
    for name in &names {
        caller.invoke(&caller.function(name)?)?;
    }
    drop(caller);
    // Not waited for: watched, as idle processes are.
    thread::sleep(SETTLING);
    let frozen = memory(&hedgerow)?;
    let fences = resident(&hedgerow)?.values().filter(|name| name.contains("init")).count();
    let expected = FUNCTIONS + PREPARED;
    ensure!(fences == expected, "{fences} fences are there of {expected}");
    let (ticks, wakeups) = activity(&hedgerow)?;
    thread::sleep(Duration::from_secs(seconds));
    let (ticks_after, wakeups_after) = activity(&hedgerow)?;
    hedgerow.finish()?;
    let each = |now: u64| (now as f64 - before as f64) / 1e3 / FUNCTIONS as f64;
    let (ticks, wakeups) = (ticks_after - ticks, wakeups_after - wakeups);
    Ok(vec![
        Figure::new("invoke.idle.pss.deployed", each(deployed), "kB each"),
        Figure::new("invoke.idle.pss.frozen", each(frozen), "kB each")
            .held_to(Target::Under(MEMORY)),
        Figure::new(format!("invoke.idle.cpu-{seconds}-s"), ticks as f64, "ticks")
            .held_to(Target::AtMost(0.0)),
        Figure::new(format!("invoke.idle.wakeups-{seconds}-s"), wakeups as f64, ""),
    ])
}

fn resident(hedgerow: &Hedgerow) -> Result<BTreeMap<i32, String>> {
    process::resident(hedgerow.root(), hedgerow.daemon_pid().context("no daemon runs")?)
}

/// PSS in bytes.
fn memory(hedgerow: &Hedgerow) -> Result<u64> {
    resident(hedgerow)?.into_keys().map(|pid| Ok(process::memory(pid)?.pss)).sum()
}

/// Clock ticks of CPU, and how often they gave the CPU up to wait.
fn activity(hedgerow: &Hedgerow) -> Result<(u64, u64)> {
    let (mut ticks, mut wakeups) = (0, 0);
    for pid in resident(hedgerow)?.into_keys() {
        ticks += process::cpu(pid)?;
        wakeups += process::waits(pid)?;
    }
    Ok((ticks, wakeups))
}
