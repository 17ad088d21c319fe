mod answers;
mod frames;
mod hostile;
pub(crate) mod sockets;

use bytes::Bytes;
use hyper::Method;
use hyper::header::{HeaderMap, HeaderValue};

use super::context::in_ascii;
use super::failure;
use super::reply;
use super::route::Route;
use crate::{Invocation, RequestId, Work};

#[test]
fn paths_and_methods_mean_calls() {
    for (method, path, route) in [
        (Method::GET, "/2018-06-01/runtime/invocation/next", Route::Next),
        (Method::POST, "/2018-06-01/runtime/invocation/r-1/response", Route::Response("r-1")),
        (Method::POST, "/2018-06-01/runtime/invocation/r-1/error", Route::Error("r-1")),
        (Method::POST, "/2018-06-01/runtime/invocation//error", Route::Error("")),
        (Method::POST, "/2018-06-01/runtime/init/error", Route::InitError),
        (Method::GET, "/2018-06-01/runtime/restore/next", Route::RestoreNext),
        (Method::POST, "/2018-06-01/runtime/restore/error", Route::RestoreError),
        (Method::POST, "/2018-06-01/runtime/invocation/next", Route::WrongMethod),
        (Method::GET, "/2018-06-01/runtime/invocation/r-1/response", Route::WrongMethod),
        (Method::GET, "/2018-06-01/runtime/invocation/r-1/x/response", Route::Unknown),
        (Method::POST, "/2018-06-01/runtime/invocation/r-1", Route::Unknown),
        (Method::GET, "/2020-01-01/extension/register", Route::Unknown),
        (Method::GET, "/", Route::Unknown),
        (Method::OPTIONS, "*", Route::Unknown),
    ] {
        assert_eq!(Route::of(&method, path), route, "{method} {path}");
    }
}

#[test]
fn json_in_a_header_is_ascii_and_still_the_same() {
    for json in [r#"{"custom":{"subject":"a/b"}}"#, r#"{"é":"grün \" 😀"}"#, "\"\u{7f}\""] {
        let ascii = in_ascii(json);
        assert!(ascii.is_ascii());
        let (meant, written): (serde_json::Value, serde_json::Value) =
            (serde_json::from_str(json).unwrap(), serde_json::from_str(&ascii).unwrap());
        assert_eq!(meant, written);
    }
}

#[test]
fn an_event_carries_what_runtimes_read() {
    let invocation = Invocation {
        request_id: RequestId::try_from("8f8cb1a5-72e1-4f33-b5b9-0a3a3a0f7a11".to_owned()).unwrap(),
        payload: Bytes::from_static(b"{}"),
        client_context: Some(r#"{"custom":{"subject":"grün"}}"#.to_owned()),
        trace_id: Some("Root=1\r\nLambda-Runtime-Deadline-Ms: 0".to_owned()),
        log_tail: false,
    };
    let (work, _) =
        Work::new(&invocation, "arn:aws:lambda:r:1:function:f".to_owned(), 1795382598572);
    let event = reply::event(&work, 7);
    for (name, value) in [
        ("content-type", Some("application/json")),
        ("lambda-runtime-aws-request-id", Some("8f8cb1a5-72e1-4f33-b5b9-0a3a3a0f7a11")),
        ("lambda-runtime-deadline-ms", Some("1795382598572")),
        ("lambda-runtime-invoked-function-arn", Some("arn:aws:lambda:r:1:function:f")),
        ("lambda-runtime-client-context", Some(r#"{"custom":{"subject":"gr\u00fcn"}}"#)),
        ("lambda-runtime-invocation-id", Some("7")),
        // No caller writes headers of its own.
        ("lambda-runtime-trace-id", None),
    ] {
        assert_eq!(event.headers().get(name).map(|value| value.to_str().unwrap()), value, "{name}");
    }
}

#[test]
fn a_failure_has_the_name_that_its_body_gives_it() {
    let told = |header: Option<&str>, body: &str| {
        let mut headers = HeaderMap::new();
        if let Some(name) = header {
            headers.insert(failure::ERROR_TYPE, HeaderValue::from_str(name).unwrap());
        }
        failure::told(&headers, Bytes::copy_from_slice(body.as_bytes()))
    };
    for (header, body, error_type) in [
        (
            None,
            r#"{"errorMessage": "boom", "errorType": "ValueError", "stackTrace": []}"#,
            "ValueError",
        ),
        (Some("unhandled"), r#"{"errorType":"&alloc::boxed::Box<E>"}"#, "&alloc::boxed::Box<E>"),
        (Some("Extension.Bad"), r#"{"errorMessage":"x"}"#, "Extension.Bad"),
        (Some("Extension.Bad"), r#"{"errorType":7}"#, "Extension.Bad"),
        (None, r#"{"errorType":" \n\t"}"#, "Runtime.Unknown"),
        (None, "{\"errorType\":\"a\\nb\"}", "ab"),
        (None, "{}", "Runtime.Unknown"),
    ] {
        let error = told(header, body);
        assert_eq!(error.error_type, error_type, "{body}");
        assert_eq!(error.body, body);
    }
    let long = format!(r#"{{"errorType":"{}"}}"#, "é".repeat(1000));
    assert_eq!(told(None, &long).error_type.chars().count(), 256);
}

#[test]
fn a_failure_that_is_not_an_object_becomes_one() {
    let bodies: [&[u8]; 5] =
        [b"", b"boom", b"\xff\xfe", b"[1,2]", br#"{"errorType":"a","errorType":"b"}"#];
    for body in bodies {
        let error = failure::told(&HeaderMap::new(), Bytes::from_static(body));
        assert_eq!(error.error_type, "Runtime.Unknown");
        let value: serde_json::Value = serde_json::from_slice(&error.body).unwrap();
        assert_eq!(value["errorType"], "Runtime.Unknown", "{value}");
        assert!(value["errorMessage"].as_str().unwrap().starts_with("the runtime told"), "{value}");
    }
}
