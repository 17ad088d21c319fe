use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{broadcast, mpsc};
use tokio::time::sleep;

use crate::queue::tests::world::{Device, Life, TestClock};
use crate::source::{Broker, Feeds, Occurrence, Place, SourceFault, feed, message};
use crate::tests::spec;
use crate::{Clock, EventSource, FunctionSpec, QueuePolicy};

const MINUTE: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct TestFeeds {
    published: broadcast::Sender<Occurrence>,
    told: Mutex<Vec<String>>,
}

impl Feeds for TestFeeds {
    async fn messages(
        &self,
        _: &FunctionSpec,
        broker: Broker,
        _: &str,
        heard: mpsc::Sender<Occurrence>,
    ) -> SourceFault {
        if broker == Broker::IotCore {
            return SourceFault::Unusable("there is no cloud link yet".into());
        }
        let mut published = self.published.subscribe();
        while let Ok(occurrence) = published.recv().await {
            heard.send(occurrence).await.unwrap();
        }
        SourceFault::Failing("the broker is gone".into())
    }

    fn place(&self, _: &FunctionSpec, _: &Path) -> Result<Place, SourceFault> {
        Err(SourceFault::Failing("no such path".into()))
    }

    fn tell(&self, function: &str, what: &str) {
        self.told.lock().unwrap().push(format!("{function}: {what}"));
    }
}

struct World {
    life: Life,
    device: Device,
    feeds: Arc<TestFeeds>,
    clock: TestClock,
}

/// A function whose events stay in the queue, where they can be looked at.
async fn with(sources: Vec<EventSource>) -> World {
    let device = Device::default();
    let life = device.start("a boot", Duration::from_secs(1000)).await;
    let feeds =
        Arc::new(TestFeeds { published: broadcast::Sender::new(100), told: Mutex::default() });
    let clock = TestClock::new("a boot", Duration::from_secs(1000));
    tokio::spawn(feed(
        life.functions.clone(),
        life.events.clone(),
        Arc::clone(&feeds),
        clock.clone(),
    ));
    life.fake.is_launcher_away.store(true, std::sync::atomic::Ordering::Relaxed);
    let world = World { life, device, feeds, clock };
    world.define(sources).await;
    world
}

impl World {
    async fn define(&self, sources: Vec<EventSource>) {
        self.define_with(sources, 10).await;
    }

    async fn define_with(&self, sources: Vec<EventSource>, length: u32) {
        let queue = QueuePolicy { length, ..spec("f", "echo").queue };
        self.life.functions.define(FunctionSpec { sources, queue, ..spec("f", "echo") }).await;
        // The sources are heard from here on.
        sleep(Duration::from_millis(1)).await;
    }

    fn count(&self) -> usize {
        self.device.log.rows.lock().unwrap().len()
    }

    /// Payloads and client contexts.
    fn events(&self) -> Vec<(String, Value)> {
        let rows = self.device.log.rows.lock().unwrap();
        let event = |(row, _): &(Vec<u8>, Vec<u8>)| {
            let text = String::from_utf8(row.clone()).unwrap();
            let (head, payload) = text.split_once('\n').unwrap();
            let head: Value = serde_json::from_str(head).unwrap();
            let context = head["client_context"].as_str();
            let context = context.map_or(Value::Null, |text| serde_json::from_str(text).unwrap());
            (payload.to_owned(), context)
        };
        rows.values().map(event).collect()
    }

    fn publish(&self, topic: &str, payload: &str) {
        let occurrence = message(topic, bytes::Bytes::copy_from_slice(payload.as_bytes()));
        self.feeds.published.send(occurrence).unwrap();
    }

    fn told(&self) -> Vec<String> {
        self.feeds.told.lock().unwrap().clone()
    }
}

fn schedule(expression: &str) -> EventSource {
    EventSource::Schedule { expression: expression.into(), input: None }
}

fn topic() -> EventSource {
    EventSource::Topic { filter: "a/#".into() }
}

#[tokio::test(start_paused = true)]
async fn a_rate_makes_scheduled_events_until_the_function_has_it_no_more() {
    let world = with(vec![schedule("rate(1 minute)")]).await;
    sleep(3 * MINUTE).await;
    assert_eq!(world.count(), 3);
    let event: Value = serde_json::from_str(&world.events()[0].0).unwrap();
    assert_eq!(event["detail-type"], "Scheduled Event");
    assert_eq!(
        (&event["account"], &event["region"]),
        (&json!("123456789012"), &json!("eu-west-1"))
    );
    assert_eq!(event["resources"], json!(["arn:aws:events:eu-west-1:123456789012:rule/f"]));
    // The same sources again: nothing begins anew.
    world.define(vec![schedule("rate(1 minute)")]).await;
    sleep(2 * MINUTE).await;
    assert_eq!(world.count(), 5);
    world.define(vec![]).await;
    sleep(5 * MINUTE).await;
    assert_eq!(world.count(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_cron_comes_by_the_wall_clock_and_not_twice() {
    let source = EventSource::Schedule {
        expression: "cron(0 * * * ? *)".into(),
        input: Some("{\"hourly\":true}".into()),
    };
    let world = with(vec![source]).await;
    // The network told the time: of the fifty years between none is made up for.
    world.clock.set(1_795_000_000);
    sleep(MINUTE).await;
    assert_eq!(world.count(), 0);
    let noon = 1_795_000_000 / 3600 * 3600 + 3600;
    world.clock.set(noon - 5);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(world.events(), [("{\"hourly\":true}".to_owned(), Value::Null)]);
    world.clock.set(noon - 30);
    sleep(MINUTE).await;
    assert_eq!(world.count(), 1, "the same hour again");
    sleep(60 * MINUTE).await;
    assert_eq!(world.count(), 2);
    // Hours forward: at most the hour that it is now. Hours back: as if it had been so all the time.
    world.clock.set(noon + 9 * 3600 + 30 * 60);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(world.count(), 2, "nine hours are not made up for");
    sleep(30 * MINUTE).await;
    assert_eq!(world.count(), 3);
    world.clock.set(noon + 4 * 3600 + 30 * 60);
    sleep(29 * MINUTE).await;
    assert_eq!(world.count(), 3);
    sleep(MINUTE).await;
    assert_eq!(world.count(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_jumps_changes_neither_rates_nor_ages() {
    let world = with(vec![schedule("rate(10 minutes)")]).await;
    for hours in [30, -50, 7] {
        world.clock.set(world.clock.unix() + hours * 3600);
        sleep(10 * MINUTE).await;
    }
    // None came twice, none was left out, none was too old.
    assert_eq!((world.count(), world.device.letters.count()), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn messages_come_in_order_with_their_topic() {
    let world = with(vec![topic()]).await;
    for n in 0..5 {
        world.publish("a/b", &n.to_string());
    }
    world.device.log.until(5).await;
    let expected: Vec<_> =
        (0..5).map(|n| (n.to_string(), json!({ "custom": { "subject": "a/b" } }))).collect();
    assert_eq!(world.events(), expected);
    world.life.functions.stop("f", Duration::ZERO).await;
    world.publish("a/b", "unheard");
    sleep(MINUTE).await;
    assert_eq!(world.count(), 5);
}

#[tokio::test(start_paused = true)]
async fn another_definition_loses_nothing_that_was_heard() {
    let world = with(vec![topic(), schedule("rate(1 hour)")]).await;
    world.define_with(vec![topic(), schedule("rate(1 hour)")], 1000).await;
    world.device.log.is_slow.send_replace(true);
    // More than are on their way to the disk at once.
    for n in 0..75 {
        world.publish("a/b", &n.to_string());
    }
    sleep(Duration::from_secs(1)).await;
    // The topic is heard all the time, of one function after the other.
    world.define_with(vec![topic()], 1000).await;
    for n in 75..78 {
        world.publish("a/b", &n.to_string());
    }
    sleep(Duration::from_secs(1)).await;
    world.define_with(vec![], 1000).await;
    assert_eq!(world.feeds.published.receiver_count(), 0);
    world.device.log.is_slow.send_replace(false);
    world.device.log.until(78).await;
    let payloads: Vec<_> = world.events().into_iter().map(|(payload, _)| payload).collect();
    assert_eq!(payloads, (0..78).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(world.told(), [] as [&str; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_is_told_once_a_minute() {
    let world = with(vec![topic()]).await;
    for n in 0..13 {
        world.publish("a/b", &n.to_string());
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(world.count(), 10);
    world.publish("a/b", "no JSON");
    sleep(Duration::from_secs(1)).await;
    let told = world.told();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("1 events") && told[0].contains("maxQueueSize"), "{told:?}");
    sleep(MINUTE).await;
    world.publish("a/b", "one more");
    sleep(Duration::from_secs(1)).await;
    assert!(world.told()[1].contains("4 events"), "{:?}", world.told());
}

#[tokio::test(start_paused = true)]
async fn a_source_that_cannot_work_says_why_once() {
    let world = with(vec![
        schedule("rate(5)"),
        EventSource::IotCore { filter: "b".into() },
        EventSource::File { path: "/data".into() },
    ])
    .await;
    sleep(10 * MINUTE).await;
    let mut told = world.told();
    told.sort();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].contains("IoT Core topic \"b\": there is no cloud link yet"), "{told:?}");
    assert!(told[1].contains("/data: no such path"), "{told:?}");
    assert!(told[2].contains("rate(5 minutes)"), "{told:?}");
}
