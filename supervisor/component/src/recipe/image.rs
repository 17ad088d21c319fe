//! Container images: artifacts with the scheme `docker:`.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use regex_lite::Regex;

/// A reference to a container image: `[registry/]path[:tag][@digest]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image(String);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a container image such as docker:registry.example.com/path/name:tag")]
pub struct InvalidImage(String);

impl Image {
    /// Longest reference that is read, in bytes.
    pub const MAX_LENGTH: usize = 1024;

    /// Without the scheme, as `docker pull` takes it.
    pub fn reference(&self) -> &str {
        &self.0
    }
}

/// From a URI or its part after `docker:`.
impl FromStr for Image {
    type Err = InvalidImage;

    fn from_str(text: &str) -> Result<Self, InvalidImage> {
        let scheme = text.get(..7).is_some_and(|s| s.eq_ignore_ascii_case("docker:"));
        let reference = if scheme { text.get(7..).unwrap_or_default() } else { text };
        if reference.len() > Self::MAX_LENGTH || !REFERENCE.is_match(reference) {
            return Err(InvalidImage(text.chars().take(200).collect()));
        }
        Ok(Self(reference.to_owned()))
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "docker:{}", self.0)
    }
}

/// The grammar of the reference implementation of container registries.
static REFERENCE: LazyLock<Regex> = LazyLock::new(|| {
    let label = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?";
    let registry = format!(r"(?:{label}(?:\.{label})*(?::[0-9]+)?/)?");
    let part = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*";
    let tag = r"(?::\w[\w.-]{0,127})?";
    let digest = r"(?:@[A-Za-z][A-Za-z0-9]*(?:[+._-][A-Za-z0-9]+)*:[0-9a-fA-F]{32,})?";
    Regex::new(&format!("^{registry}{part}(?:/{part})*{tag}{digest}$")).expect("a valid expression")
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_as_registries_read_them() {
        let digest = format!("docker:alpine@sha256:{}", "ab".repeat(32));
        for (uri, reference) in [
            ("docker:nginx", "nginx"),
            ("docker:library/nginx:1.25-alpine", "library/nginx:1.25-alpine"),
            ("docker:localhost:5000/a/b", "localhost:5000/a/b"),
            (
                "docker:123.dkr.ecr.us-east-1.amazonaws.com/Team".to_lowercase().as_str(),
                "123.dkr.ecr.us-east-1.amazonaws.com/team",
            ),
            ("Docker:public.ecr.aws/x/y:latest", "public.ecr.aws/x/y:latest"),
            (digest.as_str(), &digest[7..]),
        ] {
            assert_eq!(uri.parse::<Image>().map(|i| i.0).as_deref(), Ok(reference));
        }
        for bad in ["docker:", "docker:a b", "docker:UPPER", "docker:a:", "docker:a@sha256:12"] {
            assert!(bad.parse::<Image>().is_err(), "{bad}");
        }
    }
}
