//! Topics over the bus.

use std::io::{BufRead, BufReader};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use hedgerow_api::zbus;
use hedgerow_api::{Error, MAX_PAYLOAD, MessagingProxy, PublishOptions, SubscribeOptions};
use serde_json::{Value, json};

use crate::support::{World, within};

fn plain() -> PublishOptions {
    PublishOptions::default()
}

struct Lines(BufReader<UnixStream>);

impl Lines {
    fn new(fd: zbus::OwnedFd) -> Self {
        Self(BufReader::new(UnixStream::from(OwnedFd::from(fd))))
    }

    /// Off the runtime's thread, since the pump needs it.
    async fn next(self) -> (Self, Value) {
        within(tokio::task::spawn_blocking(move || {
            let Self(mut reader) = self;
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            (Self(reader), serde_json::from_str(&line).unwrap())
        }))
        .await
        .unwrap()
    }
}

async fn subscribe(messaging: &MessagingProxy<'_>, filter: &str) -> Lines {
    Lines::new(messaging.subscribe(filter, SubscribeOptions::new()).await.unwrap())
}

#[tokio::test]
async fn what_is_published_arrives_with_its_source() {
    let world = World::new().await;
    let messaging = world.messaging().await;
    let lines = subscribe(&messaging, "sensors/#").await;
    let json = PublishOptions { json: Some(true) };
    messaging.publish("other", b"unseen", plain()).await.unwrap();
    messaging.publish("sensors/a", br#"{"load": 1}"#, json).await.unwrap();
    messaging.publish("sensors/b", b"\xff\x00", plain()).await.unwrap();
    let source = format!("user:{}", nix::unistd::getuid());
    let (lines, first) = lines.next().await;
    assert_eq!(
        first,
        json!({"topic": "sensors/a", "payload": "{\"load\": 1}", "json": true,
               "source": source, "lost": 0})
    );
    let (_, second) = lines.next().await;
    assert_eq!(
        second,
        json!({"topic": "sensors/b", "payload_base64": "/wA=", "json": false,
               "source": source, "lost": 0})
    );
}

#[tokio::test]
async fn a_slow_reader_loses_its_own_messages_and_is_told_how_many() {
    let world = World::new().await;
    let messaging = world.messaging().await;
    let slow = subscribe(&messaging, "flood").await;
    let payload = vec![b'x'; 64 * 1024];
    const SENT: u64 = 100;
    for _ in 0..SENT {
        messaging.publish("flood", &payload, plain()).await.unwrap();
    }
    messaging.publish("flood", b"last", plain()).await.unwrap();
    let (mut lines, mut received, mut lost) = (slow, 0, 0);
    loop {
        let (rest, record) = lines.next().await;
        lines = rest;
        lost += record["lost"].as_u64().unwrap();
        if record["payload"] == "last" {
            break;
        }
        received += 1;
    }
    assert!(lost > 0, "the queue is not bounded");
    assert_eq!(received + lost, SENT);
}

#[tokio::test]
async fn closing_the_stream_ends_the_subscription() {
    let world = World::new().await;
    let messaging = world.messaging().await;
    // More than may be open at once: each must free its place when it is closed.
    let mut open = vec![];
    let refused = loop {
        match messaging.subscribe("a", SubscribeOptions::new()).await {
            Ok(fd) => open.push(fd),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, Error::Busy(_)), "{refused:?}");
    let speaking = UnixStream::from(OwnedFd::from(open.pop().unwrap()));
    speaking.shutdown(Shutdown::Write).unwrap();
    open.clear();
    within(async {
        while messaging.subscribe("a", SubscribeOptions::new()).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn wrong_messages_are_refused_by_name() {
    let world = World::new().await;
    let messaging = world.messaging().await;
    let large = messaging.publish("a", &vec![0; MAX_PAYLOAD + 1], plain()).await;
    assert!(matches!(large, Err(Error::InvalidArgument(_))), "{large:?}");
    let json = PublishOptions { json: Some(true) };
    let not_json = messaging.publish("a", b"{", json).await;
    assert!(matches!(not_json, Err(Error::InvalidArgument(_))), "{not_json:?}");
    let denied = messaging.publish("secret/a", b"", plain()).await;
    assert!(matches!(denied, Err(Error::Denied(_))), "{denied:?}");
    let empty = messaging.subscribe("", SubscribeOptions::new()).await;
    assert!(matches!(empty, Err(Error::InvalidArgument(_))), "{empty:?}");
    let unknown = zbus::OwnedVariant::try_from(zbus::Variant::from(1u32)).unwrap();
    let unknown = messaging.subscribe("a", [("depth".to_owned(), unknown)].into()).await;
    assert!(matches!(unknown, Err(Error::InvalidArgument(_))), "{unknown:?}");
}
