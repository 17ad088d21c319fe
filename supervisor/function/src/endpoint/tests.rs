//! Signatures and routes; the real boto3 speaks to the endpoint in the cases.

use std::time::{Duration, SystemTime};

use hyper::{HeaderMap, Method};

use super::route::Route;
use super::sigv4::{Fault, Request, SKEW, Signature};
use crate::Target;

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
fn paths_lead_to_operations() {
    let route = |method: Method, uri: &str| Route::of(&method, &uri.parse().unwrap());
    let target = |function: &str, qualifier: Option<&str>| Target {
        function: function.to_owned(),
        qualifier: qualifier.map(str::to_owned),
    };
    let base = "/2015-03-31/functions";
    assert_eq!(
        route(Method::POST, &format!("{base}/f%3Aprod/invocations")),
        Route::Invoke(target("f", Some("prod")))
    );
    assert_eq!(
        route(Method::GET, &format!("{base}/f?Qualifier=%248")),
        Route::GetFunction(target("f", Some("$8")))
    );
    let list = Route::ListFunctions { marker: None, max_items: Some("2".into()) };
    assert_eq!(route(Method::GET, &format!("{base}/?MaxItems=2")), list);
    for (method, path) in [(Method::GET, "/"), (Method::PUT, base), (Method::GET, "/%ff/functions")]
    {
        assert_eq!(route(method, path), Route::Unknown);
    }
}
