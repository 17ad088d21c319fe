//! A disk that components fill: who has too much is stopped while it runs, and the rest goes on.

use anyhow::{Result, ensure};
use hedgerow_harness::{Component, Disk, Draft, Hedgerow};
use nix::sys::statvfs::statvfs;

const SETTINGS: &str = "\
[store]
keep-free = 20000000
[[component]]
name = 'test.layer'
layer = 9000000
[[component]]
name = 'test.work'
work = 9000000
";

fn is_stopped(component: &Component, words: &[&str]) -> bool {
    component.state == "ERRORED" && words.iter().all(|word| component.last_error.contains(word))
}

#[test]
fn who_writes_too_much_is_stopped_and_the_rest_goes_on() -> Result<()> {
    Disk::take_mounts_apart()?;
    let images = tempfile::tempdir()?;
    let image = images.path().join("disk");
    Disk::format(&image, 88 << 20)?;
    let mut hedgerow = Hedgerow::prepare(SETTINGS)?;
    let disk = Disk::insert(&image, &hedgerow)?;
    hedgerow.start_daemon()?;
    let draft = Draft::new()?;
    let fill = |place: &str| {
        // Not before its deployment is done, which would be undone else.
        format!("run: |-\n  sleep 1\n  head -c 25000000 /dev/zero > {place}/big\n  exec sleep 1000")
    };
    draft.component("test.quiet", "1.0.0", "", "run: exec sleep 1000")?;
    draft.component("test.layer", "1.0.0", "", &fill("{kernel:rootPath}/logs"))?;
    draft.component("test.work", "1.0.0", "", &fill("{work:path}"))?;
    let slowly = "run: while :; do head -c 1000000 /dev/zero >> big; sleep 0.1; done";
    draft.component("test.greedy", "1.0.0", "", slowly)?;

    hedgerow.deploy(&draft.source(), &["test.quiet=1.0.0"])?;
    let quiet = hedgerow.component("test.quiet")?;
    for (name, key) in [("test.layer", "`layer`"), ("test.work", "`work`")] {
        hedgerow.deploy(&draft.source(), &[&format!("{name}=1.0.0")])?;
        let words = ["over its quota", "of 9000000", key];
        hedgerow.wait_for(name, "over its quota", |it| is_stopped(it, &words))?;
        // What it wrote is still too much when it is tried again, and goes with it.
        hedgerow.run(&["reset", name])?;
        hedgerow.wait_for(name, "still over it", |it| is_stopped(it, &words) && it.pid == 0)?;
        hedgerow.run(&["deploy", "--remove", name])?;
    }

    hedgerow.deploy(&draft.source(), &["test.greedy=1.0.0"])?;
    hedgerow.wait_for("test.greedy", "stopped", |it| is_stopped(it, &["store.keep-free"]))?;
    let left = statvfs(&disk.directory)?;
    ensure!(left.blocks_available() * left.fragment_size() > 1_000_000, "{left:?}");
    ensure!(hedgerow.component("test.quiet")?.pid == quiet.pid, "it has done nothing wrong");
    hedgerow.run(&["deploy", "--remove", "test.greedy"])?;
    hedgerow.finish()
}
