//! JSON that travels in a header.

use std::borrow::Cow;
use std::fmt::Write;

/// The same JSON in ASCII only: what is not ASCII can stand in strings only, where it may be escaped. (Rust's client
/// ends at header values of other bytes.)
pub(super) fn in_ascii(json: &str) -> Cow<'_, str> {
    if json.is_ascii() {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len() * 2);
    for character in json.chars() {
        if character.is_ascii() {
            escaped.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            // To write into a string does not fail.
            let _ = write!(escaped, "\\u{unit:04x}");
        }
    }
    Cow::Owned(escaped)
}
