//! The languages of functions, and the components that bring what runs them.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::name::ComponentName;

/// Components of this name bring the client of a runtime, and may bring an interpreter.
const COMPONENT: &str = "io.hedgerow.runtime.";

/// What a function is to be run by, as Lambda names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Runtime {
    /// `python3.11`, `nodejs20.x`
    Language { language: Language, version: u32 },
    /// `provided`, `provided.al2023`: the function brings an executable `bootstrap`.
    Provided(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Language {
    /// Versions are the minors of Python 3.
    Python,
    /// Versions are majors.
    Node,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the runtime {name:?} cannot be run here")]
pub struct UnknownRuntime {
    pub name: String,
    /// What to do.
    pub advice: &'static str,
}

impl Language {
    /// All versions that may exist for as long as this program is used.
    const fn versions(self) -> std::ops::RangeInclusive<u32> {
        match self {
            Self::Python => 6..=39,
            Self::Node => 8..=59,
        }
    }
}

impl Runtime {
    /// The component that brings its client; none where the function brings everything.
    pub fn component(&self) -> Option<ComponentName> {
        match self {
            Self::Language { .. } => format!("{COMPONENT}{self}").parse().ok(),
            Self::Provided(_) => None,
        }
    }

    /// It, then the other versions of its language: the nearest first, and of two as near the newer.
    pub fn nearest(&self) -> Vec<Runtime> {
        match *self {
            Self::Language { language, version } => {
                let mut versions: Vec<u32> = language.versions().collect();
                versions.sort_by_key(|other| (other.abs_diff(version), *other < version));
                versions.into_iter().map(|version| Self::Language { language, version }).collect()
            }
            Self::Provided(_) => vec![self.clone()],
        }
    }

    /// Of a component's name, if it is one that brings a runtime's client.
    pub fn of_component(name: &str) -> Option<Self> {
        name.strip_prefix(COMPONENT)?.parse().ok()
    }
}

impl FromStr for Runtime {
    type Err = UnknownRuntime;

    fn from_str(name: &str) -> Result<Self, UnknownRuntime> {
        let refuse = |advice| Err(UnknownRuntime { name: name.to_owned(), advice });
        let small = name.to_ascii_lowercase();
        if small != name {
            let advice = small.parse::<Self>().map_or_else(
                |unknown| unknown.advice,
                |_| "write it in small letters, as Lambda does",
            );
            return refuse(advice);
        }
        let language = |language: Language, version: &str| {
            let number = version.parse().ok().filter(|number| language.versions().contains(number));
            match number {
                Some(version) => Ok(Self::Language { language, version }),
                None => refuse("there is python3.6 and later, and nodejs8.x and later"),
            }
        };
        if let Some(minor) = name.strip_prefix("python3.") {
            language(Language::Python, minor)
        } else if let Some(version) = name.strip_prefix("nodejs") {
            // Before there was an x, there was a minor.
            language(Language::Node, version.split('.').next().unwrap_or_default())
        } else if name == "provided" || name.starts_with("provided.") {
            Ok(Self::Provided(name.to_owned()))
        } else if matches!(name, "python" | "python3") {
            refuse("say which: python3.11, for example")
        } else if name.starts_with("python") {
            refuse("port the function to Python 3")
        } else if name == "go1.x" || name.ends_with("executable") {
            refuse(
                "build it with Lambda's runtime library for its language, call the program bootstrap, and set the \
                 runtime to provided.al2023",
            )
        } else {
            refuse(
                "python3.x, nodejs<version>.x and provided.* are run; of another language put its runtime into the \
                 archive, start it from an executable named bootstrap, and set the runtime to provided.al2023",
            )
        }
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Language { language: Language::Python, version } => {
                write!(f, "python3.{version}")
            }
            Self::Language { language: Language::Node, version } => write!(f, "nodejs{version}.x"),
            Self::Provided(name) => f.write_str(name),
        }
    }
}
