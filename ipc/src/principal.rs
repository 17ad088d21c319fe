//! Who acts.

use std::fmt;
use std::sync::Arc;

/// Who publishes, subscribes or calls. It is established by the transport (which socket, which
/// bus credentials), never by what the peer says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Principal {
    /// A component, by name.
    Component(Arc<str>),
    /// A user of this machine whom the bus has already admitted as an administrator, by uid.
    HostUser(u32),
    /// A device on the local network, by client id.
    LocalDevice(Arc<str>),
    /// The cloud link.
    Cloud,
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Principal::Component(name) => write!(f, "component {name:?}"),
            Principal::HostUser(uid) => write!(f, "host user {uid}"),
            Principal::LocalDevice(id) => write!(f, "local device {id:?}"),
            Principal::Cloud => f.write_str("cloud"),
        }
    }
}
