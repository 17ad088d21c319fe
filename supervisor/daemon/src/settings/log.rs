//! `[log]`: how much of a component's output is kept.

use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Log {
    /// Bytes of one log file before it is rotated.
    pub max_size: u64,
    /// Files kept of each component, the current one included.
    pub files: u32,
    /// Entries a second that a component may write on average; 0: as many as it likes.
    pub rate: u32,
    /// Whether entries go to the journal as well, where there is one.
    pub journal: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self { max_size: 1024 * 1024, files: 4, rate: 1000, journal: true }
    }
}
