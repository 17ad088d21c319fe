//! `[compat]`: where Hedgerow is better than Greengrass by default, and is to be like it.

use serde::Deserialize;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Compat {
    /// A component that fails is tried again at once, and is BROKEN for good at the third time in an hour.
    pub greengrass_restart: bool,
    /// The install step runs once in each boot, though it has succeeded before.
    pub install_every_boot: bool,
    /// Every component reads every other's configuration over IPC.
    pub open_configuration: bool,
    /// Every function invokes every other with the SDK of Greengrass v1.
    pub open_invoke: bool,
}
