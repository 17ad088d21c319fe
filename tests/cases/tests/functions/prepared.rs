//! Fences that are made before an instance wants them.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use hedgerow_harness::{Hedgerow, PATIENCE, eventually};

use super::{Code, bootstrap};

const FIRST: &str = "com.example.First";
const SECOND: &str = "com.example.Second";

/// Once there are so many.
fn fences(hedgerow: &Hedgerow, count: usize) -> Result<BTreeSet<String>> {
    eventually(&format!("{count} fences"), PATIENCE, || {
        let traces = hedgerow.traces();
        Ok(traces.is_in_order(count).then_some(traces.fence_cgroups))
    })
}

#[test]
fn the_next_instance_starts_in_a_fence_that_is_there() -> Result<()> {
    let mut hedgerow = Hedgerow::start("[function]\nprepared-fences = 1\n")?;
    let code = Code::new("bootstrap", &bootstrap("one"))?;
    let directory = code.path().display().to_string();
    for name in [FIRST, SECOND] {
        let words = ["function", "create", name, "--directory", &directory, "--handler", "any"];
        hedgerow.run(&[&words[..], &["--runtime", "provided"]].concat())?;
    }
    // There is a place for one.
    let prepared = fences(&hedgerow, 1)?;
    hedgerow.run(&["invoke", FIRST])?;
    let instance_and_next = fences(&hedgerow, 2)?;
    ensure!(instance_and_next.is_superset(&prepared), "{prepared:?} {instance_and_next:?}");

    // The place is the other's now, who was used later.
    hedgerow.run(&["invoke", SECOND])?;
    let next: BTreeSet<_> = instance_and_next.difference(&prepared).cloned().collect();
    eventually("the first one's fence gives way", PATIENCE, || {
        Ok(hedgerow.traces().fence_cgroups.is_disjoint(&next).then_some(()))
    })?;
    let before = fences(&hedgerow, 3)?;

    hedgerow.kill_daemon()?;
    hedgerow.start_daemon()?;
    let after = fences(&hedgerow, 1)?;
    ensure!(after.is_disjoint(&before), "{before:?} {after:?}");

    // With the launcher it ends unseen.
    hedgerow.kill_launcher()?;
    hedgerow.run(&["invoke", FIRST])?;
    hedgerow.run(&["invoke", SECOND])?;

    hedgerow.run(&["stop", FIRST])?;
    hedgerow.run(&["stop", SECOND])?;
    fences(&hedgerow, 0)?;
    hedgerow.finish()
}
