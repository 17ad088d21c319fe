//! Names of components.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A component's name: 1 to 128 of `A-Z a-z 0-9 - _ .`, and neither `.` nor `..`, because names
/// become directories inside a fence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ComponentName(String);

/// Why a text is not a component's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    #[error("a component name has 1 to 128 characters, this one has {0}")]
    Length(usize),
    #[error("a component name has only letters, digits, '-', '_' and '.', not {0:?}")]
    Character(char),
    #[error("'.' and '..' are directories, not component names")]
    Directory,
}

impl ComponentName {
    pub const MAX_LENGTH: usize = 128;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ComponentName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if let Some(c) = text.chars().find(|&c| !allowed(c)) {
            return Err(InvalidName::Character(c));
        }
        if text.is_empty() || text.len() > Self::MAX_LENGTH {
            return Err(InvalidName::Length(text.len()));
        }
        if text == "." || text == ".." {
            return Err(InvalidName::Directory);
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for ComponentName {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<ComponentName> for String {
    fn from(name: ComponentName) -> Self {
        name.0
    }
}

impl fmt::Display for ComponentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for ComponentName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for ComponentName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_greengrass_takes_and_safe_as_directories() {
        for good in ["a", "com.example.Hello-World_1", "-", "...", &"x".repeat(128)] {
            assert!(good.parse::<ComponentName>().is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a b", "ä", "a\0", "a\n", &"x".repeat(129)] {
            assert!(bad.parse::<ComponentName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_stored_name_is_checked_again() {
        assert!(serde_json::from_str::<ComponentName>("\"../x\"").is_err());
    }
}
