//! Resources of `accessControl`: globs with `*`, and MQTT's wildcards where the service has them.
//!
//! `*` matches any characters, `/` included. `${*}`, `${?}` and `${$}` are the characters
//! themselves; a bare `?` is reserved and an error. In the MQTT style a level `+` matches one level
//! and a last level `#` matches the rest, the parent included.

/// How a service reads its resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// `+` and `#` are ordinary characters.
    Standard,
    /// `+` and `#` are wildcards.
    Mqtt,
}

/// A resource that is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedPattern {
    #[error("a resource must not be empty")]
    Empty,
    #[error("`?` is reserved; write `${{?}}` for the character")]
    BareQuestionMark,
    #[error("`${{` begins an escape, which is one of `${{*}}`, `${{?}}` and `${{$}}`")]
    UnknownEscape,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    /// Any characters.
    Any,
    /// One whole level.
    Level,
}

/// A compiled resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    pieces: Box<[Piece]>,
    /// Ends in the level `#`.
    rest: bool,
}

impl Pattern {
    /// Compiles `resource`.
    ///
    /// # Errors
    /// It is empty or has a `?` or a `${…}` that is not an escape.
    pub fn parse(resource: &str, style: Style) -> Result<Pattern, MalformedPattern> {
        if resource.is_empty() {
            return Err(MalformedPattern::Empty);
        }
        let (resource, rest) = match (style, resource.strip_suffix('#')) {
            (Style::Mqtt, Some("")) => ("", true),
            (Style::Mqtt, Some(parent)) if parent.ends_with('/') => {
                (&parent[..parent.len() - 1], true)
            }
            _ => (resource, false),
        };
        let mut compiler = Compiler::default();
        let mut left = resource;
        while let Some(character) = left.chars().next() {
            let after = &left[character.len_utf8()..];
            left = match character {
                '?' => return Err(MalformedPattern::BareQuestionMark),
                '$' if after.starts_with('{') => compiler.escape(left)?,
                '*' => {
                    compiler.wildcard(Piece::Any);
                    after
                }
                '+' if style == Style::Mqtt && is_level(resource, left) => {
                    compiler.wildcard(Piece::Level);
                    after
                }
                character => {
                    compiler.text.push(character);
                    after
                }
            };
        }
        Ok(Pattern { pieces: compiler.finish(), rest })
    }

    /// Whether the whole of `resource` matches.
    pub fn matches(&self, resource: &str) -> bool {
        if self.rest && self.pieces.is_empty() {
            return true; // `#` alone
        }
        // Between two `Any`, each piece ends where its start decides and never earlier for a later
        // start; so trying the last `Any` one character longer is all the backtracking needed.
        let (mut piece, mut at) = (0, 0);
        let mut last_any = None;
        loop {
            match self.pieces.get(piece) {
                Some(Piece::Any) => {
                    last_any = Some((piece, at));
                    piece += 1;
                    continue;
                }
                Some(fixed) => {
                    if let Some(end) = fixed.end(resource, at) {
                        (piece, at) = (piece + 1, end);
                        continue;
                    }
                }
                None if self.ends(resource, at) => return true,
                None => {}
            }
            let Some((any, start)) = last_any else { return false };
            let Some(skipped) = resource[start..].chars().next() else { return false };
            let start = start + skipped.len_utf8();
            last_any = Some((any, start));
            (piece, at) = (any + 1, start);
        }
    }

    fn ends(&self, resource: &str, at: usize) -> bool {
        at == resource.len() || (self.rest && resource[at..].starts_with('/'))
    }
}

impl Piece {
    /// Where the match of a piece that starts at `at` ends.
    fn end(&self, resource: &str, at: usize) -> Option<usize> {
        let left = &resource[at..];
        match self {
            Piece::Text(text) => left.starts_with(text.as_ref()).then_some(at + text.len()),
            Piece::Level => Some(at + left.find('/').unwrap_or(left.len())),
            Piece::Any => None,
        }
    }
}

/// Whether the first character of `left`, a suffix of `resource`, is a level of its own.
fn is_level(resource: &str, left: &str) -> bool {
    let before = &resource[..resource.len() - left.len()];
    let after = &left[1..];
    (before.is_empty() || before.ends_with('/')) && (after.is_empty() || after.starts_with('/'))
}

#[derive(Default)]
struct Compiler {
    pieces: Vec<Piece>,
    text: String,
}

impl Compiler {
    /// Takes the escape at the start of `left`; returns what follows it.
    fn escape<'a>(&mut self, left: &'a str) -> Result<&'a str, MalformedPattern> {
        for (escape, character) in [("${*}", '*'), ("${?}", '?'), ("${$}", '$')] {
            if let Some(after) = left.strip_prefix(escape) {
                self.text.push(character);
                return Ok(after);
            }
        }
        Err(MalformedPattern::UnknownEscape)
    }

    fn wildcard(&mut self, wildcard: Piece) {
        self.end_text();
        if self.pieces.last() != Some(&Piece::Any) || wildcard != Piece::Any {
            self.pieces.push(wildcard);
        }
    }

    fn end_text(&mut self) {
        if !self.text.is_empty() {
            self.pieces.push(Piece::Text(std::mem::take(&mut self.text).into()));
        }
    }

    fn finish(mut self) -> Box<[Piece]> {
        self.end_text();
        self.pieces.into()
    }
}
