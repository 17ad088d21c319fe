//! `[[component]]`: limits and network of components by name pattern.

use hedgerow_isolation::plan::Network;
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ComponentRule {
    /// A component name; `*` stands for any characters.
    pub name: String,
    /// Bytes.
    pub memory: Option<u64>,
    /// CPUs, as in Greengrass: 0.5 is half of one.
    pub cpus: Option<f64>,
    /// Processes and threads.
    pub pids: Option<u32>,
    pub network: Option<Network>,
    /// Bytes that it may write outside its work directory.
    pub layer: Option<u64>,
    /// Bytes that its work directory may have.
    pub work: Option<u64>,
}

impl ComponentRule {
    pub(super) fn is_sane(&self) -> bool {
        self.cpus.is_none_or(|cpus| cpus > 0.0 && cpus <= 1024.0)
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub(super) fn milli_cpus(&self) -> Option<u32> {
        // In range: `is_sane` has been asked.
        self.cpus.map(|cpus| (cpus * 1000.0).ceil() as u32)
    }
}
