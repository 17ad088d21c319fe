//! JSON (RFC 8259) with positions. `//` and `/* */` comments are read over, with a remark.
//!
//! The reader finds where each token begins and ends; serde_json decodes the token.

use serde_json::Number;

use super::{
    Budget, Content, Document, Entry, MAX_DEPTH, Node, Position, Remark, repeated_keys, too_deep,
};

pub(super) fn read(text: &str) -> Result<Document, Remark> {
    let mut reader = Reader {
        rest: text,
        at: Position { line: 1, column: 1 },
        budget: Budget::new(),
        remarks: Vec::new(),
    };
    let root = reader.value(0)?;
    reader.blank()?;
    match reader.peek() {
        None => Ok(Document { root, remarks: reader.remarks }),
        Some(c) => Err(reader.error(format!("{c:?} follows the end of the document"))),
    }
}

struct Reader<'t> {
    rest: &'t str,
    at: Position,
    budget: Budget,
    remarks: Vec<Remark>,
}

impl<'t> Reader<'t> {
    fn value(&mut self, depth: usize) -> Result<Node, Remark> {
        if depth > MAX_DEPTH {
            return Err(self.error(too_deep()));
        }
        self.blank()?;
        let at = self.at;
        let content = match self.peek() {
            Some('{') => self.map(depth)?,
            Some('[') => self.list(depth)?,
            Some('"') => Content::Text(self.string()?),
            Some('-' | '0'..='9') => self.number()?,
            Some(c) if c.is_ascii_alphabetic() => self.word()?,
            Some(c) => return Err(self.error(format!("expected a value, found {c:?}"))),
            None => return Err(self.error("expected a value, found the end of the file")),
        };
        let text = match &content {
            Content::Text(text) | Content::Number(_, text) => text.len(),
            _ => 0,
        };
        self.budget.spend(1, text, at)?;
        Ok(Node { at, content })
    }

    fn map(&mut self, depth: usize) -> Result<Content, Remark> {
        let mut entries = Vec::new();
        self.bump();
        self.blank()?;
        if self.take('}') {
            return Ok(Content::Map(entries));
        }
        loop {
            self.blank()?;
            let at = self.at;
            if self.peek() == Some('}') {
                return Err(self.error("a comma stands before this brace; remove it"));
            }
            if self.peek() != Some('"') {
                return Err(self.expected("a key in double quotes"));
            }
            let key = self.string()?;
            self.budget.spend(1, key.len(), at)?;
            self.blank()?;
            if !self.take(':') {
                return Err(self.expected("':'"));
            }
            entries.push(Entry { key, at, value: self.value(depth + 1)? });
            self.blank()?;
            if self.take('}') {
                repeated_keys(&entries, &mut self.remarks);
                return Ok(Content::Map(entries));
            }
            if !self.take(',') {
                return Err(self.expected("',' or '}'"));
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Content, Remark> {
        let mut items = Vec::new();
        self.bump();
        self.blank()?;
        if self.take(']') {
            return Ok(Content::List(items));
        }
        loop {
            self.blank()?;
            if self.peek() == Some(']') {
                return Err(self.error("a comma stands before this bracket; remove it"));
            }
            items.push(self.value(depth + 1)?);
            self.blank()?;
            if self.take(']') {
                return Ok(Content::List(items));
            }
            if !self.take(',') {
                return Err(self.expected("',' or ']'"));
            }
        }
    }

    fn string(&mut self) -> Result<String, Remark> {
        let begin = self.at;
        let mut escaped = false;
        let end = self.rest.char_indices().skip(1).find_map(|(i, c)| {
            let closes = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            closes.then_some(i + 1)
        });
        let Some(end) = end else {
            return Err(self.error("the text that begins here has no closing quote"));
        };
        let token = self.advance(end);
        serde_json::from_str(token).map_err(|e| Remark {
            at: begin,
            message: format!("not a JSON string: {}", reason(&e)),
        })
    }

    fn number(&mut self) -> Result<Content, Remark> {
        let token = self.token();
        token
            .parse::<Number>()
            .map(|number| Content::Number(number, token.to_owned()))
            .map_err(|_| self.error(format!("{token:?} is not a JSON number")))
            .inspect(|_| {
                self.advance(token.len());
            })
    }

    fn word(&mut self) -> Result<Content, Remark> {
        let token = self.token();
        let content = match token {
            "null" => Content::Null,
            "true" => Content::Bool(true),
            "false" => Content::Bool(false),
            _ => return Err(self.error(format!("expected a value, found {token:?}"))),
        };
        self.advance(token.len());
        Ok(content)
    }

    /// The letters, digits and signs that begin here.
    fn token(&self) -> &'t str {
        let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.' | '_');
        let end = self.rest.find(|c| !part(c)).unwrap_or(self.rest.len());
        self.rest.get(..end).unwrap_or_default()
    }

    fn blank(&mut self) -> Result<(), Remark> {
        loop {
            let space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r');
            let end = self.rest.find(|c| !space(c)).unwrap_or(self.rest.len());
            self.advance(end);
            let comment = if self.rest.starts_with("//") {
                self.rest.find('\n').unwrap_or(self.rest.len())
            } else if self.rest.starts_with("/*") {
                match self.rest.get(2..).and_then(|comment| comment.find("*/")) {
                    Some(end) => end + 4,
                    None => return Err(self.error("the comment that begins here has no end")),
                }
            } else {
                return Ok(());
            };
            if self.remarks.is_empty() {
                let message = "JSON has no comments; this one is read over".to_owned();
                self.remarks.push(Remark { at: self.at, message });
            }
            self.advance(comment);
        }
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn take(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        if found {
            self.bump();
        }
        found
    }

    fn bump(&mut self) {
        let width = self.peek().map_or(0, char::len_utf8);
        self.advance(width);
    }

    /// Moves over the next `bytes`, which end between two characters, and returns them.
    fn advance(&mut self, bytes: usize) -> &'t str {
        let (over, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        for c in over.chars() {
            if c == '\n' {
                self.at.line = self.at.line.saturating_add(1);
                self.at.column = 1;
            } else {
                self.at.column = self.at.column.saturating_add(1);
            }
        }
        self.rest = rest;
        over
    }

    fn expected(&self, what: &str) -> Remark {
        match self.peek() {
            Some(c) => self.error(format!("expected {what}, found {c:?}")),
            None => self.error(format!("expected {what}, found the end of the file")),
        }
    }

    fn error(&self, message: impl Into<String>) -> Remark {
        Remark { at: self.at, message: message.into() }
    }
}

/// serde_json's message without its own idea of where in the token it was.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}
