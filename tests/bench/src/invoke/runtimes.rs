//! Unmodified runtimes of functions: on our Runtime API and pool, and on a server that does nothing.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Result, ensure};
use bytes::Bytes;
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::EVENT;
use super::bare::{Function, Language};
use super::nothing::Nothing;
use super::room::{Room, block_on};
use crate::figure::{Figure, Target};
use crate::process;
use crate::sample::{Spread, percentile};

/// At most so many times what the same runtime takes for nothing.
const RATIO: f64 = 1.3;

const WARM_UP: usize = 500;
const EVENTS: usize = 3000;

/// One round, in a process of its own.
#[derive(Args)]
pub struct RuntimeRound {
    #[arg(long)]
    against: Against,
    #[arg(long)]
    cpu: usize,
    #[command(flatten)]
    function: Function,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Against {
    Room,
    Nothing,
}

/// Microseconds from one answer to the next.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Measured {
    median: f64,
}

pub fn measure(rounds: usize) -> Result<Vec<Figure>> {
    let [first, second] = process::cpus()?;
    let mut figures = Vec::new();
    for language in [Language::Rust, Language::Python, Language::Node] {
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            ours.push(round(Against::Room, language, first, second)?);
            bare.push(round(Against::Nothing, language, first, second)?);
        }
        let ratio = Spread::of(ours.iter().zip(&bare).map(|(ours, bare)| ours / bare));
        let name = |what: &str| format!("invoke.{}.{what}", language.name());
        let ratio = Figure::of(name("ratio"), ratio, "x nothing");
        figures.extend([
            Figure::of(name("p50"), Spread::of(ours), "us"),
            Figure::of(name("nothing.p50"), Spread::of(bare), "us"),
            // Of a runtime that itself takes next to nothing this is the cost of ours: not held to anything here.
            match language {
                Language::Rust => ratio,
                Language::Python | Language::Node => ratio.held_to(Target::AtMost(RATIO)),
            },
        ]);
    }
    Ok(figures)
}

fn round(against: Against, language: Language, cpu: usize, function_cpu: usize) -> Result<f64> {
    let mut command = Command::new(std::env::current_exe()?);
    let against = match against {
        Against::Room => "room",
        Against::Nothing => "nothing",
    };
    command.args(["runtime-round", "--against", against, "--language", language.name()]);
    command.args(["--cpu", &cpu.to_string(), "--function-cpu", &function_cpu.to_string()]);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "a round failed: {}", output.status);
    Ok(serde_json::from_slice::<Measured>(&output.stdout)?.median)
}

impl RuntimeRound {
    pub fn run(self) -> Result<()> {
        process::pin(0, self.cpu)?;
        let mut times = match self.against {
            Against::Room => block_on(invoke(self.function))?,
            Against::Nothing => work_for_nothing(&self.function)?,
        };
        let measured = Measured { median: percentile(&mut times, 50.0) };
        println!("{}", serde_json::to_string(&measured)?);
        Ok(())
    }
}

async fn invoke(function: Function) -> Result<Vec<f64>> {
    let room = Room::open(function).await;
    let event = Bytes::from_static(EVENT.as_bytes());
    let mut answers = Vec::new();
    for _ in 0..WARM_UP + EVENTS {
        ensure!(room.invoke(event.clone()).await? == event, "the function does not echo");
        answers.push(Instant::now());
    }
    Ok(between(&answers))
}

fn work_for_nothing(function: &Function) -> Result<Vec<f64>> {
    let nothing = Nothing::start(function)?;
    let answers: Vec<Instant> =
        (0..WARM_UP + EVENTS).map(|_| nothing.answered()).collect::<Result<_>>()?;
    Ok(between(&answers))
}

/// Microseconds, but for the warm-up.
fn between(answers: &[Instant]) -> Vec<f64> {
    let pairs = answers.windows(2).skip(WARM_UP);
    pairs.map(|pair| (pair[1] - pair[0]).as_secs_f64() * 1e6).collect()
}
