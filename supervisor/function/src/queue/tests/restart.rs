use std::time::Duration;

use tokio::time::sleep;

use super::world::Device;
use crate::tests::spec;
use crate::{FunctionSpec, QueuePolicy};

const HOUR: Duration = Duration::from_secs(3600);

/// Events are tried for ever, and are no older than two hours.
fn stubborn() -> FunctionSpec {
    let queue = QueuePolicy { retries: u32::MAX, max_age: 2 * HOUR, ..spec("f", "echo").queue };
    FunctionSpec { queue, ..spec("f", "echo") }
}

#[tokio::test(start_paused = true)]
async fn what_was_stored_is_delivered_by_the_next_daemon_and_what_was_removed_is_not() {
    let device = Device::default();
    let life = device.with(spec("f", "echo")).await;
    life.enqueue("f", "1").await.unwrap();
    device.log.until(0).await;
    life.functions.stop("f", Duration::ZERO).await;
    life.enqueue("f", "2").await.unwrap();
    life.enqueue("f", "3").await.unwrap();
    drop(life);

    let life = device.start("a boot", Duration::from_secs(200)).await;
    sleep(HOUR).await;
    assert_eq!(life.starts(), 0, "there is no such function yet");
    life.functions.define(spec("f", "echo")).await;
    device.log.until(0).await;
    assert_eq!(life.starts(), 2);
    // Numbers go on, so that nothing comes in the place of something else.
    life.enqueue("f", "4").await.unwrap();
    device.log.until(0).await;
}

#[tokio::test(start_paused = true)]
async fn tries_count_over_restarts() {
    let device = Device::default();
    let mut starts = 0;
    let life = device.with(spec("f", "echo")).await;
    life.enqueue("f", "\"raise\"").await.unwrap();
    sleep(Duration::from_secs(30)).await;
    starts += life.starts();
    drop(life);
    let life = device.start("a boot", Duration::from_secs(130)).await;
    life.functions.define(spec("f", "echo")).await;
    sleep(Duration::from_secs(25)).await;
    assert_eq!(life.starts(), 0, "the minute is not over");
    let letter = device.letters.wait_for(1).await.remove(0);
    assert_eq!(letter["requestContext"]["approximateInvokeCount"], 3);
    starts += life.starts();
    assert_eq!(starts, 3);
}

#[tokio::test(start_paused = true)]
async fn an_event_is_as_old_as_the_boots_it_waited_in() {
    let device = Device::default();
    let life = device.start("first", 5 * HOUR).await;
    life.functions.define(stubborn()).await;
    life.functions.stop("f", Duration::ZERO).await;
    life.enqueue("f", "\"raise\"").await.unwrap();
    sleep(HOUR).await;
    life.enqueue("f", "\"raise\"").await.unwrap();
    drop(life);
    // Whatever the wall clock says of the time between: the first is an hour old, and 40 minutes of this boot.
    let life = device.start("second", HOUR * 2 / 3).await;
    life.functions.define(stubborn()).await;
    sleep(HOUR / 6).await;
    assert_eq!(device.letters.count(), 0);
    sleep(HOUR / 3).await;
    assert_eq!(device.letters.count(), 1);
    drop(life);
    // The times that were carried over are stored.
    let life = device.start("second", HOUR * 11 / 6).await;
    life.functions.define(stubborn()).await;
    sleep(HOUR / 12).await;
    assert_eq!(device.letters.count(), 1);
    sleep(HOUR / 6).await;
    assert_eq!(device.letters.count(), 2);
    device.log.until(0).await;
}

#[tokio::test(start_paused = true)]
async fn rows_of_another_program_are_given_up() {
    let device = Device::default();
    let mut life = device.with(spec("f", "echo")).await;
    life.functions.stop("f", Duration::ZERO).await;
    for _ in 0..3 {
        life.enqueue("f", "1").await.unwrap();
    }
    drop(life);
    {
        let mut rows = device.log.rows.lock().unwrap();
        rows.get_mut(&("f".to_owned(), 0)).unwrap().0 = b"no event".to_vec();
        rows.get_mut(&("f".to_owned(), 1)).unwrap().1 = b"no note".to_vec();
    }
    life = device.with(spec("f", "echo")).await;
    let letter = device.letters.wait_for(1).await.remove(0);
    assert_eq!(letter["requestContext"]["condition"], "Undeliverable");
    assert!(letter["requestPayload"].is_null());
    device.log.until(0).await;
    assert_eq!(life.starts(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_ordered_end_waits_for_what_runs() {
    let device = Device::default();
    let life = device.with(FunctionSpec { max_instances: 1, ..spec("f", "echo") }).await;
    life.enqueue("f", "\"sleep\"").await.unwrap();
    life.enqueue("f", "\"sleep\"").await.unwrap();
    sleep(Duration::from_millis(500)).await;
    life.events.finish(Duration::from_secs(5)).await;
    assert_eq!((life.starts(), device.log.rows.lock().unwrap().len()), (1, 1));
    let refused = life.enqueue("f", "1").await.unwrap_err();
    assert!(refused.to_string().contains("stopping"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn events_of_a_function_that_is_gone_are_not_its_namesakes() {
    let device = Device::default();
    let life = device.with(spec("f", "echo")).await;
    life.functions.stop("f", Duration::ZERO).await;
    life.enqueue("f", "1").await.unwrap();
    life.functions.remove("f", Duration::ZERO).await;
    let arn = spec("f", "echo").arn;
    life.functions.define(FunctionSpec { arn, ..spec("com.example.f", "echo") }).await;
    sleep(HOUR).await;
    assert_eq!(life.starts(), 0);
    life.functions.define(spec("f", "echo")).await;
    device.log.until(0).await;
    assert_eq!(life.starts(), 1);
}
