//! `greengrass-cli`, as people type it, over a real Hedgerow.

use std::os::unix::fs::symlink;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use hedgerow_harness::{Draft, Hedgerow, PATIENCE, binaries, eventually};

const HELLO: &str = "com.example.HelloWorld";

struct Cli<'a>(&'a Hedgerow);

impl Cli<'_> {
    fn output(&self, words: &[&str]) -> Result<Output> {
        let link = self.0.root().join("greengrass-cli");
        if !link.exists() {
            symlink(binaries().join("hedgerow"), &link)?;
        }
        let root = self.0.root();
        Command::new(link).env("GGC_ROOT_PATH", root).args(words).output().context("greengrass-cli")
    }

    fn run(&self, words: &[&str]) -> Result<String> {
        let output = self.output(words)?;
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "{words:?}: {errors}");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Creates a deployment and waits for its end.
    fn create(&self, words: &[&str]) -> Result<String> {
        let said = self.run(&[&["deployment", "create"], words].concat())?;
        let id = said.trim().rsplit(' ').next().unwrap_or_default().to_owned();
        eventually("the deployment ends", PATIENCE, || {
            let status = self.run(&["deployment", "status", "-i", &id])?;
            let first = status.lines().next().unwrap_or_default().to_owned();
            let ended = !first.ends_with("IN_PROGRESS") && !first.ends_with("QUEUED");
            Ok(ended.then_some(first))
        })
    }
}

#[test]
fn a_component_is_deployed_configured_watched_and_removed() -> Result<()> {
    let (draft, hedgerow) = (Draft::new()?, Hedgerow::start("")?);
    let configuration = "ComponentConfiguration:\n  DefaultConfiguration: {Message: world}";
    let run = "run: echo hello {configuration:/Message}; exec sleep 1000";
    draft.component(HELLO, "1.0.0", configuration, run)?;
    let (recipes, artifacts) = (draft.recipes(), draft.artifacts());
    std::fs::create_dir_all(&artifacts)?;
    let (recipes, artifacts) = (recipes.to_string_lossy(), artifacts.to_string_lossy());
    let merge = format!("{HELLO}=1.0.0");
    let cli = Cli(&hedgerow);

    let create = ["--recipeDir", &recipes, "--artifactDir", &artifacts, "--merge", &merge];
    assert!(cli.create(&create)?.ends_with(": SUCCEEDED"));
    let details = cli.run(&["component", "details", "-n", HELLO])?;
    assert!(details.contains("State: RUNNING"), "{details}");
    assert!(details.contains(r#"Configuration: {"Message":"world"}"#), "{details}");

    let update = format!(r#"{{"{HELLO}": {{"MERGE": {{"Message": "again"}}}}}}"#);
    assert!(cli.create(&["--update-config", &update])?.ends_with(": SUCCEEDED"));
    let log = format!("/greengrass/v2/logs/{HELLO}.log");
    eventually("the new message is logged", PATIENCE, || {
        let lines = cli.run(&["logs", "get", "-lf", &log, "--filter", "hello [a-z]+"])?;
        Ok(lines.trim_end().ends_with("hello again").then_some(()))
    })?;
    let origin = hedgerow.run(&["config", "show", HELLO, "--origin"])?;
    assert!(origin.contains("deployment "), "{origin}");

    cli.run(&["component", "restart", "-n", HELLO])?;
    cli.run(&["component", "stop", "-n", HELLO])?;
    let listed = cli.run(&["component", "list"])?;
    assert!(listed.starts_with("Components currently running in Greengrass:\n"), "{listed}");
    assert!(listed.contains("State: FINISHED"), "{listed}");
    assert!(cli.create(&["--remove", HELLO])?.ends_with(": SUCCEEDED"));
    assert!(!cli.run(&["component", "list"])?.contains(HELLO));
    let all = cli.run(&["deployment", "list"])?;
    assert_eq!(all.lines().filter(|line| line.ends_with(": SUCCEEDED")).count(), 3, "{all}");
    hedgerow.finish()
}
