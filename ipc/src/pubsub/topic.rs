//! Topics and the filters that select them: levels between `/`; in a filter the level `+` stands
//! for any one level, and the last level `#` for the rest, its parent included.

/// Why a topic or a filter is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedTopic {
    #[error("a topic must not be empty")]
    Empty,
    #[error("a topic of {length} bytes is longer than the {limit} allowed")]
    TooLong { length: usize, limit: usize },
    #[error("a topic to publish to must not contain `+`, `#` or `*`")]
    Wildcard,
    #[error("`#` must be the last level of a topic filter, and a level by itself")]
    MisplacedHash,
    #[error("`+` must be a level of a topic filter by itself")]
    MisplacedPlus,
}

/// Checks a topic to publish to.
///
/// # Errors
/// It is empty, longer than `limit` bytes, or has a wildcard.
pub fn check(topic: &str, limit: usize) -> Result<(), MalformedTopic> {
    check_length(topic, limit)?;
    if topic.bytes().any(|byte| matches!(byte, b'+' | b'#' | b'*')) {
        return Err(MalformedTopic::Wildcard);
    }
    Ok(())
}

fn check_length(topic: &str, limit: usize) -> Result<(), MalformedTopic> {
    match topic.len() {
        0 => Err(MalformedTopic::Empty),
        length if length > limit => Err(MalformedTopic::TooLong { length, limit }),
        _ => Ok(()),
    }
}

/// A valid topic filter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Filter(Box<str>);

impl Filter {
    /// Checks a filter.
    ///
    /// # Errors
    /// It is empty, longer than `limit` bytes, or a wildcard shares its level or is misplaced.
    pub fn parse(text: &str, limit: usize) -> Result<Filter, MalformedTopic> {
        check_length(text, limit)?;
        let mut levels = text.split('/').peekable();
        while let Some(level) = levels.next() {
            if level.contains('#') && (level != "#" || levels.peek().is_some()) {
                return Err(MalformedTopic::MisplacedHash);
            }
            if level.contains('+') && level != "+" {
                return Err(MalformedTopic::MisplacedPlus);
            }
        }
        Ok(Filter(text.into()))
    }

    /// The filter's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it can match more than the topic of the same text.
    pub fn has_wildcard(&self) -> bool {
        self.0.bytes().any(|byte| matches!(byte, b'+' | b'#'))
    }

    /// Whether `topic` is selected.
    pub fn matches(&self, topic: &str) -> bool {
        let mut levels = topic.split('/');
        for wanted in self.0.split('/') {
            match (wanted, levels.next()) {
                ("#", _) => return true,
                ("+", Some(_)) => {}
                (wanted, Some(level)) if wanted == level => {}
                _ => return false,
            }
        }
        levels.next().is_none()
    }
}
