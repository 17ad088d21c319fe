//! Functions on the unmodified clients of the Lambda Runtime API, as bare processes. `cargo xtask runtimes`
//! lays the clients out.

mod processes;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hedgerow_function::{
    Answer, Completed, FunctionError, Functions, Invocation, InvokeError, RequestId,
    ResponseStream, StreamFault, Target,
};
use serde_json::{Value, json};

use processes::{Client, Processes};

const CLIENTS: [Client; 3] = [Client::Python, Client::Node, Client::Rust];

struct Function(Functions);

impl Function {
    async fn of(client: Client) -> Self {
        Self::with(client, client.handler()).await
    }

    async fn with(client: Client, handler: &str) -> Self {
        let functions = Functions::new(Arc::new(Processes::new(client)));
        functions.define(processes::spec(handler)).await;
        Self(functions)
    }

    async fn call(&self, payload: Value, context: Option<Value>) -> Result<Completed, InvokeError> {
        let invocation = Invocation {
            request_id: RequestId::generate().unwrap(),
            payload: payload.to_string().into(),
            client_context: context.map(|context| context.to_string()),
            trace_id: Some("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1".to_owned()),
            log_tail: false,
        };
        self.0.invoke(&Target::from("f"), invocation).await
    }

    async fn success(&self, payload: Value) -> Value {
        match self.call(payload, None).await.map(|completed| completed.answer) {
            Ok(Answer::Success(body)) => serde_json::from_slice(&body).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    async fn failure(&self, payload: Value) -> FunctionError {
        match self.call(payload, None).await.map(|completed| completed.answer) {
            Ok(Answer::Failure(error)) => error,
            other => panic!("{other:?}"),
        }
    }

    async fn stream(&self, payload: Value) -> ResponseStream {
        match self.call(payload, None).await.map(|completed| completed.answer) {
            Ok(Answer::Stream(stream)) => stream,
            other => panic!("{other:?}"),
        }
    }

    fn cold_starts(&self) -> u64 {
        self.0.watch("f").unwrap().borrow().metrics.cold_starts
    }
}

#[tokio::test]
async fn events_are_echoed_by_one_process() {
    for client in CLIENTS {
        let function = Function::of(client).await;
        for event in [json!({"a": 1}), json!([1, "grün", null]), json!("x".repeat(200_000))] {
            assert_eq!(function.success(event.clone()).await, event, "{client:?}");
        }
        assert_eq!(function.cold_starts(), 1, "{client:?}");
    }
}

#[tokio::test]
async fn what_an_event_comes_with_arrives() {
    for client in CLIENTS {
        let function = Function::of(client).await;
        let context = json!({"custom": {"subject": "räume/1"}});
        let answer = function.call(json!({"context": 1}), Some(context)).await.unwrap().answer;
        let Answer::Success(body) = answer else { panic!("{client:?}: {answer:?}") };
        let told: Value = serde_json::from_slice(&body).unwrap();
        RequestId::try_from(told["request_id"].as_str().unwrap().to_owned()).unwrap();
        assert_eq!(told["arn"], processes::ARN, "{client:?}");
        assert_eq!(told["has_time"], true, "{client:?}");
        assert_eq!(told["custom"], json!({"subject": "räume/1"}), "{client:?}");
    }
}

#[tokio::test]
async fn a_failure_has_the_runtimes_own_words_and_the_process_goes_on() {
    for client in CLIENTS {
        let function = Function::of(client).await;
        let error = function.failure(json!({"raise": "boom"})).await;
        let body: Value = serde_json::from_slice(&error.body).unwrap();
        assert_eq!(body["errorMessage"], "boom", "{client:?}: {body}");
        assert_eq!(body["errorType"], error.error_type);
        match client {
            Client::Python => assert_eq!(error.error_type, "ValueError"),
            Client::Node => assert_eq!(error.error_type, "TypeError"),
            Client::Rust => {}
        }
        assert_eq!(function.success(json!(1)).await, 1);
        assert_eq!(function.cold_starts(), 1, "{client:?}");
    }
}

#[tokio::test]
async fn too_large_a_response_costs_no_process() {
    for client in CLIENTS {
        let function = Function::of(client).await;
        let error = function.failure(json!({"size": 7 * 1024 * 1024})).await;
        assert_eq!(error.error_type, "Function.ResponseSizeTooLarge", "{client:?}");
        assert_eq!(function.success(json!(1)).await, 1);
        assert_eq!(function.cold_starts(), 1, "{client:?}");
    }
}

#[tokio::test]
async fn a_process_that_ends_is_told_of_and_replaced() {
    for client in CLIENTS {
        let function = Function::of(client).await;
        let error = function.failure(json!({"exit": 3})).await;
        let body = String::from_utf8_lossy(&error.body).into_owned();
        assert_eq!(error.error_type, "Runtime.ExitError", "{client:?}: {body}");
        assert!(body.contains("exit status 3"), "{client:?}: {body}");
        assert_eq!(function.success(json!(1)).await, 1);
        assert_eq!(function.cold_starts(), 2, "{client:?}");
    }
}

#[tokio::test]
async fn a_handler_that_is_not_there_is_named() {
    for (client, handler) in [(Client::Python, "nosuch.handler"), (Client::Node, "nosuch.handler")]
    {
        let function = Function::with(client, handler).await;
        let error = function.failure(json!({})).await;
        let body = String::from_utf8_lossy(&error.body).into_owned();
        assert_eq!(error.error_type, "Runtime.ImportModuleError", "{client:?}: {body}");
        assert!(body.contains("nosuch"), "{body}");
    }
}

async fn next(stream: &mut ResponseStream) -> Option<Result<Bytes, StreamFault>> {
    let patience = Duration::from_secs(20);
    tokio::time::timeout(patience, stream.body.recv()).await.expect("the stream stands still")
}

#[tokio::test]
async fn a_response_is_streamed() {
    let function = Function::with(Client::Node, "index.stream").await;
    let mut stream = function.stream(json!({"pieces": ["one ", "two"]})).await;
    assert_eq!(stream.content_type, "text/plain");
    let mut text = Vec::new();
    while let Some(piece) = next(&mut stream).await {
        text.extend_from_slice(&piece.unwrap());
    }
    assert_eq!(String::from_utf8(text).unwrap(), "one two");
}

#[tokio::test]
async fn a_stream_that_fails_says_so_in_its_end() {
    let function = Function::with(Client::Node, "index.stream").await;
    let mut stream = function.stream(json!({"pieces": ["one"], "raise": "boom"})).await;
    let mut fault = None;
    while let Some(piece) = next(&mut stream).await {
        fault = piece.err();
    }
    let Some(StreamFault::Function(error)) = fault else { panic!("{fault:?}") };
    assert_eq!(error.error_type, "TypeError");
    assert!(String::from_utf8_lossy(&error.body).contains("boom"));
    let mut stream = function.stream(json!({"pieces": ["two"]})).await;
    assert_eq!(next(&mut stream).await.unwrap().unwrap(), "two");
    assert!(next(&mut stream).await.is_none());
    assert_eq!(function.cold_starts(), 1);
}
