//! What is wrong with a function's parameters.

use std::fmt;

/// Where a fault is: the configuration may be a deployment's, so that no line of a file can be named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// RFC 6901, from the root of the configuration.
    Configuration(String),
    /// A variable of the lifecycle's `setenv`.
    Variable(String),
    Artifacts,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub at: At,
    pub message: String,
    /// What to do; may be empty where the message says it.
    pub advice: String,
}

/// What has another effect than it says, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub at: At,
    pub message: String,
}

/// What is there only where the administrator grants it, which whoever reads a recipe alone does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    pub at: At,
    pub message: String,
    /// The line of a grant that gives it.
    pub grant: String,
}

/// Everything that is wrong with the parameters of one function.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct InvalidLambda {
    /// At least one.
    pub faults: Vec<Fault>,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration(pointer) => write!(f, "configuration {pointer}"),
            Self::Variable(name) => write!(f, "setenv {name}"),
            Self::Artifacts => f.write_str("artifacts"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.message)?;
        match self.advice.as_str() {
            "" => Ok(()),
            advice => write!(f, "; {advice}"),
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.message)
    }
}

impl fmt::Display for InvalidLambda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.faults.iter().enumerate() {
            write!(f, "{}{fault}", if i == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}
