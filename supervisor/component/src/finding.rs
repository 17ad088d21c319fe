//! What is wrong with an author's file, where, and what to do about it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One thing to say about a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub severity: Severity,
    pub file: String,
    /// Counted from 1; 0 where the finding is about the whole file.
    pub line: u32,
    /// In characters, counted from 1; 0 where the finding is about the whole file.
    pub column: u32,
    /// RFC 6901, spelled as in the file; empty for the whole document.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
    /// What to do; may be empty where the message says it.
    pub advice: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Warning,
    Error,
}

impl Finding {
    /// A finding about a file as a whole.
    pub fn of_file(file: &str, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            file: file.to_owned(),
            line: 0,
            column: 0,
            pointer: String::new(),
            message: message.into(),
            advice: advice.into(),
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// `file:line:column: error: message (at /pointer); advice`
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {}: {}", self.severity, self.message)?;
        if !self.pointer.is_empty() {
            write!(f, " (at {})", self.pointer)?;
        }
        if !self.advice.is_empty() {
            write!(f, "; {}", self.advice)?;
        }
        Ok(())
    }
}
