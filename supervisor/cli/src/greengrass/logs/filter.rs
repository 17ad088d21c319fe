//! What `--filter` takes: alternatives, separated by commas.

use regex_lite::Regex;
use serde_json::Value;

use super::entry::{Entry, Level};

#[derive(Debug, Clone)]
pub struct Filter {
    alternatives: Vec<Alternative>,
}

#[derive(Debug, Clone)]
enum Alternative {
    /// This level or a graver one.
    Level(Level),
    Equal {
        key: String,
        value: String,
    },
    Matches(Regex),
}

impl Filter {
    pub fn parse(text: &str) -> Result<Self, String> {
        let alternatives = text.split(',').map(Alternative::parse);
        Ok(Self { alternatives: alternatives.collect::<Result<_, _>>()? })
    }

    pub fn matches(&self, entry: &Entry) -> bool {
        self.alternatives.iter().any(|alternative| alternative.matches(entry))
    }
}

impl Alternative {
    fn parse(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            None => {
                Regex::new(text).map(Self::Matches).map_err(|error| format!("{text:?}: {error}"))
            }
            Some(("level", level)) => Level::parse(level)
                .map(Self::Level)
                .ok_or_else(|| format!("{level:?} is not TRACE, DEBUG, INFO, WARN or ERROR")),
            Some((key, value)) => Ok(Self::Equal { key: key.to_owned(), value: value.to_owned() }),
        }
    }

    fn matches(&self, entry: &Entry) -> bool {
        match self {
            Self::Level(level) => entry.level >= *level,
            Self::Matches(regex) => regex.is_match(&entry.to_string()),
            Self::Equal { key, value } => match key.as_str() {
                "serviceName" | "loggerName" | "component" => entry.component == *value,
                "step" => entry.step == *value,
                key => field(&entry.text, key).is_some_and(|found| found == *value),
            },
        }
    }
}

/// The value that a line which is JSON, or has `key=value` in it, gives a key.
fn field(text: &str, key: &str) -> Option<String> {
    if let Ok(Value::Object(map)) = serde_json::from_str(text) {
        return map.get(key).map(|value| match value {
            Value::String(text) => text.clone(),
            value => value.to_string(),
        });
    }
    let mut pairs = text.split([' ', ',', ';', '{', '}']).filter_map(|word| word.split_once('='));
    pairs.find_map(|(name, value)| (name == key).then(|| value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_alternative_is_enough() {
        let warning = Entry::parse("c", "2026-01-31T08:00:00Z [WARN] run: disk=full at 12");
        let json =
            Entry::parse("c", r#"2026-01-31T08:00:00Z [INFO] run: {"disk": "full", "at": 12}"#);
        for (filter, on_warning, on_json) in [
            ("level=INFO", true, true),
            ("level=WARN", true, false),
            ("level=ERROR", false, false),
            ("level=ERROR,level=WARN", true, false),
            ("disk=full", true, true),
            ("at=12", false, true),
            ("serviceName=c", true, true),
            ("serviceName=d,step=run", true, true),
            ("step=install", false, false),
            ("at [0-9]+", true, false),
            ("nothing,full", true, true),
        ] {
            let filter = Filter::parse(filter).unwrap();
            assert_eq!(filter.matches(&warning), on_warning, "{filter:?}");
            assert_eq!(filter.matches(&json), on_json, "{filter:?}");
        }
        for wrong in ["level=LOUD", "("] {
            assert!(Filter::parse(wrong).is_err(), "{wrong}");
        }
    }
}
