//! `[run-with-default]`: Greengrass's `runWithDefault`, how steps run where nothing else is said.

use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct RunWithDefault {
    /// The shell inside the fence that runs each step's script, as in `sh -c SCRIPT`.
    pub posix_shell: String,
}

impl Default for RunWithDefault {
    fn default() -> Self {
        Self { posix_shell: "sh".to_owned() }
    }
}
