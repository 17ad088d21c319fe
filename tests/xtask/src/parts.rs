//! The parts of a task: what runs, how long each took. A live line on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};

#[derive(Debug, Default)]
pub struct Parts {
    done: Vec<(String, Duration, Outcome)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    LeftOut,
}

/// The running part: what it says shows on its line.
#[derive(Debug)]
pub struct Part {
    bar: ProgressBar,
}

impl Part {
    /// Shows what it is at now, until the next word; only on a terminal.
    pub fn at(&self, now: &str) {
        let now: String = now.chars().filter(|c| !c.is_control()).take(90).collect();
        self.bar.set_message(now);
    }

    /// Prints a line that stays.
    pub fn say(&self, line: &str) {
        self.bar.suspend(|| println!("  {line}"));
    }

    /// Runs something that prints by itself.
    pub fn aside<T>(&self, run: impl FnOnce() -> T) -> T {
        self.bar.suspend(run)
    }
}

impl Parts {
    /// Runs a part and keeps its time.
    pub fn run<T>(&mut self, name: &str, work: impl FnOnce(&Part) -> Result<T>) -> Result<T> {
        let bar = if std::io::stderr().is_terminal() {
            let bar = ProgressBar::new_spinner();
            bar.set_prefix(name.to_owned());
            if let Ok(style) =
                ProgressStyle::with_template("{spinner} {prefix} {elapsed} {msg:.dim}")
            {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        } else {
            println!("{name} ...");
            ProgressBar::hidden()
        };
        let start = Instant::now();
        let result = work(&Part { bar: bar.clone() });
        let took = start.elapsed();
        bar.finish_and_clear();
        let outcome = if result.is_ok() { Outcome::Passed } else { Outcome::Failed };
        println!("{} {name} {:.1} s", outcome.mark(), took.as_secs_f64());
        self.done.push((name.to_owned(), took, outcome));
        result
    }

    /// Notes a part that was not asked for.
    pub fn left_out(&mut self, name: &str, why: &str) {
        println!("{} {name}: left out: {why}", Outcome::LeftOut.mark());
        self.done.push((format!("{name} (left out: {why})"), Duration::ZERO, Outcome::LeftOut));
    }

    /// The times of all parts, and their sum.
    pub fn print_table(&self) {
        if self.done.len() < 2 {
            return;
        }
        println!();
        for (name, took, outcome) in &self.done {
            println!("  {} {:>8.1} s  {name}", outcome.mark(), took.as_secs_f64());
        }
        let sum: Duration = self.done.iter().map(|(_, took, _)| took).sum();
        println!("    {:>8.1} s  in all", sum.as_secs_f64());
    }
}

impl Outcome {
    fn mark(self) -> &'static str {
        match self {
            Outcome::Passed => "ok  ",
            Outcome::Failed => "FAIL",
            Outcome::LeftOut => "-   ",
        }
    }
}
