//! From bytes to entries: the level that a line names, and lines that belong together.

use serde_json::{Map, Value};

use super::Stream;

/// One message, of one line or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub level: Level,
    /// Without the last line feed. What is not UTF-8 is replaced.
    pub text: String,
}

/// Greengrass' levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

impl Level {
    pub fn name(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }

    /// syslog(3)'s.
    pub fn priority(self) -> &'static str {
        match self {
            Self::Trace | Self::Debug => "7",
            Self::Info => "6",
            Self::Warn => "4",
            Self::Error => "3",
        }
    }

    /// Where the line says nothing, as Greengrass logs the two streams.
    fn of(stream: Stream) -> Self {
        match stream {
            Stream::Stdout => Self::Info,
            Stream::Stderr => Self::Warn,
        }
    }

    /// The words of the usual logging libraries.
    fn named(word: &str) -> Option<Self> {
        Some(match word.to_ascii_uppercase().as_str() {
            "TRACE" | "FINEST" | "VERBOSE" => Self::Trace,
            "DEBUG" | "DEBG" | "FINE" => Self::Debug,
            "INFO" | "INFORMATION" | "NOTICE" => Self::Info,
            "WARN" | "WARNING" => Self::Warn,
            "ERROR" | "ERR" | "ERRO" | "SEVERE" | "CRITICAL" | "CRIT" | "FATAL" | "ALERT"
            | "EMERG" | "PANIC" => Self::Error,
            _ => return None,
        })
    }

    /// sd-daemon(3)'s `<3>`, and the numbers of syslog.
    fn numbered(digit: char) -> Option<Self> {
        Some(match digit {
            '0'..='3' => Self::Error,
            '4' => Self::Warn,
            '5' | '6' => Self::Info,
            '7' => Self::Debug,
            _ => return None,
        })
    }
}

/// Makes entries of what one stream of a step says, chunk by chunk.
#[derive(Debug)]
pub struct Entries {
    stream: Stream,
    /// Of the entry at the end of the last chunk, which the next may go on with.
    last: Level,
    trace: Trace,
}

/// Where in a Python traceback the last line was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trace {
    None,
    /// The frames, which are indented; the next line that is not ends it.
    Frames,
}

impl Entries {
    pub fn new(stream: Stream) -> Self {
        Self { stream, last: Level::of(stream), trace: Trace::None }
    }

    /// The entries of whole lines; a last line without a line feed is one as well.
    pub fn split(&mut self, bytes: &[u8]) -> Vec<Entry> {
        let text = String::from_utf8_lossy(bytes);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let mut entries: Vec<Entry> = Vec::new();
        for line in text.split('\n') {
            let line = line.strip_suffix('\r').unwrap_or(line);
            match (self.goes_on(line), entries.last_mut()) {
                (true, Some(entry)) => {
                    entry.text.push('\n');
                    entry.text.push_str(line);
                }
                (true, None) => entries.push(Entry { level: self.last, text: line.to_owned() }),
                (false, _) => {
                    let (level, text) = self.read(line);
                    self.last = level;
                    entries.push(Entry { level, text: text.to_owned() });
                }
            }
        }
        entries
    }

    /// Whether the last entry of these lines is known to have more lines than have come.
    pub fn is_open_after(&self, bytes: &[u8]) -> bool {
        let mut ahead = Self { ..*self };
        ahead.split(bytes);
        ahead.trace == Trace::Frames
    }

    /// Whether the line belongs to the entry before it, and where in a traceback it is.
    fn goes_on(&mut self, line: &str) -> bool {
        let is_indented = line.starts_with([' ', '\t']);
        match self.trace {
            Trace::Frames => {
                if !is_indented {
                    self.trace = Trace::None;
                }
                true
            }
            Trace::None if line.starts_with("Traceback (most recent call last):") => {
                self.trace = Trace::Frames;
                false
            }
            Trace::None => is_indented || line.starts_with("Caused by: "),
        }
    }

    /// The level of a line that begins an entry, and the line without a priority that was only for us.
    fn read<'a>(&self, line: &'a str) -> (Level, &'a str) {
        if self.trace == Trace::Frames {
            return (Level::Error, line);
        }
        if let Some((level, rest)) = prefixed(line) {
            return (level, rest);
        }
        let level = of_json(line).or_else(|| of_words(line));
        (level.unwrap_or(Level::of(self.stream)), line)
    }
}

/// `<6>text`, as sd-daemon(3) has it.
fn prefixed(line: &str) -> Option<(Level, &str)> {
    let mut characters = line.strip_prefix('<')?.chars();
    let level = Level::numbered(characters.next()?)?;
    Some((level, characters.as_str().strip_prefix('>')?))
}

/// A line that is a JSON object, by the keys that the usual libraries have.
fn of_json(line: &str) -> Option<Level> {
    const KEYS: [&str; 5] = ["level", "severity", "levelname", "lvl", "log.level"];
    if !line.starts_with('{') {
        return None;
    }
    let map: Map<String, Value> = serde_json::from_str(line).ok()?;
    match KEYS.iter().find_map(|key| map.get(*key))? {
        Value::String(word) => Level::named(word),
        // bunyan and pino: 10 trace, 20 debug, 30 info, 40 warning, 50 error, 60 fatal.
        Value::Number(number) => Some(match number.as_u64()? {
            10 => Level::Trace,
            20 => Level::Debug,
            30 => Level::Info,
            40 => Level::Warn,
            50 | 60 => Level::Error,
            _ => return None,
        }),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A level among the first words: `ERROR:root:…`, `[warn] …`, `2026-01-31 08:00:00 INFO …`,
/// `… - name - DEBUG - …`, `level=info …`. A level's name in the middle of a sentence is none.
fn of_words(line: &str) -> Option<Level> {
    const WORDS: usize = 8;
    let words: Vec<&str> = line.split_ascii_whitespace().take(WORDS).collect();
    for (index, word) in words.iter().enumerate() {
        if let Some(("level" | "lvl" | "severity", value)) = word.split_once('=') {
            return Level::named(value.trim_matches('"'));
        }
        let bare = word.split(':').next().unwrap_or_default();
        let in_brackets =
            bare.strip_prefix(['[', '(', '<']).and_then(|rest| rest.strip_suffix([']', ')', '>']));
        let name = in_brackets.unwrap_or(bare).trim_matches('|');
        let Some(level) = Level::named(name) else { continue };
        let is_shouted = name.bytes().all(|byte| byte.is_ascii_uppercase());
        let before = words.get(..index).unwrap_or_default();
        let is_between_dashes = before.last() == Some(&"-");
        let is_leading = before.iter().all(|word| is_head(word));
        if in_brackets.is_some()
            || (is_between_dashes && is_shouted)
            || (is_leading && (is_shouted || word.contains(':')))
        {
            return Some(level);
        }
    }
    None
}

/// A word that stands before a level: a time, or something in brackets.
fn is_head(word: &str) -> bool {
    let is_time = word.starts_with(|c: char| c.is_ascii_digit())
        && word.bytes().all(|byte| !byte.is_ascii_alphabetic() || matches!(byte, b'T' | b'Z'));
    is_time || word.starts_with(['[', '(']) || matches!(word, "-" | "|")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(stream: Stream, text: &str) -> Vec<Level> {
        Entries::new(stream).split(text.as_bytes()).iter().map(|entry| entry.level).collect()
    }

    #[test]
    fn the_usual_libraries_name_the_level() {
        for (line, level) in [
            ("plain", Level::Info),
            ("ERROR:root:it broke", Level::Error),
            ("WARNING: deprecated", Level::Warn),
            ("warning: unused", Level::Warn),
            ("[debug] x", Level::Debug),
            ("2026-01-31 08:00:00,123 - sensor - ERROR - it broke", Level::Error),
            ("2026-01-31T08:00:00Z WARN sensor: it is hot", Level::Warn),
            ("2026-01-31 08:00:00.123 [main] DEBUG com.example.Main - x", Level::Debug),
            ("[2026-01-31 08:00:00] [CRITICAL] x", Level::Error),
            ("time=2026 level=error msg=\"x\"", Level::Error),
            (r#"{"level": "warn", "msg": "x"}"#, Level::Warn),
            (r#"{"severity": "ERROR"}"#, Level::Error),
            (r#"{"level": 50, "msg": "pino"}"#, Level::Error),
            (r#"{"level": {}}"#, Level::Info),
            ("<3>it broke", Level::Error),
            ("<9>not a priority", Level::Info),
            ("there was an ERROR today", Level::Info),
            ("error is a word", Level::Info),
            ("information about errors", Level::Info),
            ("", Level::Info),
        ] {
            assert_eq!(levels(Stream::Stdout, line), [level], "{line:?}");
        }
        assert_eq!(levels(Stream::Stderr, "plain"), [Level::Warn]);
        assert_eq!(Entries::new(Stream::Stdout).split(b"<3>it broke\n")[0].text, "it broke");
    }

    #[test]
    fn a_stack_trace_is_one_entry() {
        let python = "before\nTraceback (most recent call last):\n  File \"x.py\", line 1\n    f()\nValueError: bad\nafter\n";
        let java = "ERROR x\n\tat a.b(C.java:1)\nCaused by: y\n\tat d.e(F.java:2)\nINFO z\n";
        for (text, expected) in [(python, &[1, 4, 1][..]), (java, &[4, 1]), ("a\nb\n", &[1, 1])] {
            let entries = Entries::new(Stream::Stderr).split(text.as_bytes());
            let lines: Vec<_> = entries.iter().map(|entry| entry.text.lines().count()).collect();
            assert_eq!(lines, expected, "{entries:?}");
        }
        assert_eq!(levels(Stream::Stderr, python), [Level::Warn, Level::Error, Level::Warn]);
    }

    #[test]
    fn a_trace_that_comes_in_pieces_is_known_to_be_open() {
        let mut entries = Entries::new(Stream::Stderr);
        let head = b"Traceback (most recent call last):\n  File \"x.py\", line 1\n";
        assert!(entries.is_open_after(head) && !entries.is_open_after(b"plain\n"));
        entries.split(head);
        let rest = entries.split(b"    f()\nValueError: bad\nnext\n");
        assert_eq!(rest[0], Entry { level: Level::Error, text: "    f()\nValueError: bad".into() });
        assert_eq!(rest[1], Entry { level: Level::Warn, text: "next".into() });
        assert!(!entries.is_open_after(b""));
    }
}
