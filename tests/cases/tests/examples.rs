//! The main job: a component and a Lambda function on the unmodified AWS SDK, each in its own fence, talking over IPC.

use anyhow::Result;
use hedgerow_harness::{Hedgerow, examples};
use serde_json::Value;

#[test]
fn a_component_and_a_function_on_the_unmodified_sdk_talk() -> Result<()> {
    let hedgerow = Hedgerow::start("")?;
    hedgerow.deploy(&examples(), &["com.example.sensor=1.0.0", "com.example.alarm=1.0.0"])?;
    for name in ["com.example.sensor", "com.example.alarm"] {
        let component = hedgerow.component(name)?;
        assert_eq!(component.state, "RUNNING", "{component:?}");
    }
    let words = ["--json", "topic", "sub", "--count", "4", "alarms/host"];
    let mut quantities = Vec::new();
    for line in hedgerow.run(&words)?.lines() {
        let message: Value = serde_json::from_str(line)?;
        let alarm: Value = serde_json::from_str(message["payload"].as_str().unwrap_or_default())?;
        let quantity = alarm["quantity"].as_str().unwrap_or_default().to_owned();
        if quantity == "memory_used_mb" {
            assert_eq!(alarm["threshold"], 100, "as in the recipe's DefaultConfiguration");
        }
        quantities.push(quantity);
    }
    // A machine that is busy has alarms of its load too.
    assert!(quantities.iter().any(|quantity| quantity == "memory_used_mb"), "{quantities:?}");
    let log = hedgerow.log("com.example.sensor")?;
    assert!(log.contains("this machine measures load"), "the install step: {log}");
    hedgerow.finish()
}
