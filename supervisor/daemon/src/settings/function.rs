//! `[function]`: what Lambda functions may take of the device together.

use hedgerow_function::Bounds;
use serde::Deserialize;

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Function {
    /// Bytes of all events that wait in the queue.
    pub queue_max_size: u64,
    /// Bytes of all invocations that wait or run.
    pub invocations_max_size: usize,
    /// Instances that start at once.
    pub concurrent_starts: usize,
    /// Fences that are made before instances want them, of all functions together.
    pub prepared_fences: usize,
}

impl Function {
    pub fn bounds(&self) -> Bounds {
        Bounds { invocations: self.invocations_max_size, starts: self.concurrent_starts }
    }
}

impl Default for Function {
    fn default() -> Self {
        let Bounds { invocations, starts } = Bounds::default();
        Self {
            queue_max_size: 64_000_000,
            invocations_max_size: invocations,
            concurrent_starts: starts,
            prepared_fences: 4,
        }
    }
}
