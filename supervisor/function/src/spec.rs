//! What a function is, as plain data.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionSpec {
    /// The component's name, by which the function is invoked as well.
    pub name: String,
    /// `arn:aws:lambda:<region>:<account>:function:<name>`, without a qualifier. Its last part is another name of it.
    pub arn: String,
    /// The version that is deployed, as Lambda numbers versions: the qualifier of the recipe's `ComponentSource`, else
    /// the component's version.
    pub version: String,
    /// Alias to version, as in Lambda. Only aliases of the version that is deployed answer.
    pub aliases: BTreeMap<String, String>,
    pub runtime: Runtime,
    /// `module.function`, `file.export`, or whatever a custom runtime makes of it.
    pub handler: String,
    /// The function's own variables.
    pub environment: BTreeMap<String, String>,
    pub encoding: Encoding,
    /// One instance, which starts with the deployment and never ends for being idle.
    pub pinned: bool,
    /// Of one invocation.
    pub timeout: Duration,
    /// From the start of the runtime to its first `next`; `None`: a pinned function may take for ever.
    pub init_timeout: Option<Duration>,
    /// Bytes (`memory.max`).
    pub memory: u64,
    /// Bytes of `/tmp`.
    pub ephemeral_storage: u64,
    /// Instances at once: what Lambda calls reserved concurrency.
    pub max_instances: u32,
    /// An instance that had nothing to do for so long is ended.
    pub max_idle: Duration,
    pub queue: QueuePolicy,
    pub sources: Vec<EventSource>,
    /// Changes when, and only when, running instances are out of date.
    pub digest: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Runtime {
    /// `python3.11`
    Python { version: String },
    /// `nodejs20.x`
    Node { version: String },
    /// `provided.al2023` and its kind: an executable `bootstrap` in the function or a layer.
    Provided { name: String },
}

/// What an event's payload may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// What is not JSON is refused before it reaches the function.
    #[default]
    Json,
    Binary,
}

/// How asynchronous events wait and are tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuePolicy {
    /// Events that may wait; more are refused.
    pub length: u32,
    /// An event older than this is given up.
    pub max_age: Duration,
    /// Tries after the first.
    pub retries: u32,
    /// Before the first of them; before the second it is twice as long, and so on. In Lambda a minute.
    pub retry_delay: Duration,
    /// Local topic that is told of each event that was given up.
    pub dead_letter: Option<String>,
}

/// What makes events for a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventSource {
    /// A filter of local topics (Greengrass: `PUB_SUB`).
    Topic { filter: String },
    /// A filter of AWS IoT Core topics (Greengrass: `IOT_CORE`).
    IotCore { filter: String },
    /// `rate(5 minutes)` or `cron(0 12 * * ? *)`, as EventBridge writes them.
    Schedule { expression: String, input: Option<String> },
    /// A file or directory inside the fence's view of what it is granted.
    File { path: PathBuf },
}

/// Whom an invocation is for: `name`, `name:qualifier`, or an ARN with or without a qualifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// A function's name or unqualified ARN.
    pub function: String,
    /// A version or an alias. `None` and `$LATEST`: what is deployed.
    pub qualifier: Option<String>,
}

impl FunctionSpec {
    /// Whether it goes by that qualifier: a version or alias of what is deployed, or none.
    pub fn answers_to(&self, qualifier: Option<&str>) -> bool {
        match qualifier {
            None | Some("$LATEST") => true,
            Some(qualifier) => {
                let alias = self.aliases.get(qualifier);
                alias.map_or(qualifier, String::as_str) == self.version
            }
        }
    }
}

/// `name`, `name:qualifier`, and both after `arn:<partition>:lambda:<region>:<account>:function:` or
/// `<account>:function:`.
impl From<&str> for Target {
    fn from(text: &str) -> Self {
        let name = text.find(":function:").map_or(0, |start| start + ":function:".len());
        let (function, qualifier) = match text[name..].split_once(':') {
            Some((last, qualifier)) => (&text[..name + last.len()], Some(qualifier.to_owned())),
            None => (text, None),
        };
        Self { function: function.to_owned(), qualifier }
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Python { version } => write!(f, "python{version}"),
            Self::Node { version } => write!(f, "nodejs{version}"),
            Self::Provided { name } => f.write_str(name),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.function)?;
        match &self.qualifier {
            Some(qualifier) => write!(f, ":{qualifier}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_name_or_an_arn_with_or_without_a_qualifier() {
        let arn = "arn:aws:lambda:eu-west-1:123456789012:function:com.example.Hello";
        let table = [
            ("com.example.Hello", "com.example.Hello", None),
            ("com.example.Hello:prod", "com.example.Hello", Some("prod")),
            (arn, arn, None),
            (&format!("{arn}:7"), arn, Some("7")),
            ("123456789012:function:x:$LATEST", "123456789012:function:x", Some("$LATEST")),
            ("", "", None),
        ];
        for (text, function, qualifier) in table {
            let target = Target::from(text);
            assert_eq!(target.function, function);
            assert_eq!(target.qualifier.as_deref(), qualifier);
            assert_eq!(target.to_string(), text);
        }
    }
}
