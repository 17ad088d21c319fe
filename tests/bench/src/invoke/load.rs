//! A thousand invocations per second over fifty functions, through the shipped daemon.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hedgerow_api::FunctionProxy;
use hedgerow_harness::Hedgerow;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::deployed::{Caller, deploy_many, echo};
use crate::figure::{Figure, Target};
use crate::process;
use crate::sample::percentile;

const FUNCTIONS: usize = 50;
const RATE: usize = 1000;

/// Invocations that wait for their answer: the bus allows a connection few more.
const AT_ONCE: usize = 100;

/// The bus tells what functions did once a second.
const COUNTED: Duration = Duration::from_secs(3);

/// Megabytes that the daemon may have more after the load than once all functions ran.
const GROWTH: f64 = 8.0;

pub fn measure(seconds: u64) -> Result<Vec<Figure>> {
    let hedgerow = Hedgerow::start("")?;
    let daemon = hedgerow.daemon_pid().context("no daemon runs")?;
    let names = deploy_many(&hedgerow, FUNCTIONS)?;
    let caller = Caller::connect(hedgerow.root())?;
    let functions: Vec<_> =
        names.iter().map(|name| Ok(Arc::new(caller.function(name)?))).collect::<Result<_>>()?;
    // Cold starts are measured elsewhere.
    for function in &functions {
        caller.invoke(function)?;
    }
    let before = process::memory(daemon)?;
    let count = RATE * usize::try_from(seconds)?;
    let start = Instant::now();
    let mut times = caller.block_on(load(&functions, count))?;
    let took = start.elapsed();
    let after = process::memory(daemon)?;

    // Not waited for but outlasted: one that ran twice would be counted later still.
    thread::sleep(COUNTED);
    let mut ran = 0;
    for function in &functions {
        ran += caller.block_on(function.invocations())?;
    }
    hedgerow.finish()?;
    ensure!(ran >= (count + FUNCTIONS) as u64, "only {ran} invocations are counted");
    let answered = times.len();
    let twice = ran as f64 - (count + FUNCTIONS) as f64;
    let growth = (after.anonymous as f64 - before.anonymous as f64) / 1e6;
    let rate = answered as f64 / took.as_secs_f64();
    Ok(vec![
        // Of a schedule that is kept, the last invocation goes out at its end.
        Figure::new("invoke.load.rate", rate, "/s").held_to(Target::AtLeast(RATE as f64 * 0.99)),
        Figure::new("invoke.load.lost", (count - answered) as f64, "").held_to(Target::AtMost(0.0)),
        Figure::new("invoke.load.twice", twice, "").held_to(Target::AtMost(0.0)),
        Figure::new("invoke.load.p50", percentile(&mut times, 50.0), "ms"),
        Figure::new("invoke.load.p99", percentile(&mut times, 99.0), "ms"),
        Figure::new("invoke.load.growth", growth, "MB").held_to(Target::AtMost(GROWTH)),
    ])
}

/// Milliseconds of each that was answered rightly. They go out by the clock, however long others take, unless too many
/// of them wait.
async fn load(functions: &[Arc<FunctionProxy<'static>>], count: usize) -> Result<Vec<f64>> {
    let mut clock = interval(Duration::from_secs(1) / u32::try_from(RATE)?);
    clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut running = JoinSet::new();
    let free = Arc::new(Semaphore::new(AT_ONCE));
    for number in 0..count {
        clock.tick().await;
        let place = Arc::clone(&free).acquire_owned().await?;
        let function = Arc::clone(&functions[number % functions.len()]);
        running.spawn(async move {
            let start = Instant::now();
            let answered = echo(&function, &number.to_string()).await;
            drop(place);
            answered.map(|()| start.elapsed().as_secs_f64() * 1e3)
        });
    }
    let mut times = Vec::with_capacity(count);
    let mut first_failure = None;
    while let Some(ended) = running.join_next().await {
        match ended? {
            Ok(time) => times.push(time),
            Err(error) => first_failure = first_failure.or(Some(error)),
        }
    }
    if let Some(error) = first_failure {
        eprintln!("an invocation failed: {error:#}");
    }
    Ok(times)
}
