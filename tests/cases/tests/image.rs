//! Components that come with the operating system's image run without a command, from where they are.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use hedgerow_harness::{Draft, Hedgerow, PATIENCE, eventually};
use serde_json::json;

/// Puts a version of `test.baked` into the image, in place of the one that was there.
fn bake(root: &Path, version: &str, greeting: &str) -> Result<()> {
    // A later one has an older time.
    let created = if version == "1.0.0" { 2_000_000 } else { 1_000_000 };
    let image = root.join("usr/lib/hedgerow");
    let _ = fs::remove_dir_all(&image);
    let artifacts = image.join(format!("components/artifacts/test.baked/{version}"));
    let recipes = image.join("components/recipes");
    fs::create_dir_all(&artifacts)?;
    fs::create_dir_all(&recipes)?;
    fs::write(artifacts.join("greet.sh"), format!("echo $1 from {version}\nexec sleep 1000\n"))?;
    fs::write(recipes.join("test.baked.yaml"), recipe(version))?;
    // The same in every image, as a file that is only edited has it.
    let document = json!({"deploymentId": "baked", "creationTimestamp": created, "components": {
        "test.baked": {"version": version, "configurationUpdate": {"merge": {"greeting": greeting}}}
    }});
    fs::write(image.join("deployment.json"), document.to_string())?;
    Ok(())
}

fn recipe(version: &str) -> String {
    format!(
        "RecipeFormatVersion: '2020-01-25'\nComponentName: test.baked\nComponentVersion: {version}\n\
         ComponentConfiguration: {{DefaultConfiguration: {{greeting: nothing}}}}\n\
         Manifests:\n- Artifacts: [{{Uri: 's3://bucket/greet.sh'}}]\n  Lifecycle:\n    \
         run: exec sh {{artifacts:path}}/greet.sh {{configuration:/greeting}}\n"
    )
}

fn wait_for_greeting(hedgerow: &Hedgerow, words: &str) -> Result<()> {
    eventually(words, PATIENCE, || {
        Ok(hedgerow.log("test.baked").is_ok_and(|log| log.contains(words)).then_some(()))
    })
}

/// The trees of the artifact store.
fn trees(hedgerow: &Hedgerow) -> Result<Vec<PathBuf>> {
    let directory = hedgerow.root().join("state/packages");
    let entries = fs::read_dir(&directory).with_context(|| directory.display().to_string())?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

#[test]
fn an_image_runs_is_updated_and_gives_way() -> Result<()> {
    let mut hedgerow = Hedgerow::prepare("")?;
    bake(hedgerow.root(), "1.0.0", "hello")?;
    hedgerow.start_daemon()?;
    wait_for_greeting(&hedgerow, "hello from 1.0.0")?;
    assert_eq!(trees(&hedgerow)?, [] as [PathBuf; 0], "artifacts stay in the image");

    // The same image again is no deployment, a new one is.
    let jobs = hedgerow.jobs()?.len();
    let pid = hedgerow.component("test.baked")?.pid;
    hedgerow.kill_daemon()?;
    hedgerow.start_daemon()?;
    hedgerow.wait_for("test.baked", "RUNNING", |baked| baked.state == "RUNNING")?;
    assert_eq!(hedgerow.component("test.baked")?.pid, pid);
    assert_eq!(hedgerow.jobs()?.len(), jobs);
    hedgerow.stop_daemon()?;
    bake(hedgerow.root(), "2.0.0", "welcome")?;
    hedgerow.start_daemon()?;
    wait_for_greeting(&hedgerow, "welcome from 2.0.0")?;

    // What somebody deploys takes the place of what the image has, and an older image does not undo it.
    let draft = Draft::new()?;
    draft.recipe("test.baked.yaml", recipe("3.0.0"))?;
    let artifact = "echo $1 from outside\nexec sleep 1000\n";
    draft.artifact("test.baked", "3.0.0", "greet.sh", artifact)?;
    hedgerow.deploy(&draft.source(), &["test.baked=3.0.0"])?;
    wait_for_greeting(&hedgerow, "welcome from outside")?;
    ensure!(!trees(&hedgerow)?.is_empty());
    hedgerow.stop_daemon()?;
    bake(hedgerow.root(), "2.1.0", "good morning")?;
    hedgerow.start_daemon()?;
    let baked = hedgerow.wait_for("test.baked", "RUNNING", |it| it.state == "RUNNING")?;
    assert_eq!(baked.version, "3.0.0");
    hedgerow.finish()
}
