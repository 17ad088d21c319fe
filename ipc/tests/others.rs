//! What hostile or unlucky peers do to the others: nothing.
//!
//! The server runs on a thread of its own. While the peer is at it, another component's messages come back, each within
//! [`patient`]'s time: what would fail here are stalls, and no test can tell microseconds from a busy machine.

mod support;

use hedgerow_ipc::client::Client;
use hedgerow_ipc::model::Operation;
use hedgerow_ipc::{Limits, Message, Principal};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};
use std::sync::mpsc;
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

    /// Messages of component `b` to itself, one after the other.
    async fn serves_another(&self) {
        let (mut publisher, mut subscriber) = (self.connect(1).await, self.connect(1).await);
        subscriber.subscribe("trip").await.unwrap();
        for n in 0..200 {
            let request = publish("trip", json!({ "n": n }));
            patient(publisher.call(Operation::PublishToTopic, &request)).await.unwrap();
            let event = patient(subscriber.receive()).await.unwrap();
            assert_eq!(event.payload["jsonMessage"]["message"]["n"], json!(n));
        }
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

/// Resident memory of this process, clients included, in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// One test, for the memory that its parts measure is that of the whole process.
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
    let memory = resident();
    let mut idle = Vec::new();
    for _ in 0..1000 {
        idle.push(server.connect(0).await);
    }
    server.serves_another().await;
    let grown = resident().saturating_sub(memory);
    assert!(grown < 32 * MIB, "1,000 idle connections take {grown} bytes");
    assert_eq!(idle.len(), 1000);
}

async fn stalled_frames() {
    let server = Server::start(Limits::default());
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
    server.serves_another().await;
    let grown = resident().saturating_sub(memory);
    assert!(grown < 32 * MIB, "announced lengths take {grown} bytes");
}

async fn a_subscriber_that_stops_reading() {
    let server = Server::start(Limits::default());
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
    server.serves_another().await;
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
    let host = server.hub.subscribe(&Principal::HostUser(0), "#", None).unwrap();
    let (path, token) = (server.paths[0].clone(), server.tokens[0].clone());
    let (stop, mut stopped) = oneshot::channel::<()>();
    let (begun, flooding) = mpsc::channel();
    let flood = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(async {
            let mut client = Client::connect(path, &token).await.unwrap();
            let request = publish("flood", Value::Null);
            while stopped.try_recv() == Err(oneshot::error::TryRecvError::Empty) {
                for _ in 0..100 {
                    client.queue(Operation::PublishToTopic, &request);
                }
                client.flush().await.unwrap();
                for _ in 0..100 {
                    client.receive().await.unwrap();
                }
                let _ = begun.send(());
            }
        })
    });
    flooding.recv().unwrap();
    server.serves_another().await;
    assert!(!flood.is_finished());
    drop(stop);
    flood.join().unwrap();
    drop(host);
    let message = Message::json(&Value::Null);
    let nobody = server.hub.publish(&Principal::HostUser(0), "flood", &message).unwrap();
    assert_eq!(nobody.subscribers, 0);
}
