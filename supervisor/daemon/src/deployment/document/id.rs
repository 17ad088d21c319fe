//! The id of a deployment.

use std::fmt;
use std::fs;

use hedgerow_isolation::moment::Moment;
use serde::{Deserialize, Serialize};

/// A UUID where we made it; else what the document says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeploymentId(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a deployment id: 1 to 128 visible ASCII characters")]
pub struct InvalidId(String);

impl DeploymentId {
    pub const MAX_LENGTH: usize = 128;

    /// A new random one.
    pub fn made() -> Self {
        match fs::read_to_string("/proc/sys/kernel/random/uuid") {
            Ok(uuid) => Self(uuid.trim().to_owned()),
            Err(_) => {
                let now = Moment::now();
                Self(format!("{}-{}", now.boot_id, now.boottime))
            }
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for DeploymentId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        let is_valid = (1..=Self::MAX_LENGTH).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_valid { Ok(Self(text)) } else { Err(InvalidId(text.chars().take(128).collect())) }
    }
}

impl From<DeploymentId> for String {
    fn from(id: DeploymentId) -> Self {
        id.0
    }
}

impl fmt::Display for DeploymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
