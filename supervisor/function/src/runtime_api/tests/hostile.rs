//! Runtimes that do what they must not. In the end each instance still works, or is hung up on.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::super::{BODY_DEADLINE, CONNECTIONS, HEAD, HEAD_DEADLINE, LONG_HEADS, RESPONSE_LIMIT};
use super::sockets::{Client, World, failure, success};
use crate::FunctionSpec;
use crate::tests::spec;

const OTHER: &str = "00000000-0000-4000-8000-000000000000";

/// The instance goes on.
async fn works(world: &World, runtime: &mut Client) {
    let call = world.invoke("\"works\"");
    let id = runtime.next().await;
    assert_eq!(runtime.answer(&id, "yes").await, 202);
    assert_eq!(success(call).await, "yes");
}

#[tokio::test]
async fn answers_to_what_was_not_asked_are_refused() {
    let mut world = World::new().await;
    let call = world.invoke("1");
    let mut runtime = world.connect().await;
    for path in ["response", "error"] {
        runtime.post(&format!("invocation/{OTHER}/{path}"), "", "{}").await;
        let refused = runtime.hear().await;
        assert_eq!((refused.status, &*refused.error_type()), (400, "InvalidRequestID"));
    }
    let id = runtime.next().await;
    assert_eq!(runtime.answer(OTHER, "not this").await, 400);
    assert_eq!(runtime.answer(&id, "this").await, 202);
    assert_eq!(runtime.answer(&id, "this as well").await, 400);
    assert_eq!(success(call).await, "this");
    works(&world, &mut runtime).await;
}

#[tokio::test]
async fn of_two_that_poll_at_once_the_first_gets_the_event() {
    let mut world = World::new().await;
    let call = world.invoke("1");
    let mut runtime = world.connect().await;
    let id = runtime.next().await;
    assert_eq!(runtime.answer(&id, "1").await, 202);
    success(call).await;
    runtime.poll().await;
    let mut other = runtime.another().await;
    // The first poll has come before the second connection.
    other.poll().await;
    let refused = other.hear().await;
    assert_eq!((refused.status, &*refused.error_type()), (403, "InvalidStateTransition"));
    let call = world.invoke("2");
    let id = runtime.hear().await.header("lambda-runtime-aws-request-id").unwrap();
    assert_eq!(other.answer(&id, "over another connection").await, 202);
    assert_eq!(success(call).await, "over another connection");
}

#[tokio::test]
async fn an_event_is_not_lost_with_the_poll_that_hung_up() {
    let mut world = World::new().await;
    let call = world.invoke("1");
    let mut runtime = world.connect().await;
    let id = runtime.next().await;
    assert_eq!(runtime.answer(&id, "1").await, 202);
    success(call).await;
    for _ in 0..20 {
        let mut poller = runtime.another().await;
        poller.poll().await;
        drop(poller);
        works(&world, &mut runtime.another().await).await;
    }
}

#[tokio::test]
async fn what_is_not_http_is_hung_up_on() {
    let mut world = World::new().await;
    let call = world.invoke("1");
    let mut runtime = world.connect().await;
    let garbage: [&[u8]; 9] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\xff\xfe\xfd\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST /2018-06-01/runtime/init/error HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /2018-06-01/runtime/init/error HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nX: a\rb\r\n\r\n",
        b"POST /2018-06-01/runtime/invocation/x/response HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ];
    for bytes in garbage {
        let mut client = runtime.another().await;
        client.say(bytes).await;
        client.until_hung_up_on().await;
    }
    let id = runtime.next().await;
    assert_eq!(runtime.answer(&id, "1").await, 202);
    success(call).await;
}

#[tokio::test]
async fn headers_without_end_are_hung_up_on() {
    let mut world = World::new().await;
    let call = world.invoke("1");
    let mut runtime = world.connect().await;
    for header in ["a: b\r\n".repeat(1000), format!("a: {}\r\n", "b".repeat(2 << 20))] {
        let mut client = runtime.another().await;
        let head = format!("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n{header}\r\n");
        // It may be hung up on before it has said all.
        let _ = tokio::io::AsyncWriteExt::write_all(&mut client.stream, head.as_bytes()).await;
        client.until_hung_up_on().await;
    }
    let id = runtime.next().await;
    assert_eq!(runtime.answer(&id, "1").await, 202);
    success(call).await;
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused() {
    let mut world = World::new().await;
    let call = world.invoke("1");
    let mut runtime = world.connect().await;
    for (request, status) in [
        ("GET / HTTP/1.1", 404),
        ("GET /2018-06-01/runtime/invocation/../invocation/next HTTP/1.1", 404),
        ("GET /2018-06-01/runtime/invocation/%FF/response HTTP/1.1", 405),
        ("DELETE /2018-06-01/runtime/invocation/next HTTP/1.1", 405),
        ("POST /2020-01-01/extension/register HTTP/1.1", 404),
    ] {
        runtime.say(format!("{request}\r\nHost: x\r\n\r\n")).await;
        assert_eq!(runtime.hear().await.status, status, "{request}");
    }
    let id = runtime.next().await;
    assert_eq!(runtime.answer(&id, "1").await, 202);
    success(call).await;
}

#[tokio::test]
async fn http_1_0_gets_its_answer_and_is_hung_up_on() {
    let mut world = World::new().await;
    let call = world.invoke("1");
    let mut runtime = world.connect().await;
    runtime.say("GET /2018-06-01/runtime/invocation/next HTTP/1.0\r\n\r\n").await;
    let event = runtime.hear().await;
    assert_eq!(event.body, "1");
    runtime.until_hung_up_on().await;
    let id = event.header("lambda-runtime-aws-request-id").unwrap();
    let mut runtime = runtime.another().await;
    let head = format!("POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.0\r\n");
    runtime.say(head + "Content-Length: 1\r\n\r\n1").await;
    assert_eq!(runtime.hear().await.status, 202);
    assert_eq!(success(call).await, "1");
}

#[tokio::test]
async fn requests_may_come_before_the_answers_to_those_before() {
    let mut world = World::new().await;
    let calls = [world.invoke("1"), world.invoke("2")];
    let mut runtime = world.connect().await;
    let id = runtime.next().await;
    let next = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n";
    let post = format!(
        "POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1"
    );
    runtime.say(post + next).await;
    assert_eq!(runtime.hear().await.status, 202);
    let id = runtime.hear().await.header("lambda-runtime-aws-request-id").unwrap();
    assert_eq!(runtime.answer(&id, "2").await, 202);
    let answers = calls.map(success);
    for answer in answers {
        assert!(["1", "2"].contains(&&*String::from_utf8(answer.await.to_vec()).unwrap()));
    }
}

#[tokio::test]
async fn too_large_a_response_is_the_functions_failure_and_not_pythons_end() {
    let mut world = World::new().await;
    let body = "x".repeat(RESPONSE_LIMIT + 1);
    let python = "User-Agent: aws-lambda-python/3.11.7-4.2.2\r\n";
    let mut runtime = None;
    for (headers, status) in [(python, 202), ("", 413)] {
        let call = world.invoke("1");
        let runtime = match &mut runtime {
            Some(runtime) => runtime,
            none => none.insert(world.connect().await),
        };
        let id = runtime.next().await;
        runtime.post(&format!("invocation/{id}/response"), headers, &body).await;
        assert_eq!(runtime.hear().await.status, status);
        let error = failure(call).await;
        assert_eq!(error.error_type, "Function.ResponseSizeTooLarge");
    }
    works(&world, runtime.as_mut().unwrap()).await;
}

#[tokio::test]
async fn a_response_of_a_gibibyte_is_answered_for_at_its_first_bytes() {
    let mut world = World::new().await;
    for framing in ["Content-Length: 1073741824\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"] {
        let call = world.invoke("1");
        let mut runtime = world.connect().await;
        let id = runtime.next().await;
        let head =
            format!("POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\nHost: x\r\n");
        runtime.say(head + framing).await;
        let endless = tokio::spawn(async move {
            let chunk = format!("800000\r\n{}\r\n", "x".repeat(0x80_0000));
            runtime.say(chunk).await;
            runtime
        });
        assert_eq!(failure(call).await.error_type, "Function.ResponseSizeTooLarge");
        // It goes, as a runtime that says so much and polls no more does, and another comes.
        drop(endless.await.unwrap());
        world = World::new().await;
    }
}

#[tokio::test]
async fn more_connections_than_are_served_wait_until_others_go() {
    let mut world = World::new().await;
    let call = world.invoke("1");
    let mut runtime = world.connect().await;
    runtime.poll().await;
    let mut idle = Vec::new();
    for _ in 1..CONNECTIONS {
        idle.push(runtime.another().await);
    }
    let id = runtime.hear().await.header("lambda-runtime-aws-request-id").unwrap();
    let mut late = runtime.another().await;
    late.post(&format!("invocation/{id}/response"), "", "1").await;
    let mut call = call;
    assert!(timeout(Duration::from_millis(100), &mut call).await.is_err());
    idle.pop();
    assert_eq!(late.hear().await.status, 202);
    assert_eq!(success(call).await, "1");
}

/// Says it byte by byte, each after a second; how long until it was hung up on.
async fn dribble(mut client: Client, text: &str) -> Duration {
    let began = Instant::now();
    for byte in text.as_bytes().chunks(1) {
        if tokio::io::AsyncWriteExt::write_all(&mut client.stream, byte).await.is_err() {
            break;
        }
        let hung_up = timeout(Duration::from_secs(1), client.until_hung_up_on()).await;
        if hung_up.is_ok() {
            break;
        }
    }
    began.elapsed()
}

#[tokio::test]
async fn who_speaks_slowly_is_hung_up_on_and_who_waits_is_not() {
    let slow =
        FunctionSpec { timeout: Duration::from_secs(900), max_instances: 1, ..spec("f", "x") };
    let mut world = World::with(slow).await;
    let call = world.invoke("1");
    let mut runtime = world.connect().await;
    let id = runtime.next().await;
    let (slow_head, slow_body) = (runtime.another().await, runtime.another().await);
    let mut idle = runtime.another().await;
    runtime.poll().await;

    tokio::time::pause();
    let head = format!("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n{}", "x".repeat(100));
    let took = dribble(slow_head, &head).await;
    assert!(took >= HEAD_DEADLINE && took <= HEAD_DEADLINE + Duration::from_secs(2), "{took:?}");

    let mut client = slow_body;
    let path = format!("/2018-06-01/runtime/invocation/{id}/response");
    client.say(format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")).await;
    let took = dribble(client, &"x".repeat(100)).await;
    assert!(took >= BODY_DEADLINE && took <= BODY_DEADLINE + Duration::from_secs(2), "{took:?}");

    sleep(Duration::from_secs(600)).await;
    tokio::time::resume();
    assert_eq!(idle.answer(&id, "at last").await, 202);
    assert_eq!(success(call).await, "at last");
    let call = world.invoke("2");
    let id = runtime.hear().await.header("lambda-runtime-aws-request-id").unwrap();
    assert_eq!(runtime.answer(&id, "2").await, 202);
    assert_eq!(success(call).await, "2");
}

#[tokio::test]
async fn bodies_that_do_not_come_hold_up_the_others_for_a_while_only() {
    let slow =
        FunctionSpec { timeout: Duration::from_secs(900), max_instances: 1, ..spec("f", "x") };
    let mut world = World::with(slow).await;
    let call = world.invoke("1");
    let mut runtime = world.connect().await;
    let id = runtime.next().await;
    let mut stalled = Vec::new();
    for path in ["init/error", &format!("invocation/{id}/error"), "init/error"] {
        let mut client = runtime.another().await;
        let head = format!("POST /2018-06-01/runtime/{path} HTTP/1.1\r\nHost: x\r\n");
        client.say(head + "Content-Length: 1000\r\n\r\n").await;
        stalled.push(client);
    }
    tokio::time::pause();
    let began = Instant::now();
    assert_eq!(runtime.answer(&id, "1").await, 202);
    assert!(began.elapsed() <= 2 * BODY_DEADLINE);
    tokio::time::resume();
    assert_eq!(success(call).await, "1");
    works(&world, &mut runtime).await;
}

#[tokio::test]
async fn long_headers_are_for_the_first_connections_only() {
    let mut world = World::new().await;
    let call = world.invoke("1");
    let mut runtime = world.connect().await;
    let id = runtime.next().await;
    let mut kept = Vec::new();
    for _ in 1..LONG_HEADS {
        kept.push(runtime.another().await);
    }
    // Who came later says as much as a head usually has, and no more.
    for (size, is_taken) in [(HEAD / 2, true), (2 * HEAD, false)] {
        let mut late = runtime.another().await;
        let head = format!("GET /none HTTP/1.1\r\na: {}\r\n\r\n", "b".repeat(size));
        // It may be hung up on before it has said all.
        let _ = tokio::io::AsyncWriteExt::write_all(&mut late.stream, head.as_bytes()).await;
        match is_taken {
            true => assert_eq!(late.hear().await.status, 404),
            false => late.until_hung_up_on().await,
        }
    }
    // What a runtime tells of a failure comes on one of the first.
    let cause = format!("Lambda-Runtime-Function-XRay-Error-Cause: {}\r\n", "x".repeat(1 << 20));
    kept[0].post(&format!("invocation/{id}/error"), &cause, "{}").await;
    assert_eq!(kept[0].hear().await.status, 202);
    failure(call).await;
}
