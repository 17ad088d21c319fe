//! `real-root`: a component whose root is the host's own.

use std::collections::BTreeSet;

use rustix::thread::CapabilitySet;
use serde::{Deserialize, Serialize};

/// What the privileged steps of a component, and its `sudo`, are root of.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub enum RealRoot {
    /// Of the fence alone.
    #[default]
    No,
    /// Of the host, with a container's usual capabilities and these.
    With(BTreeSet<Capability>),
    /// Of the host, with every capability that the launcher has.
    Full,
}

/// As in the file: `true`, or the names of capabilities.
#[derive(Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "real-root: true, or capabilities by name, such as [\"CAP_SYS_ADMIN\"]"
)]
enum Written {
    Whether(bool),
    Capabilities(BTreeSet<Capability>),
}

/// A name of capabilities(7), such as `CAP_SYS_ADMIN`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Capability(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a capability: a name of capabilities(7), such as \"CAP_SYS_ADMIN\"")]
pub struct BadCapability(String);

impl Capability {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Capability {
    type Error = BadCapability;

    fn try_from(name: String) -> Result<Self, BadCapability> {
        let known = name.strip_prefix("CAP_").and_then(CapabilitySet::from_name);
        if known.is_some() { Ok(Self(name)) } else { Err(BadCapability(name)) }
    }
}

impl From<Capability> for String {
    fn from(capability: Capability) -> Self {
        capability.0
    }
}

impl From<Written> for RealRoot {
    fn from(written: Written) -> Self {
        match written {
            Written::Whether(false) => Self::No,
            Written::Whether(true) => Self::Full,
            Written::Capabilities(names) => Self::With(names),
        }
    }
}

impl From<RealRoot> for Written {
    fn from(root: RealRoot) -> Self {
        match root {
            RealRoot::No => Self::Whether(false),
            RealRoot::Full => Self::Whether(true),
            RealRoot::With(names) => Self::Capabilities(names),
        }
    }
}

impl RealRoot {
    /// What two grants say together.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        match (self, other) {
            (Self::Full, _) | (_, Self::Full) => Self::Full,
            (Self::With(mut names), Self::With(more)) => {
                names.extend(more.iter().cloned());
                Self::With(names)
            }
            (Self::No, one) => one.clone(),
            (one, Self::No) => one,
        }
    }

    pub fn is_granted(&self) -> bool {
        match self {
            Self::No => false,
            Self::With(_) | Self::Full => true,
        }
    }

    /// Names of what it has beyond a container's usual capabilities, without the `CAP_`. Of [`Self::Full`] what this
    /// process has itself: nobody can give more.
    pub fn capabilities(&self) -> impl Iterator<Item = &str> {
        let named = match self {
            Self::No | Self::Full => None,
            Self::With(names) => Some(names),
        };
        let full = matches!(self, Self::Full).then(held);
        let held = full.into_iter().flat_map(|held| held.iter_names().map(|(name, _)| name));
        let named = named.into_iter().flatten();
        named.filter_map(|name| name.as_str().strip_prefix("CAP_")).chain(held)
    }

    /// Whether it has this capability beyond a container's usual ones.
    pub fn has(&self, capability: &str) -> bool {
        match self {
            Self::No => false,
            Self::With(names) => names.iter().any(|name| name.as_str() == capability),
            Self::Full => true,
        }
    }
}

fn held() -> CapabilitySet {
    rustix::thread::capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.permitted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(json: &str) -> Result<RealRoot, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn it_is_said_as_true_or_by_names_of_capabilities() {
        assert_eq!(root("false").unwrap(), RealRoot::No);
        assert_eq!(root("true").unwrap(), RealRoot::Full);
        let some = root(r#"["CAP_SYS_TIME", "CAP_SYS_MODULE"]"#).unwrap();
        assert!(some.has("CAP_SYS_TIME") && !some.has("CAP_SYS_ADMIN"));
        assert!(root("[]").unwrap().is_granted());
        for bad in ["\"yes\"", r#"["SYS_TIME"]"#, r#"["CAP_NOTHING"]"#, r#"["CAP_"]"#, "1"] {
            assert!(root(bad).is_err(), "{bad}");
        }
        for said in ["true", "false", r#"["CAP_SYS_TIME"]"#] {
            assert_eq!(serde_json::to_string(&root(said).unwrap()).unwrap(), said);
        }
    }

    #[test]
    fn several_add_up() {
        let time = root(r#"["CAP_SYS_TIME"]"#).unwrap();
        let module = root(r#"["CAP_SYS_MODULE"]"#).unwrap();
        let both = time.clone().and(&module);
        assert!(both.has("CAP_SYS_TIME") && both.has("CAP_SYS_MODULE"));
        assert_eq!(RealRoot::No.and(&time), time);
        assert_eq!(time.clone().and(&RealRoot::No), time);
        assert_eq!(time.and(&RealRoot::Full), RealRoot::Full);
    }
}
