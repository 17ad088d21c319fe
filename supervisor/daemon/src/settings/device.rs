//! `[device]`: which device this is.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Device {
    /// `{iot:thingName}` and `AWS_IOT_THING_NAME`; by default the host's name.
    pub thing_name: String,
    /// `AWS_REGION`.
    pub region: String,
    /// Platform attributes beside `os` and `architecture`, or in place of them.
    pub platform: BTreeMap<String, String>,
    pub proxy: Proxy,
}

/// `[device.proxy]`: by whom programs are to reach the network. They are told in the environment.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Proxy {
    /// `http://user:password@host:port`. Empty: by nobody.
    pub url: String,
    /// Hosts and domains to be reached without it, separated by commas.
    pub no_proxy: String,
}

impl Proxy {
    /// In both spellings, as Greengrass does.
    pub fn environment(&self) -> impl Iterator<Item = (String, String)> {
        const USING: [&str; 3] = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];
        let used = !self.url.is_empty();
        let using = USING.iter().map(|name| (*name, &self.url));
        let all = using.chain([("NO_PROXY", &self.no_proxy)]).filter(move |_| used);
        all.flat_map(|(name, value)| {
            [name.to_owned(), name.to_lowercase()].map(|name| (name, value.clone()))
        })
    }
}
