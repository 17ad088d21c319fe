//! The daemon killed while it writes what a component asked for over IPC: what the next one finds is the old value
//! or the new one, and what was acknowledged is there.

use std::fs;

use anyhow::{Context, Result, ensure};
use hedgerow_harness::{Draft, Hedgerow, PATIENCE, Start, eventually, examples};

const COUNTER: &str = "test.counter";

/// Adds one to what it finds, and says both.
const SCRIPT: &str = r#"
import datetime, threading
from awsiot.greengrasscoreipc.clientv2 import GreengrassCoreIPCClientV2
client = GreengrassCoreIPCClientV2()
found = client.get_configuration(key_path=["count"]).value["count"]
print("found", found)
now = datetime.datetime.now(datetime.timezone.utc)
client.update_configuration(key_path=["count"], value_to_merge=found + 1, timestamp=now)
print("wrote", found + 1)
threading.Event().wait()
"#;

#[test]
fn an_update_is_whole_wherever_the_daemon_ends() -> Result<()> {
    let before = ["found 0", "found 0", "wrote 1"];
    let after = ["found 0", "found 1", "wrote 2"];
    for (point, expected) in [("configuration:before", before), ("configuration:after", after)] {
        let draft = draft()?;
        let mut hedgerow = Hedgerow::prepare("")?;
        hedgerow.start_daemon_with(Start { crash_at: Some(point), ..Start::default() })?;
        // The daemon may end before the deployment does, or after.
        drop(hedgerow.say_deploy(&draft.source(), &[&format!("{COUNTER}=1.0.0")])?);
        hedgerow.await_crash()?;
        hedgerow.start_daemon()?;
        let mut said = Vec::new();
        eventually("the counter has written", PATIENCE, || {
            let log = hedgerow.log(COUNTER)?;
            let lines = log.lines().filter_map(|line| line.split_once("] run: "));
            said = lines.map(|(_, text)| text.to_owned()).collect();
            Ok(said.iter().any(|line| line.starts_with("wrote")).then_some(()))
        })
        .map_err(|error| error.context(format!("{said:?}; {}", hedgerow.complaints())))?;
        ensure!(said == expected, "{point}: {said:?}");
        hedgerow.finish()?;
    }
    Ok(())
}

fn draft() -> Result<Draft> {
    let draft = Draft::new()?;
    let sdk = examples().artifacts.context("the examples have artifacts")?;
    let sdk = fs::read(sdk.join("com.example.sensor/1.0.0/awsiotsdk.zip"))?;
    draft.artifact(COUNTER, "1.0.0", "sdk.zip", sdk)?;
    draft.artifact(COUNTER, "1.0.0", "counter.py", SCRIPT)?;
    draft.recipe(
        "counter.yaml",
        format!(
            "RecipeFormatVersion: \"2020-01-25\"
ComponentName: {COUNTER}
ComponentVersion: \"1.0.0\"
ComponentConfiguration:
  DefaultConfiguration:
    count: 0
Manifests:
  - Artifacts:
      - Uri: s3://bucket/counter.py
      - Uri: s3://bucket/sdk.zip
        Unarchive: ZIP
    Lifecycle:
      setenv:
        PYTHONPATH: \"{{artifacts:decompressedPath}}/sdk\"
      run: exec python3 -u {{artifacts:path}}/counter.py
"
        ),
    )?;
    Ok(draft)
}
