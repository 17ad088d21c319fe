use std::time::Duration;

use hyper::StatusCode;

use super::*;
use crate::InvokeError;
use crate::endpoint::refusal::Refusal;

const BASE: &str = "/2015-03-31/functions";

#[tokio::test]
async fn refusals_have_the_names_by_which_clients_raise_them() {
    let (endpoint, functions) = endpoint(Access::Socket).await;
    functions.define_stopped(spec("stopped", "x")).await;
    let context = |base64| [("X-Amz-Client-Context", base64)];
    let kind = |kind| [("X-Amz-Invocation-Type", kind)];
    let long = "e30g".repeat(1200);
    for (function, headers, body, (status, name)) in [
        ("nobody", &[][..], "{}", (404, "ResourceNotFoundException")),
        ("f:8", &[], "{}", (404, "ResourceNotFoundException")),
        ("%ff", &[], "{}", (404, "ResourceNotFoundException")),
        ("stopped", &[], "{}", (409, "ResourceConflictException")),
        ("f", &[], "{", (400, "InvalidRequestContentException")),
        ("f", &[], "\u{fffd}", (400, "InvalidRequestContentException")),
        ("f", &context("%%%"), "{}", (400, "InvalidRequestContentException")),
        // No JSON, no object, not UTF-8, too long.
        ("f", &context("e30"), "{}", (400, "InvalidRequestContentException")),
        ("f", &context("W10="), "{}", (400, "InvalidRequestContentException")),
        ("f", &context("/w=="), "{}", (400, "InvalidRequestContentException")),
        ("f", &context(&long), "{}", (400, "InvalidRequestContentException")),
        ("f", &kind("Sometimes"), "{}", (400, "InvalidParameterValueException")),
        ("f", &kind("\u{e9}"), "{}", (400, "InvalidParameterValueException")),
        ("f", &[("X-Amz-Log-Type", "All")], "{}", (400, "InvalidParameterValueException")),
    ] {
        let line = format!("POST {BASE}/{function}/invocations");
        let answer = ask(&endpoint, request(&line, headers, body.as_bytes())).await;
        assert_eq!(refusal(&answer), (status, name), "{line} {headers:?}: {answer}");
        let (_, document) = answer.split_once("\r\n\r\n").unwrap();
        let document: serde_json::Value = serde_json::from_str(document).unwrap();
        assert_eq!(
            (&document["Type"], &document["message"]),
            (&"User".into(), &document["Message"])
        );
    }
    let streamed = "POST /2021-11-15/functions/f/response-streaming-invocations";
    let answer = ask(&endpoint, request(streamed, &kind("Event"), b"{}")).await;
    assert_eq!(refusal(&answer), (400, "InvalidParameterValueException"));
}

#[test]
fn what_keeps_a_function_from_running_has_a_status() {
    let too_large = InvokeError::RequestTooLarge { size: 2, limit: 1 };
    for (error, status, name) in [
        (InvokeError::TooManyRequests("x".into()), 429, "TooManyRequestsException"),
        (too_large, 413, "RequestTooLargeException"),
        (InvokeError::Service("x".into()), 500, "ServiceException"),
    ] {
        let refusal = Refusal::from(error);
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!((refusal.status, refusal.name), (status, name));
    }
}

#[tokio::test]
async fn a_functions_failure_is_its_answer() {
    let (endpoint, _) = endpoint(Access::Socket).await;
    let line = format!("POST {BASE}/f:prod/invocations");
    let answer = ask(&endpoint, request(&line, &[], br#""raise""#)).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("x-amz-function-error: Unhandled\r\n"), "{answer}");
    assert!(answer.contains("x-amz-executed-version: 7\r\n"), "{answer}");
    assert!(answer.contains(r#""errorType":"ValueError""#), "{answer}");
    let nothing = ask(&endpoint, request(&line, &[("X-Amz-Invocation-Type", "DryRun")], b"")).await;
    assert_eq!(refusal(&nothing).0, 204);
}

#[tokio::test]
async fn lists_come_in_pages() {
    let (endpoint, functions) = endpoint(Access::Socket).await;
    for number in 0..4 {
        functions.define(spec(&format!("g{number}"), "x")).await;
    }
    let list = async |query: &str| {
        let answer = ask(&endpoint, request(&format!("GET {BASE}{query}"), &[], b"")).await;
        let (_, document) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str::<serde_json::Value>(document).unwrap()
    };
    let mut names = vec![];
    let mut query = "?MaxItems=2".to_owned();
    loop {
        let page = list(&query).await;
        let functions = page["Functions"].as_array().unwrap();
        assert!(functions.len() <= 2);
        names
            .extend(functions.iter().map(|spec| spec["FunctionName"].as_str().unwrap().to_owned()));
        let Some(next) = page["NextMarker"].as_str() else { break };
        query = format!("?MaxItems=2&Marker={next}");
    }
    assert_eq!(names, ["f", "g0", "g1", "g2", "g3"]);

    let arn = "arn:aws:lambda:eu-west-1:123456789012:function:f";
    let versions = list("/f/versions").await;
    let versions: Vec<_> =
        versions["Versions"].as_array().unwrap().iter().map(|one| &one["Version"]).collect();
    assert_eq!(versions, ["$LATEST", "7"]);
    let alias = list("/f/aliases/prod").await;
    assert_eq!((&alias["Name"], &alias["FunctionVersion"]), (&"prod".into(), &"7".into()));
    assert_eq!(list("/f/aliases").await["Aliases"], serde_json::json!([alias]));
    assert_eq!(list("/f/aliases/test").await["Type"], "User");
    let function = list("/f?Qualifier=prod").await;
    assert_eq!(function["Configuration"]["FunctionArn"], format!("{arn}:prod"));
    assert_eq!(list(&format!("/{arn}/configuration")).await["FunctionArn"], arn);
}

/// Which it cannot do within the time of a call.
#[tokio::test(start_paused = true)]
async fn a_function_that_hangs_is_answered_for() {
    let spec = FunctionSpec { timeout: Duration::from_secs(900), ..spec("f", "x") };
    let (endpoint, _) = endpoint_of(Access::Socket, spec).await;
    let line = format!("POST {BASE}/f/invocations");
    let answer = ask(&endpoint, request(&line, &[], br#""hang""#)).await;
    assert!(answer.contains("Task timed out after 900.00 seconds"), "{answer}");
}
