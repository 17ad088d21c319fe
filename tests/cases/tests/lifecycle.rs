//! What a component's life looks like from outside.

use anyhow::Result;
use hedgerow_harness::{Hedgerow, components};

#[test]
fn a_component_runs_and_its_log_is_kept() -> Result<()> {
    let hedgerow = Hedgerow::start("")?;
    hedgerow.deploy(&components(), &["test.ticker=1.0.0"])?;
    let ticker = hedgerow.component("test.ticker")?;
    assert_eq!(ticker.state, "RUNNING");
    assert_ne!(ticker.pid, 0);
    assert!(hedgerow.log("test.ticker")?.contains("tick 1\n"));
    hedgerow.finish()
}
