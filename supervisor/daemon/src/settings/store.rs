//! `[store]`: how much of the disk artifacts may take.

use serde::Deserialize;

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Store {
    /// Bytes of all artifacts; Greengrass's `componentStoreMaxSizeBytes`.
    pub max_size: u64,
    /// Bytes of the disk that artifacts leave free.
    pub keep_free: u64,
}

impl Default for Store {
    fn default() -> Self {
        Self { max_size: 10_000_000_000, keep_free: 20_000_000 }
    }
}
