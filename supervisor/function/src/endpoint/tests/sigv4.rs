//! Signatures as botocore makes them, and as nobody should.

use std::time::{Duration, SystemTime};

use hyper::HeaderMap;

use crate::endpoint::sigv4::{Fault, Request, SKEW, Signature};

/// Made by botocore 1.44 for [`request`] with the secret `secret`.
const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=KEY/20260102/eu-west-1/lambda/aws4_request, SignedHeaders=host;x-amz-date, Signature=d713189d8edd0490e0f59e0f6d5c9ef782038898c100b8a1d183c4784b2875b3";
const TIME: &str = "20260102T030405Z";

fn headers(authorization: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("host", "127.0.0.1:3001".parse().unwrap());
    headers.insert("x-amz-date", TIME.parse().unwrap());
    headers.insert("authorization", authorization.parse().unwrap());
    headers
}

fn request(headers: &HeaderMap) -> Request<'_> {
    let path = "/2015-03-31/functions/f%3A1";
    Request { method: "POST", path, query: "b=2&a=%C3%BC", headers, body: b"{}" }
}

#[test]
fn what_botocore_signed_is_right_and_anything_else_is_not() {
    let headers = headers(AUTHORIZATION);
    let signature = Signature::of(&headers).unwrap();
    assert_eq!(signature.access_key, "KEY");
    let right = request(&headers);
    assert_eq!(signature.verify("secret", &right), Ok(()));
    for (secret, wrong) in [
        ("Secret", right),
        ("secret", Request { method: "GET", ..right }),
        ("secret", Request { path: "/2015-03-31/functions/f:1", ..right }),
        ("secret", Request { query: "b=2", ..right }),
        ("secret", Request { body: b"[]", ..right }),
    ] {
        assert_eq!(signature.verify(secret, &wrong), Err(Fault::Mismatch), "{wrong:?}");
    }
}

#[test]
fn a_signature_counts_for_a_quarter_of_an_hour() {
    let headers = headers(AUTHORIZATION);
    let signature = Signature::of(&headers).unwrap();
    let then = humantime::parse_rfc3339("2026-01-02T03:04:05Z").unwrap();
    let second = Duration::from_secs(1);
    for (now, counts) in [
        (then, true),
        (then + SKEW, true),
        (then - SKEW, true),
        (then + SKEW + second, false),
        (then - SKEW - second, false),
        (SystemTime::UNIX_EPOCH, false),
    ] {
        assert_eq!(signature.check_time(now).is_ok(), counts, "{now:?}");
    }
}

#[test]
fn a_signature_that_says_too_little_is_refused() {
    let broken = [
        AUTHORIZATION.replace("AWS4-HMAC-SHA256", "AWS4"),
        AUTHORIZATION.replace("/lambda/", "/s3/"),
        AUTHORIZATION.replace("20260102/", "20260103/"),
        AUTHORIZATION.replace("host;", ""),
        AUTHORIZATION.replace("Signature=", "Signature=0"),
        AUTHORIZATION.replace("Credential=KEY/", "Credential="),
        "AWS4-HMAC-SHA256 Credential=".to_owned(),
    ];
    for authorization in broken {
        let headers = headers(&authorization);
        let fault = Signature::of(&headers).unwrap_err();
        assert!(matches!(fault, Fault::Incomplete(_)), "{authorization}");
    }
    assert_eq!(Signature::of(&HeaderMap::new()), Err(Fault::Missing));
}

#[test]
fn what_says_what_is_to_be_done_is_signed_and_the_body_too() {
    let mut headers = headers(AUTHORIZATION);
    headers.insert("x-amz-invocation-type", "Event".parse().unwrap());
    let name = "x-amz-invocation-type".parse().unwrap();
    assert_eq!(Signature::of(&headers), Err(Fault::Unsigned(name)));

    let signed = AUTHORIZATION.replace("x-amz-date,", "x-amz-content-sha256;x-amz-date,");
    let mut headers = self::headers(&signed);
    headers.insert("x-amz-content-sha256", "UNSIGNED-PAYLOAD".parse().unwrap());
    assert!(matches!(Signature::of(&headers), Err(Fault::Incomplete(_))));
}
