//! The parts of a task: what runs, how long each took. A live line on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

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
    lines: MultiProgress,
    bar: ProgressBar,
    live: bool,
}

impl Part {
    /// Shows what it is at now, until the next word; only on a terminal.
    pub fn at(&self, now: &str) {
        let now: String = now.chars().filter(|c| !c.is_control()).take(90).collect();
        self.bar.set_message(now);
    }

    /// Prints a line that stays.
    pub fn say(&self, line: &str) {
        self.lines.suspend(|| println!("  {line}"));
    }

    /// Runs something that prints by itself.
    pub fn aside<T>(&self, run: impl FnOnce() -> T) -> T {
        self.lines.suspend(run)
    }

    /// Whether there is a terminal to redraw lines on.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Another line below, which shows its message until it is finished.
    pub fn line(&self) -> ProgressBar {
        let line = self.lines.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("  {msg}") {
            line.set_style(style);
        }
        line
    }
}

impl Parts {
    /// Runs a part and keeps its time.
    pub fn run<T>(&mut self, name: &str, work: impl FnOnce(&Part) -> Result<T>) -> Result<T> {
        let live = std::io::stderr().is_terminal();
        let lines = MultiProgress::new();
        let bar = lines.add(ProgressBar::new_spinner());
        if live {
            if let Ok(style) =
                ProgressStyle::with_template("{spinner} {prefix} {elapsed} {msg:.dim}")
            {
                bar.set_style(style);
            }
            bar.set_prefix(name.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
        } else {
            println!("{name} ...");
        }
        let start = Instant::now();
        let result = work(&Part { lines, bar: bar.clone(), live });
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
