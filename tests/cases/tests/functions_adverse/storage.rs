//! A queue that cannot be read, and a disk that is full: who sends an event is told, and nothing else stops.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use anyhow::{Result, ensure};
use hedgerow_harness::{Disk, Draft, Hedgerow};

use super::bootstrap::{create, got, up, wait_for};

const NAME: &str = "com.example.Stored";

#[test]
fn a_queue_that_cannot_be_read_keeps_nothing_else_from_running() -> Result<()> {
    let mut hedgerow = Hedgerow::start("")?;
    let draft = Draft::new()?;
    draft.component("test.other", "1.0.0", "", "run: exec sleep 1000")?;
    hedgerow.deploy(&draft.source(), &["test.other=1.0.0"])?;
    create(&hedgerow, NAME, &[])?;
    hedgerow.run(&["stop", NAME])?;
    hedgerow.run(&["invoke", NAME, "--async", "--payload", r#"{"n":1}"#])?;
    hedgerow.kill_daemon()?;

    let queue = hedgerow.root().join("state/queue.redb");
    fs::set_permissions(&queue, Permissions::from_mode(0o000))?;
    hedgerow.start_daemon()?;
    up(&hedgerow, "test.other")?;
    hedgerow.run(&["start", NAME])?;
    up(&hedgerow, NAME)?;
    hedgerow.run(&["invoke", NAME, "--payload", r#"{"n":2}"#])?;
    let refused = hedgerow.say(&["invoke", NAME, "--async"])?;
    let machine = hedgerow.run(&["doctor"])?;
    for text in [&refused.stderr, &machine] {
        ensure!(text.contains("refused") && text.contains("queue.redb"), "{text}");
    }
    ensure!(refused.code == Some(1), "{refused:?}");

    fs::set_permissions(&queue, Permissions::from_mode(0o600))?;
    wait_for(&hedgerow, NAME, r#"{"n": 1}"#)?;
    hedgerow.run(&["invoke", NAME, "--async", "--payload", r#"{"n":3}"#])?;
    wait_for(&hedgerow, NAME, r#"{"n": 3}"#)?;
    ensure!(!hedgerow.run(&["doctor"])?.contains("queue.redb"));
    hedgerow.finish()
}

#[test]
fn a_full_disk_refuses_events_and_loses_none() -> Result<()> {
    Disk::take_mounts_apart()?;
    let images = tempfile::tempdir()?;
    let image = images.path().join("disk");
    Disk::format(&image, 32 << 20)?;
    let mut hedgerow = Hedgerow::prepare("[store]\nkeep-free = 0\n")?;
    let disk = Disk::insert(&image, &hedgerow)?;
    hedgerow.start_daemon()?;
    create(&hedgerow, NAME, &[])?;
    hedgerow.run(&["stop", NAME])?;
    let invoke = |n: usize, size: usize| {
        let payload = images.path().join("payload");
        fs::write(&payload, format!(r#"{{"n":{n},"pad":"{}"}}"#, "x".repeat(size)))?;
        hedgerow.say(&["invoke", NAME, "--async", "--payload", &format!("@{}", payload.display())])
    };
    let mut filler = fs::File::create(disk.directory.join("filler"))?;
    // What is left is for a few events.
    let free = nix::sys::statvfs::statvfs(&disk.directory)?;
    let left = usize::try_from(free.blocks_available() * free.fragment_size())? - (6 << 20);
    filler.write_all(&vec![1; left])?;
    filler.sync_all()?;

    let mut taken = vec![];
    let refused = loop {
        let said = invoke(taken.len(), 500_000)?;
        match said.code {
            Some(0) => taken.push(taken.len()),
            _ => break said,
        }
        ensure!(taken.len() < 100, "the disk does not fill");
    };
    ensure!(refused.stderr.contains("no space is left on the device"), "{refused:?}");
    ensure!(!taken.is_empty());
    let machine = hedgerow.run(&["doctor"])?;
    ensure!(machine.contains("no space is left"), "{machine}");

    // Whatever room it needs to start, it has not; what it has taken it delivers.
    hedgerow.kill_daemon()?;
    hedgerow.start_daemon()?;
    drop(filler);
    fs::remove_file(disk.directory.join("filler"))?;
    hedgerow.run(&["start", NAME])?;
    for n in &taken {
        wait_for(&hedgerow, NAME, &format!(r#"{{"n": {n}}}"#))?;
    }
    ensure!(got(&hedgerow, NAME, &format!(r#"{{"n": {}}}"#, taken.len()))? == 0, "it was refused");
    hedgerow.finish()
}
