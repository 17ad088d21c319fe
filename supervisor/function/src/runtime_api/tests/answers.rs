//! Runtimes that keep to the protocol, or nearly.

use std::time::Duration;

use tokio::time::timeout;

use super::sockets::{World, failure, success};
use crate::tests::spec;
use crate::{Answer, FunctionSpec, ResponseStream, StreamFault};

#[tokio::test]
async fn an_event_is_polled_for_and_answered_again_and_again_over_one_connection() {
    let mut world = World::new().await;
    let first = world.invoke("{\"n\":0}");
    let mut runtime = world.connect().await;
    runtime.poll().await;
    let event = runtime.hear().await;
    assert_eq!(event.status, 200);
    assert_eq!(event.body, "{\"n\":0}");
    assert_eq!(event.header("content-type").unwrap(), "application/json");
    let id = event.header("lambda-runtime-aws-request-id").unwrap();
    assert_eq!(runtime.answer(&id, "0").await, 202);
    assert_eq!(success(first).await, "0");
    for number in 1..100 {
        let number = number.to_string();
        runtime.poll().await;
        let call = world.invoke(number.clone());
        let event = runtime.hear().await;
        assert_eq!(event.body, number);
        let id = event.header("lambda-runtime-aws-request-id").unwrap();
        assert_eq!(runtime.answer(&id, &number).await, 202);
        assert_eq!(success(call).await, number);
    }
}

#[tokio::test]
async fn an_answer_need_be_neither_text_nor_announced_in_size() {
    let mut world = World::new().await;
    let call = world.invoke("1");
    let mut runtime = world.connect().await;
    let id = runtime.next().await;
    assert_eq!(runtime.answer(&id, b"\xff\x00\xfe").await, 202);
    assert_eq!(success(call).await, &b"\xff\x00\xfe"[..]);

    let call = world.invoke("2");
    let id = runtime.next().await;
    let head = format!("POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\nHost: x\r\n");
    runtime.say(head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").await;
    assert_eq!(runtime.hear().await.status, 202);
    assert_eq!(success(call).await, "abcde");

    let call = world.invoke("3");
    let id = runtime.next().await;
    assert_eq!(runtime.answer(&id, "").await, 202);
    assert_eq!(success(call).await, "");
}

#[tokio::test]
async fn a_large_event_and_a_large_answer_arrive_whole() {
    let mut world = World::new().await;
    let payload = format!("\"{}\"", "x".repeat(6 * 1024 * 1024 - 2));
    let call = world.invoke(payload.clone());
    let mut runtime = world.connect().await;
    runtime.poll().await;
    let event = runtime.hear().await;
    assert!(event.body == payload);
    let id = event.header("lambda-runtime-aws-request-id").unwrap();
    assert_eq!(runtime.answer(&id, &payload).await, 202);
    assert!(success(call).await == payload);
}

#[tokio::test]
async fn the_answer_of_an_earlier_try_is_told_apart() {
    let mut world = World::new().await;
    let call = world.invoke("1");
    let mut runtime = world.connect().await;
    runtime.poll().await;
    let event = runtime.hear().await;
    let id = event.header("lambda-runtime-aws-request-id").unwrap();
    let path = format!("invocation/{id}/response");
    runtime.post(&path, "Lambda-Runtime-Invocation-Id: 0\r\n", "old").await;
    let refused = runtime.hear().await;
    assert_eq!((refused.status, &*refused.error_type()), (400, "InvalidRequestID"));
    let echo = event.header("lambda-runtime-invocation-id").unwrap();
    runtime.post(&path, &format!("Lambda-Runtime-Invocation-Id: {echo}\r\n"), "new").await;
    assert_eq!(runtime.hear().await.status, 202);
    assert_eq!(success(call).await, "new");
}

#[tokio::test]
async fn a_failure_is_told_with_causes_of_a_mebibyte() {
    let mut world = World::new().await;
    let call = world.invoke("1");
    let mut runtime = world.connect().await;
    let id = runtime.next().await;
    let cause = "c".repeat(1024 * 1024);
    let headers = format!("lambda-runtime-function-xray-error-cause: {cause}\r\n");
    let body = r#"{"errorMessage":"boom","errorType":"ValueError"}"#;
    runtime.post(&format!("invocation/{id}/error"), &headers, body).await;
    assert_eq!(runtime.hear().await.status, 202);
    let error = failure(call).await;
    assert_eq!(error.error_type, "ValueError");
    assert_eq!(error.body, body);
}

#[tokio::test]
async fn a_runtime_that_cannot_start_says_why() {
    let mut world = World::new().await;
    let call = world.invoke("1");
    let mut runtime = world.connect().await;
    let body =
        r#"{"errorMessage":"No module named 'nosuch'","errorType":"Runtime.ImportModuleError"}"#;
    runtime.post("init/error", "", body).await;
    assert_eq!(runtime.hear().await.status, 202);
    let error = failure(call).await;
    assert_eq!(error.error_type, "Runtime.ImportModuleError");
    assert_eq!(error.body, body);
}

#[tokio::test]
async fn there_is_nothing_to_restore() {
    let mut world = World::new().await;
    let call = world.invoke("1");
    let mut runtime = world.connect().await;
    runtime.say("GET /2018-06-01/runtime/restore/next HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(runtime.hear().await.status, 200);
    let id = runtime.next().await;
    assert_eq!(runtime.answer(&id, "1").await, 202);
    assert_eq!(success(call).await, "1");
}

const STREAMING: &str = "Lambda-Runtime-Function-Response-Mode: streaming\r\n\
    Content-Type: application/vnd.awslambda.http-integration-response\r\n\
    Trailer: Lambda-Runtime-Function-Error-Type\r\nTrailer: Lambda-Runtime-Function-Error-Body\r\n\
    Transfer-Encoding: chunked\r\n\r\n";

fn streaming(id: &str) -> String {
    format!("POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\nHost: x\r\n{STREAMING}")
}

async fn stream(call: super::sockets::Call) -> ResponseStream {
    match call.await.unwrap().map(|completed| completed.answer) {
        Ok(Answer::Stream(stream)) => stream,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_stream_is_heard_before_it_ends() {
    let mut world = World::new().await;
    let call = world.invoke("1");
    let mut runtime = world.connect().await;
    let id = runtime.next().await;
    runtime.say(streaming(&id) + "d\r\n{\"status\":1}\0\r\n").await;
    let mut stream = stream(call).await;
    assert_eq!(stream.content_type, "application/vnd.awslambda.http-integration-response");
    assert_eq!(stream.body.recv().await.unwrap().unwrap(), "{\"status\":1}\0");
    runtime.say("3\r\nend\r\n").await;
    assert_eq!(stream.body.recv().await.unwrap().unwrap(), "end");
    runtime.say("0\r\n\r\n").await;
    assert!(stream.body.recv().await.is_none());
    assert_eq!(runtime.hear().await.status, 202);
    let call = world.invoke("2");
    let id = runtime.next().await;
    assert_eq!(runtime.answer(&id, "2").await, 202);
    assert_eq!(success(call).await, "2");
}

#[tokio::test]
async fn a_stream_ends_with_the_failure_that_its_trailers_tell_of() {
    let mut world = World::new().await;
    let call = world.invoke("1");
    let mut runtime = world.connect().await;
    let id = runtime.next().await;
    let trailers = "Lambda-Runtime-Function-Error-Type: TypeError\r\n\
        Lambda-Runtime-Function-Error-Body: eyJlcnJvclR5cGUiOiJUeXBlRXJyb3IifQ==\r\n";
    runtime.say(format!("{}5\r\npart1\r\n0\r\n{trailers}\r\n", streaming(&id))).await;
    let mut stream = stream(call).await;
    assert_eq!(stream.body.recv().await.unwrap().unwrap(), "part1");
    match stream.body.recv().await.unwrap().unwrap_err() {
        StreamFault::Function(error) => {
            assert_eq!(error.error_type, "TypeError");
            assert_eq!(error.body, r#"{"errorType":"TypeError"}"#);
        }
        StreamFault::Cut(why) => panic!("{why}"),
    }
    assert!(stream.body.recv().await.is_none());
    assert_eq!(runtime.hear().await.status, 202);
}

#[tokio::test]
async fn a_stream_that_is_cut_does_not_look_whole_however_slow_its_reader_is() {
    let mut world = World::new().await;
    let call = world.invoke("1");
    let mut runtime = world.connect().await;
    let id = runtime.next().await;
    runtime.say(streaming(&id)).await;
    let mut stream = stream(call).await;
    // More pieces than may wait for the reader, one by one.
    for _ in 0..100 {
        runtime.say("1\r\nx\r\n").await;
        tokio::task::yield_now().await;
    }
    drop(runtime);
    let mut last = None;
    while let Some(piece) = stream.body.recv().await {
        last = Some(piece);
    }
    assert!(matches!(last, Some(Err(StreamFault::Cut(_)))), "{last:?}");
}

#[tokio::test]
async fn a_stream_without_a_reader_does_not_stop_the_runtime() {
    let mut world = World::new().await;
    let call = world.invoke("1");
    let mut runtime = world.connect().await;
    let id = runtime.next().await;
    runtime.say(streaming(&id)).await;
    drop(stream(call).await);
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    for _ in 0..200 {
        runtime.say(&chunk).await;
    }
    runtime.say("0\r\n\r\n").await;
    assert_eq!(runtime.hear().await.status, 202);
    let call = world.invoke("2");
    let id = runtime.next().await;
    assert_eq!(runtime.answer(&id, "2").await, 202);
    assert_eq!(success(call).await, "2");
}

#[tokio::test]
async fn a_stream_ends_though_its_runtime_polls_already() {
    let mut world = World::with(FunctionSpec { pinned: true, ..spec("f", "x") }).await;
    let call = world.invoke("1");
    let mut runtime = world.connect().await;
    let id = runtime.next().await;
    runtime.poll().await;
    let mut other = runtime.another().await;
    other.say(streaming(&id)).await;
    let mut stream = stream(call).await;
    tokio::time::pause();
    let end = timeout(Duration::from_secs(60), stream.body.recv()).await.expect("it ends");
    assert!(matches!(end, Some(Err(StreamFault::Cut(_)))), "{end:?}");
}
