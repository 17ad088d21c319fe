//! The components that are measured: they do nothing themselves.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use hedgerow_harness::Source;
use tempfile::TempDir;

/// May publish and subscribe to [`TOPIC`], and leaves that to the measuring process in its name.
pub const CHANNEL: &str = "bench.channel";
pub const TOPIC: &str = "bench/messages";

pub const IDLE: [&str; 3] = ["bench.idle-a", "bench.idle-b", "bench.idle-c"];

/// Recipes in a directory of their own.
#[derive(Debug)]
pub struct Components {
    directory: TempDir,
}

impl Components {
    pub fn write() -> Result<Components> {
        let directory = tempfile::tempdir()?;
        let policy = serde_json::json!({ "aws.greengrass.ipc.pubsub": { "bench:pubsub:1": {
            "operations": ["aws.greengrass#PublishToTopic", "aws.greengrass#SubscribeToTopic"],
            "resources": [TOPIC],
        } } });
        let idle = IDLE.map(|name| (name, serde_json::json!({})));
        for (name, access) in idle.into_iter().chain([(CHANNEL, policy)]) {
            let recipe = serde_json::json!({
                "RecipeFormatVersion": "2020-01-25",
                "ComponentName": name,
                "ComponentVersion": "1.0.0",
                "ComponentConfiguration": { "DefaultConfiguration": { "accessControl": access } },
                "Manifests": [{
                    "Platform": { "os": "linux" },
                    "Lifecycle": { "run": "exec sleep infinity" },
                }],
            });
            let path = directory.path().join(format!("{name}-1.0.0.json"));
            fs::write(path, recipe.to_string())?;
        }
        Ok(Components { directory })
    }

    pub fn source(&self) -> Source {
        Source { recipes: PathBuf::from(self.directory.path()), artifacts: None }
    }
}

/// `NAME=VERSION`, as a deployment names it.
pub fn addition(name: &str) -> String {
    format!("{name}=1.0.0")
}
