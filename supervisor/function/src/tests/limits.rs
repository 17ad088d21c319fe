//! What is too much or makes no sense is refused before it reaches a function.

use super::*;
use crate::{EVENT_LIMIT, PAYLOAD_LIMIT};

#[tokio::test(start_paused = true)]
async fn payloads_are_json_of_limited_size() {
    let (functions, fake) = with(spec("f", "echo")).await;
    assert_eq!(success(call(&functions, "").await), "{}");
    for payload in ["{", "\"\u{1}\"", "1 2", "nul", &"[".repeat(100_000)] {
        let error = refusal(call(&functions, payload).await);
        assert!(matches!(error, InvokeError::InvalidRequestContent(_)), "{error}");
    }
    let broken = Invocation { payload: Bytes::from_static(b"\"\xff\""), ..invocation("") };
    let error = refusal(functions.invoke(&Target::from("f"), broken).await);
    assert!(matches!(error, InvokeError::InvalidRequestContent(_)), "{error}");

    let longest = format!("\"{}\"", "x".repeat(PAYLOAD_LIMIT - 2));
    echo(&functions, &longest).await;
    let error = refusal(call(&functions, &format!("{longest} ")).await);
    let (size, limit) = (PAYLOAD_LIMIT + 1, PAYLOAD_LIMIT);
    assert_eq!(error, InvokeError::RequestTooLarge { size, limit });
    let event = functions.admit_event(&Target::from("f"), invocation(&longest)).unwrap_err();
    assert_eq!(event, InvokeError::RequestTooLarge { size: PAYLOAD_LIMIT, limit: EVENT_LIMIT });

    functions.define(FunctionSpec { encoding: Encoding::Binary, ..spec("f", "echo") }).await;
    echo(&functions, "{").await;
    echo(&functions, "").await;
    assert_eq!(fake.count("open"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_context_is_a_json_object_on_one_line() {
    let (functions, _) = with(spec("f", "echo")).await;
    let admit = |context: &str| {
        let asked = Invocation { client_context: Some(context.into()), ..invocation("1") };
        functions.admit_event(&Target::from("f"), asked).map(|asked| asked.client_context.unwrap())
    };
    assert_eq!(
        admit("{\n  \"custom\": {\"subject\": \"a\\nb\"}\r\n}").unwrap(),
        r#"{"custom":{"subject":"a\nb"}}"#
    );
    for context in ["", "1", "[]", "{", &format!("{{\"x\":\"{}\"}}", "y".repeat(4000))] {
        let error = admit(context).unwrap_err();
        assert!(matches!(error, InvokeError::InvalidRequestContent(_)), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_line_before_a_function_is_bounded() {
    let (functions, fake) = with(FunctionSpec {
        max_instances: 1,
        queue: QueuePolicy { length: 2, ..spec("f", "echo").queue },
        ..spec("f", "echo")
    })
    .await;
    let waiting = |payload: &'static str| {
        let functions = functions.clone();
        tokio::spawn(async move { call(&functions, payload).await })
    };
    let running = waiting("\"sleep\"");
    until(&functions, |overview| overview.instances.busy == 1).await;
    let (second, third) = (waiting("2"), waiting("3"));
    until(&functions, |overview| overview.waiting == 2).await;
    let error = refusal(call(&functions, "4").await);
    assert!(matches!(error, InvokeError::TooManyRequests(_)), "{error}");
    // A caller that goes away makes room.
    third.abort();
    assert!(third.await.is_err());
    echo(&functions, "5").await;
    success(running.await.unwrap());
    success(second.await.unwrap());
    assert_eq!(until(&functions, |_| true).await.metrics.throttles, 1);
    assert_eq!(fake.count("open"), 1);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_ever_but_an_event_waits_as_long_as_it_is_waited_for() {
    let slow =
        FunctionSpec { max_instances: 1, timeout: Duration::from_secs(900), ..spec("f", "echo") };
    let (functions, _) = with(slow).await;
    let hung = tokio::spawn({
        let functions = functions.clone();
        async move { call(&functions, "\"hang\"").await }
    });
    until(&functions, |overview| overview.instances.busy == 1).await;
    let event = tokio::spawn({
        let functions = functions.clone();
        async move {
            functions.deliver(&Target::from("f"), invocation("1"), Duration::from_secs(2000)).await
        }
    });
    until(&functions, |overview| overview.waiting == 1).await;
    // It gives up after a cold start and an invocation of this function: before that one instance is free again.
    functions
        .define(FunctionSpec {
            max_instances: 1,
            timeout: Duration::from_secs(1),
            ..spec("f", "echo")
        })
        .await;
    let error = refusal(call(&functions, "2").await);
    assert!(error.to_string().contains("maxInstancesCount"), "{error}");
    assert_eq!(failure(hung.await.unwrap()).error_type, "Sandbox.Timedout");
    success(event.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn payloads_of_all_functions_together_are_bounded() {
    let (functions, _) = with(FunctionSpec { max_instances: 1, ..spec("f", "echo") }).await;
    let large = format!("\"{}\"", "x".repeat(PAYLOAD_LIMIT - 2));
    let callers: Vec<_> = (0..6)
        .map(|_| {
            let (functions, large) = (functions.clone(), large.clone());
            tokio::spawn(async move { call(&functions, &large).await })
        })
        .collect();
    let mut refused = 0;
    for caller in callers {
        match caller.await.unwrap() {
            Ok(_) => {}
            Err(InvokeError::TooManyRequests(_)) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(refused, 1);
    echo(&functions, &large).await;
}
