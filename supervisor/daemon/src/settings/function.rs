//! `[function]`: what Lambda functions may take of the device together.

use serde::Deserialize;

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Function {
    /// Bytes of all events that wait in the queue.
    pub queue_max_size: u64,
}

impl Default for Function {
    fn default() -> Self {
        Self { queue_max_size: 64_000_000 }
    }
}
