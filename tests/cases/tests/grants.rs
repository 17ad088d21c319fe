//! From what a component misses to the grant that gives it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use anyhow::{Result, ensure};
use hedgerow_harness::{Draft, Hedgerow, PATIENCE, eventually};

#[test]
fn what_a_component_misses_is_suggested_written_and_granted() -> Result<()> {
    // Where fences have nothing of the host.
    let data = tempfile::Builder::new().prefix("hedgerow-data-").tempdir_in("/srv")?;
    fs::set_permissions(data.path(), Permissions::from_mode(0o700))?;
    fs::write(data.path().join("table"), "kept\n")?;
    let table = data.path().join("table").display().to_string();
    let draft = Draft::new()?;
    let run = format!("run: cat {table} && head -c 1 /dev/kmsg");
    draft.component("test.Reader", "1.0.0", "", &run)?;
    draft.component("test.Installer", "1.0.0", "", &format!("install: cat {table}"))?;
    let hedgerow = Hedgerow::start("")?;
    let line = format!("host-paths = [{{ path = {table:?}, access = \"ro\" }}]");
    let said = hedgerow.say_deploy(&draft.source(), &["test.Installer=1.0.0"])?;
    ensure!(said.code == Some(1) && said.stderr.contains(&line), "{}", said.stderr);

    hedgerow.say_deploy(&draft.source(), &["test.Reader=1.0.0"])?;
    hedgerow.wait_for("test.Reader", "it failed", |c| !c.last_error.is_empty())?;
    let suggested = hedgerow.run(&["grants", "suggest", "test.Reader"])?;
    ensure!(suggested.contains(&line) && !suggested.contains("devices"), "{suggested}");
    hedgerow.run(&["grants", "suggest", "test.Reader", "--write"])?;
    let written = hedgerow.root().join("etc/hedgerow.toml.d/50-grant-test.Reader.toml");
    ensure!(fs::read_to_string(written)?.contains(&line));

    // With it the component comes as far as the device.
    hedgerow.say(&["restart", "test.Reader"])?;
    eventually("it reads", PATIENCE, || {
        Ok(hedgerow.log("test.Reader")?.contains("/dev/kmsg").then_some(()))
    })?;
    ensure!(hedgerow.log("test.Reader")?.contains("kept"));
    let suggested = hedgerow.run(&["grants", "suggest", "test.Reader"])?;
    ensure!(suggested.contains("devices = [\"/dev/kmsg\"]"), "{suggested}");
    hedgerow.finish()
}
