//! AWS Signature Version 4, from the side that verifies it.
//!
//! The body is always signed, which clients do where the connection is not encrypted; signatures in a query
//! (presigned URLs) and of chunks are not taken.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HeaderName};
use sha2::{Digest, Sha256};

use super::canonical;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const SERVICE: &str = "lambda";
const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";
const DATE: HeaderName = HeaderName::from_static("x-amz-date");

/// How far the clocks of both sides may be apart, as in AWS.
pub const SKEW: Duration = Duration::from_secs(15 * 60);

type Mac256 = Hmac<Sha256>;

/// What the `Authorization` header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature<'a> {
    pub access_key: &'a str,
    /// `YYYYMMDD`.
    date: &'a str,
    region: &'a str,
    /// `YYYYMMDDTHHMMSSZ`.
    time: &'a str,
    /// Names, sorted, between semicolons.
    signed_headers: &'a str,
    signature: [u8; 32],
}

/// What was signed.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub method: &'a str,
    /// As it stands in the request.
    pub path: &'a str,
    pub query: &'a str,
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
}

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error(
        "the request is not signed: give the client an access key of this endpoint's credentials"
    )]
    Missing,
    #[error("the signature (AWS Signature Version 4) cannot be read: {0}")]
    Incomplete(&'static str),
    #[error("the header {0} is not signed")]
    Unsigned(HeaderName),
    #[error("the access key is not among this endpoint's credentials")]
    UnknownKey,
    #[error(
        "the request was signed at {signed}, which is more than 15 minutes from {now}, the time here: set the clock of \
         either"
    )]
    Skew { signed: String, now: String },
    #[error(
        "the signature does not match: either the secret access key is another one, or the request was changed on its way"
    )]
    Mismatch,
}

impl<'a> Signature<'a> {
    /// Reads the headers of a request.
    pub fn of(headers: &'a HeaderMap) -> Result<Self, Fault> {
        let header = headers.get(AUTHORIZATION).ok_or(Fault::Missing)?;
        let text = header.to_str().map_err(|_| Fault::Incomplete("it is not ASCII"))?;
        let fields = text
            .strip_prefix(ALGORITHM)
            .and_then(|rest| rest.strip_prefix(' '))
            .ok_or(Fault::Incomplete("it begins with AWS4-HMAC-SHA256"))?;
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for field in fields.split(',') {
            match field.trim().split_once('=') {
                Some(("Credential", value)) => credential = Some(value),
                Some(("SignedHeaders", value)) => signed_headers = Some(value),
                Some(("Signature", value)) => signature = Some(value),
                Some(_) | None => return Err(Fault::Incomplete("it has an unknown part")),
            }
        }
        let scope: Vec<_> = credential.unwrap_or_default().rsplitn(5, '/').collect();
        let [terminator, service, region, date, access_key] = scope[..] else {
            return Err(Fault::Incomplete("Credential is KEY/DATE/REGION/lambda/aws4_request"));
        };
        if (terminator, service) != ("aws4_request", SERVICE) {
            return Err(Fault::Incomplete("Credential is not for lambda/aws4_request"));
        }
        let signed_headers = signed_headers.ok_or(Fault::Incomplete("it has no SignedHeaders"))?;
        for needed in ["host", DATE.as_str()] {
            if !signed_headers.split(';').any(|name| name == needed) {
                return Err(Fault::Incomplete("SignedHeaders lack host or x-amz-date"));
            }
        }
        if let Some(name) = unsigned(headers, signed_headers) {
            return Err(Fault::Unsigned(name.clone()));
        }
        if headers.get(&CONTENT_SHA256).is_some_and(|said| *said == UNSIGNED_PAYLOAD) {
            return Err(Fault::Incomplete("the body is not signed: let the client sign it"));
        }
        let time = headers.get(&DATE).and_then(|value| value.to_str().ok());
        let time = time.ok_or(Fault::Incomplete("there is no x-amz-date"))?;
        if !time.starts_with(date) {
            return Err(Fault::Incomplete("Credential and x-amz-date are of two days"));
        }
        let signature = signature
            .and_then(unhex)
            .ok_or(Fault::Incomplete("Signature is not 64 hexadecimal digits"))?;
        Ok(Self { access_key, date, region, time, signed_headers, signature })
    }

    /// Whether it was made about now, so that it is of no use to who finds it later.
    pub fn check_time(&self, now: SystemTime) -> Result<(), Fault> {
        let signed =
            self.signed_at().ok_or(Fault::Incomplete("x-amz-date is not YYYYMMDDTHHMMSSZ"))?;
        let apart = now.duration_since(signed).unwrap_or_else(|error| error.duration());
        if apart <= SKEW {
            return Ok(());
        }
        let now = now.max(UNIX_EPOCH);
        Err(Fault::Skew {
            signed: self.time.to_owned(),
            now: humantime::format_rfc3339_seconds(now).to_string(),
        })
    }

    /// Whether who knows the secret has signed this request.
    pub fn verify(&self, secret: &str, request: &Request<'_>) -> Result<(), Fault> {
        // In a time that does not depend on how much of it is right.
        self.made_by(secret, request)?.verify_slice(&self.signature).map_err(|_| Fault::Mismatch)
    }

    /// What the signature is where it is right.
    pub(super) fn made_by(&self, secret: &str, request: &Request<'_>) -> Result<Mac256, Fault> {
        let canonical = canonical::request(request, self.signed_headers)?;
        let Self { date, region, time, .. } = self;
        let digest = canonical::hex(&Sha256::digest(canonical));
        let text = format!("{ALGORITHM}\n{time}\n{date}/{region}/{SERVICE}/aws4_request\n{digest}");
        let mut key = sign(format!("AWS4{secret}").as_bytes(), date);
        for part in [region, SERVICE, "aws4_request"] {
            key = sign(&key, part);
        }
        Ok(mac(&key, &text))
    }

    fn signed_at(&self) -> Option<SystemTime> {
        let time = self.time;
        if time.len() != 16 || !time.is_ascii() {
            return None;
        }
        let (date, clock) = time.strip_suffix('Z')?.split_once('T')?;
        let digits =
            |text: &str, len| text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(date, 8) || !digits(clock, 6) {
            return None;
        }
        let (year, month, day) = (&date[..4], &date[4..6], &date[6..]);
        let (hour, minute, second) = (&clock[..2], &clock[2..4], &clock[4..]);
        let text = format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z");
        humantime::parse_rfc3339(&text).ok()
    }
}

/// What says what is to be done is signed, as AWS demands.
fn unsigned<'h>(headers: &'h HeaderMap, signed: &str) -> Option<&'h HeaderName> {
    let is_signed = |name: &HeaderName| signed.split(';').any(|signed| *name == signed);
    headers.keys().find(|name| name.as_str().starts_with("x-amz-") && !is_signed(name))
}

fn mac(key: &[u8], text: &str) -> Mac256 {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Default::default()));
    mac.update(text.as_bytes());
    mac
}

fn sign(key: &[u8], text: &str) -> Vec<u8> {
    mac(key, text).finalize().into_bytes().to_vec()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}
