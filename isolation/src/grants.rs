//! `[[grant]]`: what the administrator lets components have beyond the ordinary. The launcher enforces it and the
//! daemon explains it; both read it from the same root-owned files.
//!
//! ```toml
//! [[grant]]
//! component = "com.example.*"
//! ports = ["8080:80/tcp"]
//! ```

use serde::{Deserialize, Serialize};

use crate::network::Port;
use crate::pattern;

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Grant {
    /// Names of components; `*` stands for any characters.
    pub component: String,
    /// The host's network in place of a fence's own.
    #[serde(default)]
    pub host_network: bool,
    /// Ports of the host that lead into the fence.
    #[serde(default)]
    pub ports: Vec<Port>,
}

/// Everything that is granted to `component`, by however many grants.
pub fn granted(grants: &[Grant], component: &str) -> Grant {
    let mut all = Grant { component: component.to_owned(), ..Grant::default() };
    for grant in grants.iter().filter(|grant| pattern::matches(&grant.component, component)) {
        all.host_network |= grant.host_network;
        all.ports.extend(&grant.ports);
    }
    all
}
