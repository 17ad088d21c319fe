use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::world::{Device, Life, invocation};
use crate::tests::spec;
use crate::{EVENT_LIMIT, Encoding, FunctionSpec, Invocation, InvokeError, QueuePolicy, Target};

const MINUTE: Duration = Duration::from_secs(60);

fn with_policy(handler: &str, policy: impl FnOnce(&mut QueuePolicy)) -> FunctionSpec {
    let mut spec = spec("f", handler);
    policy(&mut spec.queue);
    spec
}

fn depth(life: &Life) -> u64 {
    life.functions.watch("f").unwrap().borrow().metrics.queue.depth
}

#[tokio::test(start_paused = true)]
async fn an_event_is_stored_delivered_once_and_removed() {
    let device = Device::default();
    let life = device.with(spec("f", "echo")).await;
    life.enqueue("f", "1").await.unwrap();
    assert_eq!(device.log.rows.lock().unwrap().len(), 1);
    device.log.until(0).await;
    assert_eq!(life.starts(), 1);
    sleep(10 * MINUTE).await;
    assert_eq!((life.starts(), depth(&life), device.letters.count()), (1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn events_run_in_the_order_in_which_they_came() {
    let device = Device::default();
    let life = device.with(FunctionSpec { max_instances: 1, ..spec("f", "echo") }).await;
    let mut ids = vec![];
    for _ in 0..50 {
        ids.push(life.enqueue("f", "\"sleep\"").await.unwrap());
    }
    device.log.until(0).await;
    let lines = life.fake.log_lines();
    let starts: Vec<&String> = lines.iter().filter(|line| line.contains("START")).collect();
    assert_eq!(starts.len(), ids.len());
    for (start, id) in starts.iter().zip(&ids) {
        assert!(start.contains(id.as_str()), "{start}: {id}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_function_that_fails_is_tried_after_one_and_two_minutes_and_then_no_more() {
    let device = Device::default();
    let life = device.with(spec("f", "echo")).await;
    let id = life.enqueue("f:prod", "\"raise\"").await.unwrap();
    let begin = Instant::now();
    for (tries, after) in [(1, 0), (2, 60), (3, 180)] {
        while life.starts() < tries {
            sleep(Duration::from_secs(1)).await;
        }
        let seconds = begin.elapsed().as_secs();
        assert!((after..after + 4).contains(&seconds), "try {tries} after {seconds} s");
    }
    let letter = device.letters.wait_for(1).await.remove(0);
    assert!(letter["timestamp"].is_string());
    assert_eq!(
        letter["requestContext"],
        json!({
            "requestId": id,
            "functionArn": "arn:aws:lambda:eu-west-1:123456789012:function:f:prod",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 3,
        })
    );
    assert_eq!(letter["requestPayload"], "raise");
    assert_eq!(
        letter["responseContext"],
        json!({ "statusCode": 200, "executedVersion": "7", "functionError": "Unhandled" })
    );
    assert_eq!(letter["responsePayload"]["errorType"], "ValueError");
    device.log.until(0).await;
    assert_eq!(life.starts(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_fails_does_not_hold_up_the_next() {
    let device = Device::default();
    let life = device.with(FunctionSpec { max_instances: 1, ..spec("f", "echo") }).await;
    life.enqueue("f", "\"raise\"").await.unwrap();
    let begin = Instant::now();
    life.enqueue("f", "1").await.unwrap();
    device.log.until(1).await;
    assert!(begin.elapsed() < MINUTE);
}

#[tokio::test(start_paused = true)]
async fn a_streamed_response_is_read_to_its_end() {
    let device = Device::default();
    let life = device.with(with_policy("echo", |policy| policy.retries = 0)).await;
    life.enqueue("f", "\"stream\"").await.unwrap();
    device.log.until(0).await;
    assert_eq!(device.letters.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_the_machine_cannot_run_is_tried_until_it_is_too_old() {
    let device = Device::default();
    let life = device.with(spec("f", "echo")).await;
    life.fake.is_launcher_away.store(true, Ordering::Relaxed);
    let begin = Instant::now();
    life.enqueue("f", "1").await.unwrap();
    let letter = device.letters.wait_for(1).await.remove(0);
    let context = &letter["requestContext"];
    assert_eq!(
        (&context["condition"], &context["approximateInvokeCount"]),
        (&"EventAgeExceeded".into(), &0.into())
    );
    assert!(begin.elapsed() >= Duration::from_secs(21_600));
    assert!(begin.elapsed() < Duration::from_secs(21_602), "{:?}", begin.elapsed());

    life.enqueue("f", "2").await.unwrap();
    sleep(60 * MINUTE).await;
    life.fake.is_launcher_away.store(false, Ordering::Relaxed);
    let begin = Instant::now();
    device.log.until(0).await;
    assert!(begin.elapsed() < 6 * MINUTE, "{:?}", begin.elapsed());
    assert_eq!(device.letters.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_as_long_as_its_key_says() {
    let device = Device::default();
    let life = device
        .with(FunctionSpec { max_instances: 1, ..with_policy("echo", |policy| policy.length = 3) })
        .await;
    for _ in 0..3 {
        life.enqueue("f", "\"hang\"").await.unwrap();
    }
    let refused = life.enqueue("f", "4").await.unwrap_err();
    assert!(matches!(refused, InvokeError::TooManyRequests(_)), "{refused}");
    assert!(refused.to_string().contains("maxQueueSize"), "{refused}");
    assert_eq!(depth(&life), 3);
    assert_eq!(device.log.rows.lock().unwrap().len(), 3);
    // Time kills the first; until it is tried again it takes its place.
    sleep(10 * MINUTE).await;
    life.enqueue("f", "4").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn all_events_together_are_bounded() {
    let device = Device::default();
    let life = device.with(spec("f", "echo")).await;
    life.functions.stop("f", Duration::ZERO).await;
    let large = format!("\"{}\"", "x".repeat(EVENT_LIMIT - 2));
    let mut stored = 0;
    let refused = loop {
        match life.enqueue("f", &large).await {
            Ok(_) => stored += 1,
            Err(refused) => break refused,
        }
    };
    assert!(refused.to_string().contains("function.queue-max-size"), "{refused}");
    assert_eq!(stored, 7);
    life.functions.start("f").await.unwrap();
    device.log.until(0).await;
    life.enqueue("f", &large).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_an_event_is_not_stored() {
    let device = Device::default();
    let life = device.with(spec("f", "echo")).await;
    let long = format!("\"{}\"", "x".repeat(EVENT_LIMIT));
    for (target, payload) in [("f", "{"), ("f", long.as_str()), ("f:8", "1"), ("g", "1")] {
        assert!(life.enqueue(target, payload).await.is_err());
    }
    device.log.is_full.store(true, Ordering::Relaxed);
    let full = life.enqueue("f", "1").await.unwrap_err();
    assert!(full.to_string().contains("no space is left"), "{full}");
    device.log.is_full.store(false, Ordering::Relaxed);
    assert_eq!((device.log.rows.lock().unwrap().len(), depth(&life)), (0, 0));
    life.enqueue("f", "1").await.unwrap();
    device.log.until(0).await;
}

#[tokio::test(start_paused = true)]
async fn any_bytes_are_an_event_of_a_function_that_takes_them() {
    let device = Device::default();
    let spec = FunctionSpec {
        encoding: Encoding::Binary,
        ..with_policy("exits in init", |policy| policy.retries = 0)
    };
    let life = device.with(spec).await;
    let payload = Bytes::from_static(b"\xff\n\0");
    let event = Invocation { payload, ..invocation("") };
    life.events.enqueue(&Target::from("f"), event).await.unwrap();
    let letter = device.letters.wait_for(1).await.remove(0);
    assert_eq!(letter["requestPayload"], "/woA");
    assert_eq!(letter["responseContext"]["functionError"], "Unhandled");
}

#[tokio::test(start_paused = true)]
async fn events_of_a_stopped_function_wait_for_its_start() {
    let device = Device::default();
    let life = device.with(spec("f", "echo")).await;
    life.functions.stop("f", Duration::ZERO).await;
    life.enqueue("f", "1").await.unwrap();
    sleep(60 * MINUTE).await;
    assert_eq!((life.starts(), depth(&life)), (0, 1));
    life.functions.start("f").await.unwrap();
    let begin = Instant::now();
    device.log.until(0).await;
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn events_for_a_version_that_went_are_given_up() {
    let device = Device::default();
    let life = device.with(spec("f", "echo")).await;
    life.functions.stop("f", Duration::ZERO).await;
    life.enqueue("f:7", "1").await.unwrap();
    life.functions.define(FunctionSpec { version: "8".into(), ..spec("f", "echo") }).await;
    life.functions.start("f").await.unwrap();
    let letter = device.letters.wait_for(1).await.remove(0);
    assert_eq!(letter["requestContext"]["condition"], "Undeliverable");
    assert_eq!(letter["responsePayload"]["errorType"], "ResourceNotFoundException");
    let why = letter["responsePayload"]["errorMessage"].as_str().unwrap();
    assert!(why.contains("f:7 (version 8 is deployed)"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn events_for_a_version_run_on_it_when_its_deployment_is_rolled_back() {
    let device = Device::default();
    let life = device.with(spec("f", "echo")).await;
    life.functions.stop("f", Duration::ZERO).await;
    life.enqueue("f:7", "1").await.unwrap();
    let new = FunctionSpec { version: "8".into(), digest: "echo 8".into(), ..spec("f", "echo") };
    life.functions.define(new).await;
    life.functions.start("f").await.unwrap();
    sleep(MINUTE / 2).await;
    life.functions.define(spec("f", "echo")).await;
    device.log.until(0).await;
    assert_eq!((life.starts(), device.letters.count()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn events_for_an_alias_run_on_the_version_that_it_is_of_then() {
    let device = Device::default();
    let life = device.with(spec("f", "echo")).await;
    life.functions.stop("f", Duration::ZERO).await;
    life.enqueue("f:prod", "1").await.unwrap();
    let aliases = [("prod".to_owned(), "8".to_owned())].into();
    let new = FunctionSpec { version: "8".into(), aliases, ..spec("f", "echo") };
    life.functions.define(FunctionSpec { digest: "echo 8".into(), ..new }).await;
    life.functions.start("f").await.unwrap();
    device.log.until(0).await;
    assert_eq!(device.letters.count(), 0);
    let lines = life.fake.log_lines();
    assert!(lines.iter().any(|line| line.contains("START") && line.contains("Version: 8")));
}

#[tokio::test(start_paused = true)]
async fn an_event_ages_while_it_waits_for_an_instance_that_never_comes_up() {
    let device = Device::default();
    let pinned = FunctionSpec {
        pinned: true,
        init_timeout: None,
        ..with_policy("hangs in init", |policy| policy.max_age = 10 * MINUTE)
    };
    let life = device.with(pinned).await;
    let begin = Instant::now();
    life.enqueue("f", "1").await.unwrap();
    let letter = device.letters.wait_for(1).await.remove(0);
    assert_eq!(letter["requestContext"]["condition"], "EventAgeExceeded");
    assert!(begin.elapsed() >= 10 * MINUTE && begin.elapsed() < 11 * MINUTE, "{begin:?}");
    device.log.until(0).await;
}

#[tokio::test(start_paused = true)]
async fn a_function_that_is_gone_leaves_no_events() {
    let device = Device::default();
    let life = device.with(spec("f", "echo")).await;
    life.enqueue("f", "\"hang\"").await.unwrap();
    life.functions.remove("f", Duration::ZERO).await;
    life.enqueue("f", "1").await.unwrap_err();
    sleep(MINUTE).await;
    assert_eq!(device.log.rows.lock().unwrap().len(), 1, "it may come back");
    life.events.forget("f").await.unwrap();
    assert_eq!(device.log.rows.lock().unwrap().len(), 0);
    life.functions.define(spec("f", "echo")).await;
    life.enqueue("f", "1").await.unwrap();
    device.log.until(0).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_to_a_function_that_is_back_outlives_that_the_one_before_is_forgotten() {
    let device = Device::default();
    let life = device.with(spec("f", "echo")).await;
    life.functions.stop("f", Duration::ZERO).await;
    life.enqueue("f", "1").await.unwrap();
    let (forgotten, sent) = tokio::join!(life.events.forget("f"), life.enqueue("f", "2"));
    forgotten.unwrap();
    sent.unwrap();
    let kept: Vec<_> = device.log.rows.lock().unwrap().values().map(|row| row.0.clone()).collect();
    assert!(kept.len() == 1 && kept[0].ends_with(b"2"), "{kept:?}");
}
