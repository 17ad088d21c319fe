//! `hedgerow recipe`: recipes as this device would read them. It needs no daemon.

mod device;

use std::fmt::Write;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use hedgerow_component::check::{Choice, Function, ManifestReport, Report, check};
use hedgerow_component::recipe::MAX_BYTES;
use hedgerow_component::{Finding, Platform, Severity};
use hedgerow_function::Schedule;

use crate::failure::Failure;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub enum RecipeCommand {
    /// Report everything about recipes that their author should know, and which manifest this device would use.
    Check(Check),
}

#[derive(Debug, Args)]
pub struct Check {
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// An attribute of the device in place of this one's, e.g. architecture=aarch64; may be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = attribute)]
    platform: Vec<(String, String)>,
}

fn attribute(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("it takes the form KEY=VALUE"),
    }
}

/// `root`: where the daemon's files are, if it was started with `--root`.
pub fn run(
    root: Option<&Path>,
    output: &Output,
    RecipeCommand::Check(Check { files, platform }): RecipeCommand,
) -> Result<(), Failure> {
    let etc = root.map_or_else(|| PathBuf::from("/etc/hedgerow"), |root| root.join("etc"));
    let mut device = Platform::of_this_machine();
    for (key, value) in device::attributes(&etc)?.into_iter().chain(platform) {
        device = device.with(key, value);
    }
    let reports: Vec<Report> = files.iter().map(|file| report(file, &device)).collect();
    output.print(&reports, |reports| reports.iter().map(shown).collect::<Vec<_>>().join("\n"))?;
    match reports.iter().filter(|report| !report.is_sound()).count() {
        0 => Ok(()),
        bad => Err(Failure::Recipes { bad, all: reports.len() }),
    }
}

fn report(path: &Path, device: &Platform) -> Report {
    let file = path.display().to_string();
    match read(path) {
        Ok(bytes) => check(&file, &bytes, device, schedule),
        Err(error) => {
            let findings = vec![Finding::of_file(&file, format!("cannot be read: {error}"), "")];
            Report { file, recipe: None, platform: device.clone(), findings }
        }
    }
}

fn schedule(expression: &str) -> Result<(), String> {
    expression.parse::<Schedule>().map(drop).map_err(|invalid| invalid.to_string())
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One more than a recipe may have, so that a larger file is seen to be one.
    File::open(path)?.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// In the form of compilers, which editors understand.
fn shown(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    for finding in &report.findings {
        let _ = writeln!(text, "{finding}");
    }
    if let Some(recipe) = &report.recipe {
        let _ = writeln!(
            text,
            "{}: {} {} on {}",
            report.file, recipe.name, recipe.version, report.platform
        );
        if let Some(function) = &recipe.function {
            let _ = writeln!(text, "  {}", explained(function));
        }
        for (index, manifest) in recipe.manifests.iter().enumerate() {
            let _ = writeln!(text, "  manifest {}{}", index + 1, verdict(manifest));
        }
    }
    let count = |severity| report.findings.iter().filter(|f| f.severity == severity).count();
    let errors = counted(count(Severity::Error), "error");
    let warnings = counted(count(Severity::Warning), "warning");
    let _ = write!(text, "{}: {errors}, {warnings}", report.file);
    text
}

fn explained(function: &Function) -> String {
    let Function { runtime, runtime_component, handler, pinned } = function;
    let starts = if *pinned { "starts with its deployment" } else { "starts with its first event" };
    let client = runtime_component.as_ref().map_or_else(
        || "its archive brings bootstrap".to_owned(),
        |name| format!("{name} or its archive brings the runtime's client"),
    );
    format!("function {handler} of {runtime}: {starts}; {client}")
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn verdict(manifest: &ManifestReport) -> String {
    let name = manifest.name.as_ref().map(|name| format!(" {name:?}")).unwrap_or_default();
    let what = match &manifest.choice {
        Choice::Chosen => {
            let steps = match manifest.steps.as_slice() {
                [] => "nothing to run".to_owned(),
                steps => steps.join(", "),
            };
            format!("is used: {steps}; artifacts: {}", manifest.artifacts.len())
        }
        Choice::Behind => "is not used: it would do, but an earlier one does".to_owned(),
        Choice::Mismatch(mismatch) => format!("is not used: it {mismatch}"),
    };
    format!("{name} (line {}) {what}", manifest.line)
}
