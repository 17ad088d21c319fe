//! Sessions as a component sees them, on real sockets.

mod support;

use hedgerow_ipc::client::{Client, ClientError};
use hedgerow_ipc::model::Operation;
use hedgerow_ipc::{Limits, Message, Principal};
use serde_json::{Value, json};
use support::{Device, PATIENCE, error_of, patient, publish};

#[tokio::test]
async fn a_message_goes_from_one_component_to_another() {
    let device = Device::new(Limits::default());
    let (sensor, alarm) = (device.component("sensor"), device.component("alarm"));
    let (mut sensor, mut alarm) = (sensor.connect().await, alarm.connect().await);
    let stream = alarm.subscribe("load/+").await.unwrap();
    let message = json!({ "value": 1.5, "text": "ü\u{1}" });
    let request = publish("load/1", message.clone());
    let answer = sensor.call(Operation::PublishToTopic, &request).await.unwrap();
    assert_eq!(answer, json!({}));
    let bytes = json!({ "topic": "load/2", "publishMessage": { "binaryMessage": { "message": "AAEC/w==" } } });
    sensor.call(Operation::PublishToTopic, &bytes).await.unwrap();
    let event = patient(alarm.receive()).await.unwrap();
    assert_eq!((event.stream, event.error, event.last), (stream, false, false));
    assert_eq!(event.model_type, "aws.greengrass#SubscriptionResponseMessage");
    let context = json!({ "topic": "load/1" });
    let expected = json!({ "jsonMessage": { "message": message, "context": context } });
    assert_eq!(event.payload, expected);
    let event = patient(alarm.receive()).await.unwrap();
    let context = json!({ "topic": "load/2" });
    let expected = json!({ "binaryMessage": { "message": "AAEC/w==", "context": context } });
    assert_eq!(event.payload, expected);
}

#[tokio::test]
async fn messages_arrive_in_order_also_when_large_ones_are_between() {
    let device = Device::new(Limits::default());
    let component = device.component("a");
    let (mut publisher, mut subscriber) = (component.connect().await, component.connect().await);
    subscriber.subscribe("even").await.unwrap();
    subscriber.subscribe("odd").await.unwrap();
    for n in 0..30 {
        let topic = if n % 2 == 0 { "even" } else { "odd" };
        let size = if n % 5 == 0 { 20_000 } else { 10 };
        let message = json!({ "n": n, "filler": "x".repeat(size) });
        publisher.queue(Operation::PublishToTopic, &publish(topic, message));
    }
    let receive = async {
        for n in 0..30 {
            let event = subscriber.receive().await.unwrap();
            assert_eq!(event.payload["jsonMessage"]["message"]["n"], json!(n));
        }
    };
    let (sent, ()) = tokio::join!(publisher.flush(), patient(receive));
    sent.unwrap();
}

#[tokio::test]
async fn host_and_components_share_the_broker() {
    let device = Device::new(Limits::default());
    let component = device.component("a");
    let mut client = component.connect().await;
    client.subscribe("down").await.unwrap();
    let host = Principal::HostUser(0);
    let mut up = device.hub.subscribe(&host, "up", None).unwrap();
    client.call(Operation::PublishToTopic, &publish("up", json!([1]))).await.unwrap();
    let delivery = patient(up.next()).await.unwrap();
    assert_eq!(delivery.message, Message::json(&json!([1])));
    assert_eq!(delivery.source, Principal::Component("a".into()));
    let delivered = device.hub.publish(&host, "down", &Message::binary(vec![1])).unwrap();
    assert_eq!(delivered.subscribers, 1);
    let event = patient(client.receive()).await.unwrap();
    assert_eq!(event.payload["binaryMessage"]["message"], "AQ==");
}

#[tokio::test]
async fn the_largest_frame_that_the_sdk_sends_arrives() {
    let device = Device::new(Limits::default());
    let component = device.component("a");
    let (mut publisher, mut subscriber) = (component.connect().await, component.connect().await);
    subscriber.subscribe("big").await.unwrap();
    let filler = "x".repeat(24 * 1024 * 1024 - 500);
    let request = publish("big", Value::String(filler.clone()));
    let (answer, event) = tokio::join!(
        patient(publisher.call(Operation::PublishToTopic, &request)),
        patient(subscriber.receive())
    );
    answer.unwrap();
    assert!(event.unwrap().payload["jsonMessage"]["message"] == filler);
}

#[tokio::test]
async fn operations_are_answered_by_the_services() {
    let device = Device::new(Limits::default());
    let cli = json!({ "aws.greengrass.Cli": { "p": {
        "operations": ["*"], "resources": ["*"] } } });
    let component = device.component_with("a", &cli, 0..u32::MAX);
    let mut client = component.connect().await;
    let answer = client.call(Operation::UpdateState, &json!({ "state": "RUNNING" })).await;
    assert_eq!(answer.unwrap(), json!({}));
    let request = json!({ "componentName": "b", "keyPath": [] });
    let answer = client.call(Operation::GetConfiguration, &request).await.unwrap();
    assert_eq!(answer, json!({ "componentName": "b", "value": { "filler": "" } }));
    let details = json!({ "componentName": "a", "version": "1.0.0", "state": "RUNNING" });
    let answer = client.call(Operation::ListComponents, &json!({})).await.unwrap();
    assert_eq!(answer, json!({ "components": [details] }));
    let answer =
        client.call(Operation::GetComponentDetails, &json!({ "componentName": "a" })).await;
    assert_eq!(answer.unwrap(), json!({ "componentDetails": details }));
}

#[tokio::test]
async fn a_response_that_no_frame_holds_becomes_an_error() {
    let device = Device::new(Limits { frame_bytes: 10_000, ..Limits::default() });
    let component = device.component("a");
    let mut client = component.connect().await;
    let request = |size: &str| json!({ "keyPath": [size] });
    let error = error_of(client.call(Operation::GetConfiguration, &request("10000")).await);
    assert_eq!(error, ("ServiceError".into(), "the response is too large for a frame".into()));
    assert!(client.call(Operation::GetConfiguration, &request("5000")).await.is_ok());
}

#[tokio::test]
async fn what_is_missing_is_said_before_anything_else() {
    let device = Device::new(Limits::default());
    let component = device.component("a");
    let mut client = component.connect().await;
    let (shape, message) = error_of(client.call(Operation::GetSecretValue, &json!({})).await);
    assert_eq!(shape, "ServiceError");
    assert_eq!(
        message,
        "GetSecretValue needs a keeper of secrets, which is not provided by this version of Hedgerow"
    );
    let stream = client.queue_raw("aws.greengrass#MakeCoffee", "none", b"{}");
    client.flush().await.unwrap();
    let (shape, message) = error_of(client.reply(stream).await);
    assert_eq!(shape, "ServiceError");
    assert_eq!(message, "there is no operation \"aws.greengrass#MakeCoffee\"");
}

#[tokio::test]
async fn denials_and_bad_arguments_are_modelled_errors() {
    let device = Device::new(Limits { streams: 2, ..Limits::default() });
    let component = device.component("a");
    let denied = device.component_with("b", &json!({}), 0..u32::MAX);
    let (mut client, mut denied) = (component.connect().await, denied.connect().await);
    let table = [
        (Operation::ListComponents, json!({}), "UnauthorizedError", "aws.greengrass.Cli"),
        (
            Operation::GetComponentDetails,
            json!({ "componentName": "b" }),
            "UnauthorizedError",
            "on \"b\"",
        ),
        (Operation::PublishToTopic, json!({}), "InvalidArgumentsError", "`topic`"),
        (
            Operation::PublishToTopic,
            json!({ "topic": "a" }),
            "InvalidArgumentsError",
            "`publishMessage`",
        ),
        (Operation::PublishToTopic, publish("a/#", json!(1)), "InvalidArgumentsError", "`#`"),
        (
            Operation::PublishToTopic,
            json!({ "topic": "t", "publishMessage": { "binaryMessage": { "message": "AQ" } } }),
            "InvalidArgumentsError",
            "padding",
        ),
        (Operation::SubscribeToTopic, json!({}), "InvalidArgumentsError", "`topic`"),
        (Operation::SubscribeToTopic, json!({ "topic": "#/a" }), "InvalidArgumentsError", "`#`"),
        (
            Operation::SubscribeToTopic,
            json!({ "topic": "a", "receiveMode": "SOME" }),
            "InvalidArgumentsError",
            "SOME",
        ),
        (Operation::UpdateState, json!({ "state": "ASLEEP" }), "ServiceError", "ASLEEP"),
        (Operation::GetConfiguration, json!({}), "ServiceError", "`keyPath`"),
        (Operation::GetConfiguration, json!([]), "ServiceError", ""),
    ];
    for (operation, request, shape, part) in table {
        let error = error_of(client.call(operation, &request).await);
        assert_eq!(error.0, shape, "{operation:?} {request}: {error:?}");
        assert!(error.1.contains(part), "{operation:?} {request}: {error:?}");
    }
    let request = publish("x/y", json!(1));
    let error = error_of(denied.call(Operation::PublishToTopic, &request).await);
    assert_eq!(error.0, "UnauthorizedError");
    assert!(error.1.contains("component \"b\" has no accessControl rule"), "{}", error.1);
    let error = error_of(denied.call(Operation::SubscribeToTopic, &json!({ "topic": "x" })).await);
    assert_eq!(error.0, "UnauthorizedError");
    client.subscribe("1").await.unwrap();
    client.subscribe("2").await.unwrap();
    let error = error_of(client.call(Operation::SubscribeToTopic, &json!({ "topic": "3" })).await);
    assert!(error.1.contains("2 open streams"), "{}", error.1);
}

#[tokio::test]
async fn a_slow_call_does_not_hold_up_others_and_may_be_abandoned() {
    let device = Device::new(Limits::default());
    let component = device.component("a");
    let mut client = component.connect().await;
    let slow = client.queue(Operation::GetConfiguration, &json!({ "keyPath": ["wait"] }));
    let abandoned = client.queue(Operation::GetConfiguration, &json!({ "keyPath": ["wait"] }));
    client.flush().await.unwrap();
    client.terminate(abandoned).await.unwrap();
    let quick = client.call(Operation::UpdateState, &json!({ "state": "RUNNING" })).await;
    assert_eq!(quick.unwrap(), json!({}));
    device.services.release.notify_waiters();
    assert!(patient(client.reply(slow)).await.is_ok());
    // Were the abandoned call answered, its answer would come before this one.
    client.queue(Operation::UpdateState, &json!({ "state": "RUNNING" }));
    client.flush().await.unwrap();
    assert_ne!(patient(client.receive()).await.unwrap().stream, abandoned);
}

#[tokio::test]
async fn terminating_a_subscription_ends_it_and_hanging_up_ends_all() {
    let device = Device::new(Limits::default());
    let component = device.component("a");
    let mut client = component.connect().await;
    let first = client.subscribe("t").await.unwrap();
    let second = client.subscribe("t").await.unwrap();
    client.terminate(first).await.unwrap();
    let stream = client.queue(Operation::PublishToTopic, &publish("t", json!(1)));
    client.flush().await.unwrap();
    let (one, two) = (client.receive().await.unwrap(), client.receive().await.unwrap());
    let mut streams = [one.stream, two.stream];
    streams.sort_unstable();
    assert_eq!(streams, [second, stream]);
    drop(client);
    device.services.wait_for("closed component \"a\"").await;
    let host = Principal::HostUser(0);
    let delivered = device.hub.publish(&host, "t", &Message::json(&json!(2))).unwrap();
    assert_eq!(delivered.subscribers, 0);
}

#[tokio::test]
async fn stopping_closes_the_sessions() {
    let device = Device::new(Limits::default());
    let component = device.component("a");
    let mut client = component.connect().await;
    client.subscribe("t").await.unwrap();
    device.services.wait_for("opened component \"a\"").await;
    let token = component.token.clone();
    assert_eq!(device.hub.holder_of(&token), Some(Principal::Component("a".into())));
    assert_eq!(device.hub.holder_of(&token[1..]), None);
    component.stop().await;
    assert_eq!(device.hub.holder_of(&token), None);
    assert!(matches!(patient(client.receive()).await, Err(ClientError::Closed)));
    let noted = device.services.events.lock().unwrap().clone();
    assert_eq!(noted, ["opened component \"a\"", "closed component \"a\""]);
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_and_room_comes_back() {
    // Were they left to the handshake deadline, this would fail by its impatience.
    let limits = Limits { connections: 2, handshake_deadline: 2 * PATIENCE, ..Limits::default() };
    let device = Device::new(limits);
    let component = device.component("a");
    let (one, _two) = (component.connect().await, component.connect().await);
    assert_eq!(component.raw().await.rest().await, b"");
    drop(one);
    device.services.wait_for("closed component \"a\"").await;
    let again = Client::connect(&component.path, &component.token).await;
    assert!(again.is_ok());
}
