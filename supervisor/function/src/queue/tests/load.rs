use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::sleep;

use super::world::Device;
use crate::LogError;
use crate::tests::spec;

#[tokio::test(start_paused = true)]
async fn a_queue_that_cannot_be_read_refuses_and_goes_on_once_it_can() {
    let device = Device::default();
    let life = device.with(spec("f", "echo")).await;
    life.functions.stop("f", Duration::ZERO).await;
    life.enqueue("f", "1").await.unwrap();
    drop(life);

    device.log.is_broken.store(true, Ordering::Relaxed);
    let life = device.with(spec("f", "echo")).await;
    let refused = life.enqueue("f", "2").await.unwrap_err().to_string();
    assert!(refused.contains("refused") && refused.contains("input/output error"), "{refused}");
    assert!(refused.contains(&life.events.fault().unwrap()), "{refused}");
    // Its events may be there.
    assert!(life.events.forget("f").await.is_err());
    assert_eq!(life.starts(), 0);

    device.log.is_broken.store(false, Ordering::Relaxed);
    device.log.until(0).await;
    assert_eq!((life.starts(), life.events.fault()), (1, None));
    life.enqueue("f", "3").await.unwrap();
    device.log.until(0).await;
    assert_eq!(life.starts(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_ordered_end_does_not_wait_for_a_queue_that_cannot_be_read() {
    let device = Device::default();
    device.log.is_broken.store(true, Ordering::Relaxed);
    let life = device.with(spec("f", "echo")).await;
    let start = tokio::time::Instant::now();
    life.events.finish(Duration::from_secs(5)).await;
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn who_cannot_forget_a_function_says_so_and_its_events_go_with_the_next_try() {
    let device = Device::default();
    let life = device.with(spec("f", "echo")).await;
    life.functions.stop("f", Duration::ZERO).await;
    life.enqueue("f", "1").await.unwrap();
    life.functions.remove("f", Duration::ZERO).await;
    device.log.is_full.store(true, Ordering::Relaxed);
    let failed = life.events.forget("f").await;
    assert!(matches!(failed, Err(LogError::Full)), "{failed:?}");
    drop(life);

    let life = device.start("a boot", Duration::from_secs(200)).await;
    device.log.is_full.store(false, Ordering::Relaxed);
    life.events.forget("f").await.unwrap();
    device.log.until(0).await;
}

#[tokio::test(start_paused = true)]
async fn that_an_event_was_not_stored_is_known_until_one_is() {
    let device = Device::default();
    let life = device.with(spec("f", "echo")).await;
    device.log.is_full.store(true, Ordering::Relaxed);
    let refused = life.enqueue("f", "1").await.unwrap_err().to_string();
    assert!(refused.contains(&life.events.fault().unwrap()), "{refused}");
    device.log.is_full.store(false, Ordering::Relaxed);
    life.enqueue("f", "1").await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(life.events.fault(), None);
}
