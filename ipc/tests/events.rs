//! Subscriptions that the services serve, and how subscriptions end.

mod support;

use hedgerow_ipc::client::Client;
use hedgerow_ipc::model::{
    ComponentUpdatePolicyEvents, Event, Operation, PostComponentUpdateEvent,
};
use hedgerow_ipc::{Limits, Message, Principal};
use serde_json::json;
use support::{Device, any_topic, patient};
use tokio::sync::mpsc;

const UPDATES: Operation = Operation::SubscribeToComponentUpdates;

/// Subscribes; the stream and where its events come from.
async fn subscribe(device: &Device, client: &mut Client) -> (i32, mpsc::Sender<Event>) {
    let stream = client.queue(UPDATES, &json!({}));
    client.flush().await.unwrap();
    assert_eq!(patient(client.reply(stream)).await.unwrap(), json!({}));
    let events = device.services.updates.lock().unwrap().take().unwrap();
    (stream, events)
}

fn done(deployment: &str) -> Event {
    let event = PostComponentUpdateEvent { deployment_id: deployment.to_owned() };
    Event::SubscribeToComponentUpdates(ComponentUpdatePolicyEvents::PostUpdateEvent(event))
}

#[tokio::test]
async fn events_follow_the_response_in_their_order() {
    let device = Device::new(Limits::default());
    let component = device.component("a");
    let mut client = component.connect().await;
    let (stream, events) = subscribe(&device, &mut client).await;
    for n in 0..10 {
        events.send(done(&n.to_string())).await.unwrap();
    }
    for n in 0..10 {
        let event = patient(client.receive()).await.unwrap();
        assert_eq!((event.stream, event.error, event.last), (stream, false, false));
        assert_eq!(event.model_type, "aws.greengrass#ComponentUpdatePolicyEvents");
        let expected = json!({ "postUpdateEvent": { "deploymentId": n.to_string() } });
        assert_eq!(event.payload, expected);
    }
    // The other side ends it.
    drop(events);
    let last = patient(client.receive()).await.unwrap();
    assert_eq!((last.stream, last.error, last.last), (stream, false, true));
}

#[tokio::test]
async fn a_closed_stream_and_a_closed_connection_close_the_channel() {
    let device = Device::new(Limits::default());
    let component = device.component("a");
    let mut client = component.connect().await;
    let (stream, events) = subscribe(&device, &mut client).await;
    client.terminate(stream).await.unwrap();
    patient(events.closed()).await;
    let (_, events) = subscribe(&device, &mut client).await;
    drop(client);
    patient(events.closed()).await;
}

#[tokio::test]
async fn who_does_not_read_fills_the_channel_and_nothing_else() {
    let device =
        Device::new(Limits { write_deadline: std::time::Duration::ZERO, ..Limits::default() });
    let component = device.component("a");
    let mut client = component.connect().await;
    let (stream, events) = subscribe(&device, &mut client).await;
    let filler = "x".repeat(100_000);
    let mut sent = 0;
    // Each is as large as a good part of the socket's buffer.
    while tokio::time::timeout(std::time::Duration::from_millis(100), events.send(done(&filler)))
        .await
        .is_ok_and(|sent| sent.is_ok())
    {
        sent += 1;
        assert!(sent < 1000, "something takes it all");
    }
    assert!(!events.is_closed(), "unread events drop no peer");
    for _ in 0..sent {
        assert_eq!(patient(client.receive()).await.unwrap().stream, stream);
    }
    events.send(done("more")).await.unwrap();
    let more = patient(client.receive()).await.unwrap();
    assert_eq!(more.payload["postUpdateEvent"]["deploymentId"], "more");
}

#[tokio::test]
async fn a_subscription_ends_with_the_right_to_it() {
    let device = Device::new(Limits { streams: 2, ..Limits::default() });
    let component = device.component("a");
    let mut client = component.connect().await;
    let (kept, lost) =
        (client.subscribe("kept/+").await.unwrap(), client.subscribe("lost").await.unwrap());
    let other = device.component("b");
    let mut other = other.connect().await;
    let others = other.subscribe("lost").await.unwrap();
    let host = Principal::HostUser(0);
    let publish = |topic: &str| {
        device.hub.publish(&host, topic, &Message::json(&json!(1))).unwrap().subscribers
    };
    let policy = |resource: &str| {
        let policy = json!({ "operations": ["*"], "resources": [resource] });
        json!({ "aws.greengrass.ipc.pubsub": { "p": policy } })
    };
    // The same again, and the same otherwise said, end nothing.
    device.hub.set_policies("a", &any_topic());
    assert_eq!((publish("lost"), publish("kept/1")), (2, 1));
    for expected in [lost, kept] {
        assert_eq!(patient(client.receive()).await.unwrap().stream, expected);
    }
    device.hub.set_policies("a", &policy("kept/*"));
    let last = patient(client.receive()).await.unwrap();
    assert_eq!((last.stream, last.last), (lost, true));
    assert_eq!((publish("lost"), publish("kept/1")), (1, 1));
    assert_eq!(patient(client.receive()).await.unwrap().stream, kept);
    assert_eq!(patient(other.receive()).await.unwrap().stream, others);
    // Its place is free again.
    client.subscribe("kept/2").await.unwrap();
    device.hub.remove_policies("a");
    for _ in 0..2 {
        assert!(patient(client.receive()).await.unwrap().last);
    }
    assert_eq!(device.hub.lost_by(&Principal::Component("a".into())), 0);
}
