use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::*;
use crate::endpoint::{CONNECTIONS, Credential};

const INVOKE: &str = "POST /2015-03-31/functions/f/invocations";
const LIST: &str = "GET /2015-03-31/functions/";
const KEY: (&str, &str) = ("KEY", "secret");

async fn with_keys() -> Endpoint {
    let credential = |name: &'static str| Credential {
        secret: "secret".into(),
        covers: Box::new(move |function| function == name),
    };
    let keys = [("KEY", "f"), ("NARROW", "g")].map(|(key, name)| (key.into(), credential(name)));
    endpoint(Access::Keys(keys.into())).await.0
}

#[tokio::test]
async fn who_signs_with_a_key_may_do_what_it_is_for() {
    let endpoint = with_keys().await;
    let now = SystemTime::now();
    let answer = ask(&endpoint, signed(KEY, now, INVOKE, &[], b"[1]")).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("\r\n\r\n[1]"), "{answer}");
    let answer = ask(&endpoint, signed(KEY, now, LIST, &[], b"")).await;
    assert!(answer.contains(r#""FunctionName":"f""#), "{answer}");

    let narrow = ("NARROW", "secret");
    let answer = ask(&endpoint, signed(narrow, now, LIST, &[], b"")).await;
    assert!(answer.contains(r#""Functions":[]"#), "{answer}");
    // Whether there is such a function is not told.
    for name in ["f", "nobody", "arn:aws:lambda:eu-west-1:123456789012:function:f"] {
        let line = format!("POST /2015-03-31/functions/{name}/invocations");
        let answer = ask(&endpoint, signed(narrow, now, &line, &[], b"{}")).await;
        assert_eq!(refusal(&answer), (403, "AccessDeniedException"), "{answer}");
        assert!(answer.contains("add it to `functions`"), "{answer}");
    }
}

#[tokio::test]
async fn what_is_not_signed_as_it_is_sent_is_refused() {
    let endpoint = with_keys().await;
    let now = SystemTime::now();
    let quarter = Duration::from_secs(16 * 60);
    let good = signed(KEY, now, INVOKE, &[], b"[1]");
    let forge = |from: &str, to: &str| {
        let text = String::from_utf8(good.clone()).unwrap();
        assert!(text.contains(from));
        text.replacen(from, to, 1).into_bytes()
    };
    for (asked, name) in [
        (request(INVOKE, &[], b"{}"), "MissingAuthenticationTokenException"),
        (
            request(&format!("{INVOKE}?X-Amz-Signature=00"), &[], b""),
            "MissingAuthenticationTokenException",
        ),
        (request(INVOKE, &[("Authorization", "Basic QTpi")], b""), "IncompleteSignatureException"),
        (signed(("NOBODY", "secret"), now, INVOKE, &[], b""), "UnrecognizedClientException"),
        (signed(("KEY", "guessed"), now, INVOKE, &[], b""), "InvalidSignatureException"),
        (signed(KEY, now - quarter, INVOKE, &[], b""), "InvalidSignatureException"),
        (signed(KEY, now + quarter, INVOKE, &[], b""), "InvalidSignatureException"),
        (signed(KEY, SystemTime::UNIX_EPOCH, INVOKE, &[], b""), "InvalidSignatureException"),
        (forge("/f/", "/f:7/"), "InvalidSignatureException"),
        (forge("/f/", "/./f/"), "InvalidSignatureException"),
        (forge("[1]", "[2]"), "InvalidSignatureException"),
        (forge("POST", "PUT"), "InvalidSignatureException"),
        (forge("Host: x", "Host: y"), "InvalidSignatureException"),
        (
            forge("Host: x\r\n", "Host: x\r\nX-Amz-Invocation-Type: DryRun\r\n"),
            "InvalidSignatureException",
        ),
        (forge("/f/invocations", "/f/invocations?Qualifier=7"), "InvalidSignatureException"),
    ] {
        let answer = ask(&endpoint, &asked).await;
        assert_eq!(refusal(&answer), (403, name), "{}\n{answer}", asked.escape_ascii());
    }
    assert_eq!(refusal(&ask(&endpoint, good).await).0, 200);
}

#[tokio::test]
async fn whom_the_socket_is_not_for_is_told_so() {
    let (endpoint, _) = endpoint(Access::Socket).await;
    let (mut client, server) = duplex(1024);
    let place = endpoint.vacancy().await;
    tokio::spawn(endpoint.clone().refuse_connection(server, place, "user 7 may not".into()));
    client.write_all(&request(INVOKE, &[], &vec![b' '; 100_000])).await.unwrap();
    let answer = hear(&mut client).await;
    assert_eq!(refusal(&answer), (403, "AccessDeniedException"));
    assert!(answer.contains("user 7 may not"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn whom_the_socket_is_not_for_takes_nobodys_place() {
    let (endpoint, _) = endpoint(Access::Socket).await;
    let mut silent = vec![];
    for _ in 0..2 * CONNECTIONS {
        let (client, server) = duplex(1024);
        let place = endpoint.vacancy().await;
        tokio::spawn(endpoint.clone().refuse_connection(server, place, "no".into()));
        silent.push(client);
    }
    let begun = Instant::now();
    assert_eq!(refusal(&ask(&endpoint, request(INVOKE, &[], b"[1]")).await).0, 200);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}
