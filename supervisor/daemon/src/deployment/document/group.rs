//! Who a deployment is for: each group's roots are remembered, and a component stays while one group asks for it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[expect(clippy::enum_variant_names, reason = "AWS IoT calls it a thing group")]
pub enum Group {
    /// `LOCAL_DEPLOYMENTS`
    Local,
    /// `thinggroup/<name>`
    ThingGroup(String),
    /// `thing/<name>`
    Thing(String),
    /// `image`: what the device's image brings along.
    Image,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a group: LOCAL_DEPLOYMENTS, thinggroup/<name> or thing/<name>, at most 256 characters"
)]
pub struct InvalidGroup(String);

impl Group {
    const MAX_LENGTH: usize = 256;
}

impl FromStr for Group {
    type Err = InvalidGroup;

    fn from_str(text: &str) -> Result<Self, InvalidGroup> {
        let named = |name: &str| {
            let is_valid = !name.is_empty()
                && text.len() <= Self::MAX_LENGTH
                && !name.chars().any(char::is_control);
            is_valid.then(|| name.to_owned())
        };
        let group = match text.split_once('/') {
            None if text == "LOCAL_DEPLOYMENTS" => Some(Self::Local),
            None if text == "image" => Some(Self::Image),
            Some(("thinggroup", name)) => named(name).map(Self::ThingGroup),
            Some(("thing", name)) => named(name).map(Self::Thing),
            Some(_) | None => None,
        };
        group.ok_or_else(|| InvalidGroup(text.chars().take(Self::MAX_LENGTH).collect()))
    }
}

impl TryFrom<String> for Group {
    type Error = InvalidGroup;

    fn try_from(text: String) -> Result<Self, InvalidGroup> {
        text.parse()
    }
}

impl From<Group> for String {
    fn from(group: Group) -> Self {
        group.to_string()
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("LOCAL_DEPLOYMENTS"),
            Self::ThingGroup(name) => write!(f, "thinggroup/{name}"),
            Self::Thing(name) => write!(f, "thing/{name}"),
            Self::Image => f.write_str("image"),
        }
    }
}
