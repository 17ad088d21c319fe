//! `[device]`: which device this is.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Device {
    /// `{iot:thingName}` and `AWS_IOT_THING_NAME`.
    pub thing_name: String,
    /// `AWS_REGION`.
    pub region: String,
    /// Platform attributes beside `os` and `architecture`, or in place of them.
    pub platform: BTreeMap<String, String>,
}
