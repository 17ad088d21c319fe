//! What hostile or unlucky peers do to the others: nothing.
//!
//! The server runs on a thread of its own; what is compared are medians of round trips taken in the
//! same test, generously, for what would fail here are stalls and not microseconds.

mod support;

use hedgerow_ipc::client::Client;
use hedgerow_ipc::model::Operation;
use hedgerow_ipc::{Limits, Message, Principal};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use support::{Device, any_topic, patient, publish};
use tokio::sync::oneshot;

const MIB: usize = 1024 * 1024;

/// A device with the components `a` and `b` on a thread of its own.
struct Server {
    hub: hedgerow_ipc::Hub,
    paths: [std::path::PathBuf; 2],
    tokens: [String; 2],
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    fn start(limits: Limits) -> Server {
        let (started, starting) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let device = Device::new(limits);
                let components =
                    ["a", "b"].map(|name| device.component_with(name, &any_topic(), 0..u32::MAX));
                let paths = components.each_ref().map(|component| component.path.clone());
                let tokens = components.each_ref().map(|component| component.token.clone());
                started.send((device.hub.clone(), paths, tokens)).unwrap();
                let _ = stopped.await;
            });
        });
        let (hub, paths, tokens) = starting.recv().unwrap();
        Server { hub, paths, tokens, stop: Some(stop), thread: Some(thread) }
    }

    async fn connect(&self, component: usize) -> Client {
        patient(Client::connect(&self.paths[component], &self.tokens[component])).await.unwrap()
    }

    /// The median of some round trips from publisher to subscriber, both of component `b`.
    async fn round_trip(&self) -> Duration {
        let (mut publisher, mut subscriber) = (self.connect(1).await, self.connect(1).await);
        subscriber.subscribe("trip").await.unwrap();
        let request = publish("trip", json!("x".repeat(100)));
        let mut times = Vec::new();
        for _ in 0..200 {
            let start = Instant::now();
            let reply = publisher.queue(Operation::PublishToTopic, &request);
            publisher.flush().await.unwrap();
            patient(subscriber.receive()).await.unwrap();
            times.push(start.elapsed());
            patient(publisher.reply(reply)).await.unwrap();
        }
        times.sort_unstable();
        times[times.len() / 2]
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn assert_unchanged(before: Duration, during: Duration) {
    assert!(during < 20 * before + Duration::from_millis(5), "{before:?} before, then {during:?}");
}

/// Resident memory of this process, clients included, in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// One test, for what its parts compare must not run beside another of them.
#[tokio::test]
async fn others_do_not_notice() {
    idle_connections().await;
    stalled_frames().await;
    a_subscriber_that_stops_reading().await;
    a_flood().await;
}

async fn idle_connections() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most.min(4096), most).unwrap();
    let server = Server::start(Limits { connections: 1010, ..Limits::default() });
    let before = server.round_trip().await;
    let memory = resident();
    let mut idle = Vec::new();
    for _ in 0..1000 {
        idle.push(server.connect(0).await);
    }
    assert_unchanged(before, server.round_trip().await);
    let grown = resident().saturating_sub(memory);
    assert!(grown < 32 * MIB, "1,000 idle connections take {grown} bytes");
    assert_eq!(idle.len(), 1000);
}

async fn stalled_frames() {
    let server = Server::start(Limits::default());
    let before = server.round_trip().await;
    let memory = resident();
    let mut stalled = Vec::new();
    for _ in 0..50 {
        let mut raw =
            support::Raw(tokio::net::UnixStream::connect(&server.paths[0]).await.unwrap());
        raw.send(&support::connect_frame(&server.tokens[0])).await;
        raw.frame().await;
        // A frame as large as may be, of which only the beginning comes.
        raw.send(&hedgerow_ipc::wire::frame::prelude(24 * MIB, 100)).await;
        stalled.push(raw);
    }
    assert_unchanged(before, server.round_trip().await);
    let grown = resident().saturating_sub(memory);
    assert!(grown < 32 * MIB, "announced lengths take {grown} bytes");
}

async fn a_subscriber_that_stops_reading() {
    let server = Server::start(Limits::default());
    let before = server.round_trip().await;
    let (mut stuck, mut reader) = (server.connect(0).await, server.connect(1).await);
    let mut publisher = server.connect(1).await;
    stuck.subscribe("flow").await.unwrap();
    reader.subscribe("flow").await.unwrap();
    let memory = resident();
    let count = 4000;
    for n in 0..count {
        let message = json!({ "n": n, "filler": "x".repeat(10_000) });
        publisher.call(Operation::PublishToTopic, &publish("flow", message)).await.unwrap();
        let event = patient(reader.receive()).await.unwrap();
        assert_eq!(event.payload["jsonMessage"]["message"]["n"], json!(n));
    }
    let grown = resident().saturating_sub(memory);
    assert!(grown < 16 * MIB, "40 MB for one that does not read take {grown} bytes");
    assert_unchanged(before, server.round_trip().await);
    let lost = server.hub.lost_by(&Principal::Component("a".into()));
    assert_eq!(server.hub.lost_by(&Principal::Component("b".into())), 0);
    // It reads again: what it gets, and what it lost, is everything; the newest is there.
    let (mut got, mut last) = (0, -1);
    while last != count - 1 {
        let event = patient(stuck.receive()).await.unwrap();
        let n = event.payload["jsonMessage"]["message"]["n"].as_i64().unwrap();
        assert!(n > last, "in order");
        (got, last) = (got + 1, n);
    }
    assert!(lost > 0);
    assert_eq!(got + lost, u64::try_from(count).unwrap());
}

async fn a_flood() {
    let server = Server::start(Limits::default());
    let before = server.round_trip().await;
    let host = server.hub.subscribe(&Principal::HostUser(0), "#", None).unwrap();
    let (path, token) = (server.paths[0].clone(), server.tokens[0].clone());
    let (stop, mut stopped) = oneshot::channel::<()>();
    let flood = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(async {
            let mut client = Client::connect(path, &token).await.unwrap();
            let request = publish("flood", Value::Null);
            let mut sent = 0;
            while stopped.try_recv() == Err(oneshot::error::TryRecvError::Empty) {
                for _ in 0..100 {
                    client.queue(Operation::PublishToTopic, &request);
                    sent += 1;
                }
                client.flush().await.unwrap();
                for _ in 0..100 {
                    client.receive().await.unwrap();
                }
            }
            sent
        })
    });
    let during = server.round_trip().await;
    drop(stop);
    assert!(flood.join().unwrap() > 0);
    assert_unchanged(before, during);
    drop(host);
    let message = Message::json(&Value::Null);
    let nobody = server.hub.publish(&Principal::HostUser(0), "flood", &message).unwrap();
    assert_eq!(nobody.subscribers, 0);
}
