//! The power is cut while a deployment is at work. The state is on a file system of its own, in a file; a copy of that
//! file is what a disk has when the power goes: without everything that was not flushed yet.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use hedgerow_harness::{Disk, Draft, Hedgerow, PATIENCE, Start, eventually};
use sha2::{Digest, Sha256};

const NAME: &str = "test.power";

/// Two versions that differ in an artifact that is large enough not to be on disk by chance.
fn draft() -> Result<Draft> {
    let draft = Draft::new()?;
    for version in ["1.0.0", "2.0.0"] {
        let text = format!(
            "RecipeFormatVersion: '2020-01-25'\nComponentName: {NAME}\nComponentVersion: {version}\nManifests:\n\
             - Artifacts:\n  - Uri: s3://bucket/data\n  Lifecycle:\n    run: tail -n 1 {{artifacts:path}}/data; exec sleep 1000\n"
        );
        draft.recipe(&format!("{NAME}-{version}.yaml"), text)?;
        let line = format!("data of {version}\n");
        draft.artifact(NAME, version, "data", line.repeat(200_000))?;
    }
    Ok(draft)
}

/// Every file of the store is what its name says.
fn check_blobs(state: &Path) -> Result<()> {
    for entry in fs::read_dir(state.join("packages/.blobs"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let hash: String =
            Sha256::digest(fs::read(&path)?).iter().map(|b| format!("{b:02x}")).collect();
        ensure!(name.starts_with(&hash), "{name} has other content");
    }
    Ok(())
}

/// Upgrades, and cuts the power where the daemon ends at `point`, or else once the upgrade is reported done. Returns
/// the version that runs after the next boot.
fn cut_at(point: Option<&str>) -> Result<String> {
    let images = tempfile::tempdir()?;
    let (image, survivor) = (images.path().join("before"), images.path().join("after"));
    Disk::format(&image, 64 << 20)?;
    let draft = draft()?;
    {
        let mut hedgerow = Hedgerow::prepare("")?;
        let disk = Disk::insert(&image, &hedgerow)?;
        hedgerow.start_daemon()?;
        hedgerow.deploy(&draft.source(), &[&format!("{NAME}=1.0.0")])?;
        if point.is_some() {
            hedgerow.kill_daemon()?;
            hedgerow.start_daemon_with(Start { crash_at: point, ..Start::default() })?;
        }
        let said = hedgerow.say_deploy(&draft.source(), &[&format!("{NAME}=2.0.0")])?;
        match point {
            Some(_) => hedgerow.await_crash()?,
            None => ensure!(said.code == Some(0), "{said:?}"),
        }
        fs::copy(&disk.image, &survivor)?;
        if point.is_some() {
            hedgerow.start_daemon()?;
        }
        hedgerow.finish()?;
    }
    let mut hedgerow = Hedgerow::prepare("")?;
    let disk = Disk::insert(&survivor, &hedgerow)?;
    hedgerow.start_daemon()?;
    let found = hedgerow.wait_for(NAME, "RUNNING", |found| found.state == "RUNNING")?;
    let says = format!("data of {}", found.version);
    eventually(&says, PATIENCE, || {
        Ok(hedgerow
            .log(NAME)?
            .lines()
            .last()
            .is_some_and(|line| line.ends_with(&says))
            .then_some(()))
    })?;
    check_blobs(&disk.directory)?;
    hedgerow.finish()?;
    Ok(found.version)
}

#[test]
fn what_runs_after_a_power_cut_is_the_old_or_the_new_whole() -> Result<()> {
    Disk::take_mounts_apart()?;
    for (point, expected) in [
        (Some("deploy:before"), "1.0.0"),
        (Some("deploy:after"), "2.0.0"),
        (Some("finish:before"), "2.0.0"),
        (None, "2.0.0"),
    ] {
        let found = cut_at(point).with_context(|| format!("{point:?}"))?;
        assert_eq!(found, expected, "{point:?}");
    }
    Ok(())
}
