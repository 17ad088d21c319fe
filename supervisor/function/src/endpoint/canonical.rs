//! The canonical form of a request ("Create a canonical request", AWS Signature Version 4).

use std::borrow::Cow;
use std::fmt::Write;

use hyper::HeaderMap;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};

use super::sigv4::{Fault, Request};

/// RFC 3986's unreserved characters stay.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const ENCODED_PATH: &AsciiSet = &ENCODED.remove(b'/');

/// `signed`: names of headers, in order.
pub(super) fn request(request: &Request<'_>, signed: &str) -> Result<String, Fault> {
    let mut text = format!("{}\n", request.method);
    // The path stands on the wire encoded, and is encoded once more for every service but S3.
    let path = utf8_percent_encode(request.path, ENCODED_PATH);
    let _ = writeln!(text, "{path}\n{}", query(request.query));
    for name in signed.split(';') {
        let _ = writeln!(text, "{name}:{}", header(request.headers, name)?);
    }
    let _ = write!(text, "\n{signed}\n{}", hex(&Sha256::digest(request.body)));
    Ok(text)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Sorted by name and value, each encoded in the one right way.
fn query(query: &str) -> String {
    let encode = |text: &str| {
        let bytes: Cow<'_, [u8]> = percent_decode_str(text).into();
        percent_encoding::percent_encode(&bytes, ENCODED).to_string()
    };
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (encode(name), encode(value)))
        .collect();
    pairs.sort();
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// All its values, with single spaces.
fn header(headers: &HeaderMap, name: &str) -> Result<String, Fault> {
    let mut values = headers.get_all(name).iter().peekable();
    if values.peek().is_none() {
        return Err(Fault::Incomplete("a header among SignedHeaders is not there"));
    }
    let values = values.map(|value| {
        let text = value.to_str().map_err(|_| Fault::Incomplete("a signed header is not ASCII"))?;
        Ok(text.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
    });
    Ok(values.collect::<Result<Vec<_>, Fault>>()?.join(","))
}
