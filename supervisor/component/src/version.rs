//! Versions and the ranges that ask for them, in node-semver's grammar.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use nodejs_semver as npm;
use regex_lite::Regex;
use serde::{Deserialize, Serialize};

/// A component's version: semantic versioning 2.0.0, at most 64 characters, each number at most
/// 999,999. Versions that differ only in build metadata (`+…`) are the same version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version(npm::Version);

/// Why a text is not a version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidVersion {
    #[error("a version has at most {max} characters, this one has {0}", max = Version::MAX_LENGTH)]
    Length(usize),
    #[error("{0:?} is not a semantic version such as 1.0.0 or 2.1.0-beta.1")]
    Syntax(String),
    #[error("{0:?} is not a version: it needs three numbers, such as {0}{1}, in quotes")]
    Short(String, &'static str),
    #[error("each number of a version is at most {max}, {0} is more", max = Version::MAX_NUMBER)]
    Number(u64),
}

impl Version {
    pub const MAX_LENGTH: usize = 64;
    pub const MAX_NUMBER: u64 = 999_999;

    pub fn major(&self) -> u64 {
        self.0.major()
    }

    pub fn minor(&self) -> u64 {
        self.0.minor()
    }
}

/// Major, minor and patch.
impl From<(u64, u64, u64)> for Version {
    fn from(numbers: (u64, u64, u64)) -> Self {
        Self(npm::Version::from(numbers))
    }
}

impl FromStr for Version {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        if text.len() > Self::MAX_LENGTH {
            return Err(InvalidVersion::Length(text.len()));
        }
        let digits = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
        if text.split('.').all(digits) {
            match text.split('.').count() {
                1 => return Err(InvalidVersion::Short(text.to_owned(), ".0.0")),
                2 => return Err(InvalidVersion::Short(text.to_owned(), ".0")),
                _ => {}
            }
        }
        let invalid = || InvalidVersion::Syntax(text.to_owned());
        let version = npm::Version::parse(text).map_err(|_| invalid())?;
        // The library reads over what it does not understand; a recipe's author has to hear of it.
        if version.to_string() != text {
            return Err(invalid());
        }
        let numbers = [version.major(), version.minor(), version.patch()];
        match numbers.into_iter().find(|&n| n > Self::MAX_NUMBER) {
            Some(n) => Err(InvalidVersion::Number(n)),
            None => Ok(Self(version)),
        }
    }
}

impl TryFrom<String> for Version {
    type Error = InvalidVersion;

    fn try_from(text: String) -> Result<Self, InvalidVersion> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.to_string()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which versions will do: `^1.2`, `~1.0.3`, `>=1.0.0 <3.0.0`, `1.x || 2.x`, `*`, `1.0.0`.
///
/// A prerelease satisfies a range only where the range names a prerelease of the same three
/// numbers, as in npm.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VersionReq {
    text: String,
    range: npm::Range,
}

/// A text that is not a version range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a version range such as ^1.0.0, ~1.2.0 or '>=1.0.0 <3.0.0'")]
pub struct InvalidRange(String);

impl VersionReq {
    /// Longest text that is read as a range; Greengrass states none.
    pub const MAX_LENGTH: usize = 1024;

    pub fn matches(&self, version: &Version) -> bool {
        self.range.satisfies(&version.0)
    }

    /// The range as its author wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The versions that its text names in full, whether they are in the range or not.
    pub fn named(&self) -> Vec<Version> {
        let words = self.text.split(|c: char| !(c.is_ascii_alphanumeric() || ".-+".contains(c)));
        words.filter_map(|word| word.trim_start_matches('v').parse().ok()).collect()
    }

    /// Every version.
    pub fn any() -> Self {
        Self { text: "*".to_owned(), range: npm::Range::any() }
    }

    /// Exactly this version.
    pub fn exactly(version: &Version) -> Self {
        let text = version.to_string();
        // A version's own text is a range that holds it; "any" is only there to avoid a panic.
        let range = npm::Range::parse(&text).unwrap_or_else(|_| npm::Range::any());
        Self { text, range }
    }
}

impl FromStr for VersionReq {
    type Err = InvalidRange;

    fn from_str(text: &str) -> Result<Self, InvalidRange> {
        let invalid = || InvalidRange(text.chars().take(128).collect());
        // The library reads over what it does not understand, which would widen the range.
        if text.len() > Self::MAX_LENGTH || !text.split("||").all(|set| SET.is_match(set)) {
            return Err(invalid());
        }
        let range = npm::Range::parse(text.trim()).map_err(|_| invalid())?;
        Ok(Self { text: text.to_owned(), range })
    }
}

/// What stands between two `||` in node-semver's grammar: `1.0 - 2.0`, or comparators that all
/// have to hold.
static SET: LazyLock<Regex> = LazyLock::new(|| {
    let partial = r"v?(?:[xX*]|\d+)(?:\.(?:[xX*]|\d+)){0,2}(?:-[\w.-]+)?(?:\+[\w.-]+)?";
    let comparator = format!(r"(?:>=|<=|~>|[<>=~^])?\s*{partial}");
    let set = format!(r"^\s*(?:{partial}\s+-\s+{partial}|{comparator}(?:\s+{comparator})*)?\s*$");
    Regex::new(&set).expect("a valid expression")
});

impl PartialEq for VersionReq {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for VersionReq {}

impl TryFrom<String> for VersionReq {
    type Error = InvalidRange;

    fn try_from(text: String) -> Result<Self, InvalidRange> {
        text.parse()
    }
}

impl From<VersionReq> for String {
    fn from(requirement: VersionReq) -> Self {
        requirement.text
    }
}

impl fmt::Display for VersionReq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_read_as_npm_reads_them() {
        let cases = [
            ("1.0.0", "1.0.0", true),
            ("1.0.0", "1.0.1", false),
            ("^1.2", "1.9.9", true),
            ("^1.2", "2.0.0", false),
            ("^0.2.3", "0.3.0", false),
            ("~1.2.3", "1.2.9", true),
            ("~1.2.3", "1.3.0", false),
            (">=1.0.0 <3.0.0", "2.9.9", true),
            (">=1.0.0 <3.0.0", "3.0.0", false),
            (">= 1.0.0", "1.0.0", true),
            ("1.x || 3.x", "3.4.5", true),
            ("1.x || 3.x", "2.0.0", false),
            ("1.0.0 - 1.9.0", "1.5.0", true),
            ("*", "7.0.0", true),
            ("", "7.0.0", true),
            (" ^2.0.0 ", "2.1.0", true),
            ("~>1.2", "1.2.7", true),
            ("=1.0.0", "1.0.0", true),
            ("1.2.3 || 1.3", "1.3.9", true),
            (">=1.0.0 <1.5.0 || >=2.0.0", "1.7.0", false),
            ("^1.0.0", "1.1.0-beta", false),
            (">=1.1.0-alpha <2.0.0", "1.1.0-beta", true),
        ];
        for (range, version, expected) in cases {
            let range: VersionReq = range.parse().unwrap();
            assert_eq!(range.matches(&version.parse().unwrap()), expected, "{range} {version}");
        }
        for bad in [
            "latest",
            "^",
            ">=a.b.c",
            "1.0.0 &&",
            "{VERSION}",
            "^1.0.0 latest",
            "1.0.0 , 2",
            ">=1.0.0,<2.0.0",
            "foo || 1.0.0",
            "1.0.0foo",
            "1 - ",
            "1.0.0 - 2.0.0 - 3.0.0",
            "1.0.0.0",
        ] {
            assert!(bad.parse::<VersionReq>().is_err(), "{bad}");
        }
    }

    #[test]
    fn versions_keep_greengrass_limits_and_order() {
        for good in ["0.0.0", "1.2.3", "999999.0.0", "1.0.0-beta.1", "1.0.0+build.5"] {
            assert_eq!(good.parse::<Version>().unwrap().to_string(), good);
        }
        let long = format!("1.0.0-{}", "a".repeat(60));
        for bad in [
            "",
            "1",
            "1.0",
            "v1.0.0",
            " 1.0.0",
            "1.0.0 ",
            "1000000.0.0",
            "1.0.0/..",
            "1.0.0 foo",
            "1.0.0-01",
            &long,
        ] {
            assert!(bad.parse::<Version>().is_err(), "{bad}");
        }
        let ordered: Vec<Version> = ["1.0.0-alpha", "1.0.0-beta", "1.0.0", "1.2.0", "1.10.0"]
            .map(|v| v.parse().unwrap())
            .into();
        assert!(ordered.is_sorted());
    }

    proptest! {
        #[test]
        fn no_text_makes_them_panic(text in any::<String>(), like in "[-0-9a-z.^~<>=|x* +]{0,40}") {
            for text in [&text, &like] {
                let _ = text.parse::<Version>();
                let _ = text.parse::<VersionReq>();
            }
        }

        #[test]
        fn a_version_is_within_exactly_itself(a in 0u32..50, b in 0u32..50, c in 0u32..50, pre in "(-[a-z]{1,3}(\\.[1-9])?)?") {
            let version: Version = format!("{a}.{b}.{c}{pre}").parse().unwrap();
            prop_assert!(VersionReq::exactly(&version).matches(&version));
            prop_assert_eq!(version.to_string().parse::<Version>().unwrap(), version);
        }
    }
}
