//! One line of a component's log: `<time> [<level>] <step>: <text>`.

use std::fmt;
use std::time::SystemTime;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub component: String,
    /// `None` where the line does not begin with one.
    pub time: Option<SystemTime>,
    pub level: Level,
    pub step: String,
    pub text: String,
    line: String,
}

/// In the order of their weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

impl Level {
    pub fn parse(text: &str) -> Option<Self> {
        let levels = [
            ("TRACE", Self::Trace),
            ("DEBUG", Self::Debug),
            ("INFO", Self::Info),
            ("WARN", Self::Warn),
            ("ERROR", Self::Error),
        ];
        levels
            .into_iter()
            .find_map(|(name, level)| text.eq_ignore_ascii_case(name).then_some(level))
    }
}

impl Entry {
    /// A line that is not the daemon's is kept whole, as information.
    pub fn parse(component: &str, line: &str) -> Self {
        Self::read(component, line).unwrap_or_else(|| Self {
            component: component.to_owned(),
            time: None,
            level: Level::Info,
            step: String::new(),
            text: line.to_owned(),
            line: line.to_owned(),
        })
    }

    fn read(component: &str, line: &str) -> Option<Self> {
        let (time, rest) = line.split_once(" [")?;
        let (level, rest) = rest.split_once("] ")?;
        let (step, text) = rest.split_once(": ").or_else(|| Some((rest.strip_suffix(':')?, "")))?;
        Some(Self {
            component: component.to_owned(),
            time: Some(humantime::parse_rfc3339(time).ok()?),
            level: Level::parse(level)?,
            step: step.to_owned(),
            text: text.to_owned(),
            line: format!("{time} [{level}] {component}: {rest}"),
        })
    }
}

/// The line with the component's name after the level, so that lines of several components can be told apart.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_apart_or_kept_whole() {
        let entry = Entry::parse("c", "2026-01-31T08:00:00.123Z [WARN] run: half: full");
        assert_eq!(
            (entry.level, entry.step.as_str(), entry.text.as_str()),
            (Level::Warn, "run", "half: full")
        );
        assert_eq!(entry.to_string(), "2026-01-31T08:00:00.123Z [WARN] c: run: half: full");
        assert_eq!(Entry::parse("c", "2026-01-31T08:00:00.123Z [INFO] run: ").text, "");
        for other in ["", "half a line", "2026 [INFO] run: x", "2026-01-31T08:00:00Z [LOUD] run: x"]
        {
            let entry = Entry::parse("c", other);
            assert_eq!((entry.time, entry.text.as_str()), (None, other));
        }
    }
}
