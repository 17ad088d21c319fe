//! The secret that a component shows when it connects (`SVCUID`).

use std::fmt;
use std::hint::black_box;

/// Base32's letters: no JSON escaping (some clients paste the token into JSON as it is), no quoting
/// in a shell.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Letters of a generated token: 160 random bits.
const LENGTH: usize = 32;

/// Fewest letters of a token that is accepted from elsewhere.
const SHORTEST: usize = 16;

/// A component's token. `Debug` does not show it.
#[derive(Clone)]
pub struct Token(Box<str>);

/// The text cannot be a token: too short, or with a character that would need escaping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token is at least {SHORTEST} ASCII letters and digits")]
pub struct MalformedToken;

/// The operating system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("no randomness for a token: {0}")]
pub struct NoRandomness(getrandom::Error);

impl Token {
    /// Makes a token of 32 letters from the operating system's randomness.
    ///
    /// # Errors
    /// The operating system has no randomness to give.
    pub fn generate() -> Result<Token, NoRandomness> {
        let mut random = [0; LENGTH];
        getrandom::fill(&mut random).map_err(NoRandomness)?;
        let letters = random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
        Ok(Token(letters.collect::<String>().into()))
    }

    /// Takes back a token that was stored.
    ///
    /// # Errors
    /// It is too short or has other characters than ASCII letters and digits.
    pub fn parse(text: &str) -> Result<Token, MalformedToken> {
        let valid = text.len() >= SHORTEST && text.bytes().all(|b| b.is_ascii_alphanumeric());
        if valid { Ok(Token(text.into())) } else { Err(MalformedToken) }
    }

    /// The token's text, for the environment of the component's processes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Compares in a time that tells nothing about where `presented` differs.
    pub fn matches(&self, presented: &str) -> bool {
        let (own, other) = (self.0.as_bytes(), presented.as_bytes());
        if own.len() != other.len() {
            return false;
        }
        let difference = own.iter().zip(other).fold(0, |sum, (a, b)| black_box(sum | (a ^ b)));
        black_box(difference) == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_tokens_differ_and_parse() {
        let (one, two) = (Token::generate().unwrap(), Token::generate().unwrap());
        assert_ne!(one.as_str(), two.as_str());
        assert!(Token::parse(one.as_str()).unwrap().matches(one.as_str()));
        assert!(!one.matches(two.as_str()));
        assert!(!one.matches(&one.as_str()[1..]));
        assert!(!one.matches(""));
        assert!(!format!("{one:?}").contains(one.as_str()));
    }

    #[test]
    fn what_needs_escaping_is_no_token() {
        for text in ["", "short", "0123456789abcde\"", "0123456789abcdef\n", "ÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄ"]
        {
            assert_eq!(Token::parse(text).err(), Some(MalformedToken), "{text}");
        }
    }
}
