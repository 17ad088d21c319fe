//! The jobs that the daemon knows of.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use hedgerow_api::zbus::fdo::ObjectManagerProxy;
use hedgerow_api::{BUS_NAME, Bus, JobProperties, ROOT_PATH};

/// Every job by its object path.
pub(crate) fn jobs(root: &Path) -> Result<BTreeMap<String, JobProperties>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let connection = Bus::Root(root.to_owned()).connect().await.context("the bus")?;
        let objects = ObjectManagerProxy::builder(&connection)
            .destination(BUS_NAME)
            .path(ROOT_PATH)
            .build()
            .await?;
        let mut jobs = BTreeMap::new();
        for path in objects.get_managed_objects().await?.into_keys() {
            if path.as_str().contains("/job/") {
                let job = JobProperties::of(&connection, &path).await?;
                jobs.insert(path.to_string(), job);
            }
        }
        Ok(jobs)
    })
}
