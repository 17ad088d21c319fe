//! Peers that break a rule: what they are told, and that they are gone.

mod support;

use bytes::BytesMut;
use hedgerow_ipc::Limits;
use hedgerow_ipc::client::{Client, ClientError};
use hedgerow_ipc::model::Operation;
use hedgerow_ipc::wire::frame::{self, Decoded};
use hedgerow_ipc::wire::header::{Header, Value};
use hedgerow_ipc::wire::rpc::{self, Kind, Message};
use serde_json::json;
use std::time::Duration;
use support::{Component, Device, PATIENCE, Raw, connect_frame, patient, publish};

/// Limits under which nothing ends by a deadline while a test is patient.
fn unhurried() -> Limits {
    Limits { linger: 2 * PATIENCE, ..Limits::default() }
}

fn bytes(write: impl FnOnce(&mut BytesMut)) -> Vec<u8> {
    let mut out = BytesMut::new();
    write(&mut out);
    out.to_vec()
}

/// The type, flags and payload of the next frame.
async fn told(raw: &mut Raw) -> (Kind, i32, String) {
    let frame = raw.frame().await;
    let Ok(Decoded::Frame(frame, _)) = frame::decode(&frame, usize::MAX) else {
        panic!("no frame")
    };
    let message = Message::read(frame).unwrap();
    assert_eq!(message.stream, 0);
    (message.kind, message.flags, String::from_utf8_lossy(frame.payload).into_owned())
}

/// Sends `first` on a new connection; expects a refusal, that the server then waits for us to hang
/// up, and that it closes.
async fn expect_refusal(component: &Component, other: &Component, first: &[u8]) {
    let mut raw = component.raw().await;
    raw.send(first).await;
    assert_eq!(told(&mut raw).await, (Kind::ConnectAck, 0, String::new()));
    // A whole conversation elsewhere gives the server every opportunity to close.
    other.connect().await.call(Operation::PublishToTopic, &publish("t", json!(1))).await.unwrap();
    let early = raw.0.try_read(&mut [0]);
    assert!(early.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
    assert_eq!(raw.hang_up().await, b"");
}

#[tokio::test]
async fn wrong_and_stolen_tokens_are_refused() {
    let device = Device::new(unhurried());
    let (component, other) = (device.component("a"), device.component("b"));
    let connect = |payload: &str| bytes(|out| rpc::write_connect(out, payload.as_bytes()));
    for first in [
        connect_frame(&other.token),
        connect_frame("0123456789abcdef"),
        connect_frame(""),
        connect_frame(&component.token[1..]),
        connect(""),
        connect("{}"),
        connect("{\"authToken\":null}"),
        connect("\u{1F98A}"),
    ] {
        expect_refusal(&component, &other, &first).await;
    }
    let refused = Client::connect(&component.path, &other.token).await;
    assert!(matches!(refused, Err(ClientError::Refused)));
    // White space, other members and escapes are JSON's business.
    let (first, rest) = component.token.split_at(1);
    let escaped = format!("\\u{:04x}{rest}", first.as_bytes()[0]);
    let mut raw = component.raw().await;
    let payload = format!("{{ \"other\": [1], \"authToken\" : \"{escaped}\" }}");
    raw.send(&connect(&payload)).await;
    assert_eq!(told(&mut raw).await.1, rpc::ACCEPTED);
}

#[tokio::test]
async fn a_wrong_version_or_uid_is_refused() {
    let device = Device::new(unhurried());
    let (component, other) = (device.component("a"), device.component("b"));
    let payload = json!({ "authToken": component.token }).to_string();
    let rpc_headers = [(":message-type", 4), (":message-flags", 0), (":stream-id", 0)]
        .map(|(name, value)| Header { name, value: Value::Int32(value) });
    for version in [None, Some("0.2.0")] {
        let version = version.map(|v| Header { name: ":version", value: Value::String(v) });
        let headers: Vec<_> = rpc_headers.into_iter().chain(version).collect();
        let first = bytes(|out| frame::encode(out, &headers, payload.as_bytes()));
        expect_refusal(&component, &other, &first).await;
    }
    let own = nix::unistd::getuid().as_raw();
    let foreign = device.component_with("c", &support::any_topic(), own + 1..own + 2);
    expect_refusal(&foreign, &other, &connect_frame(&foreign.token)).await;
    let exact = device.component_with("d", &support::any_topic(), own..own + 1);
    exact.connect().await;
}

#[tokio::test]
async fn what_breaks_the_protocol_is_answered_by_a_protocol_error() {
    let device = Device::new(unhurried());
    let component = device.component("a");
    let json = |kind, flags, stream| {
        bytes(|out| rpc::write_json(out, kind, flags, stream, "aws.greengrass#X", b"{}"))
    };
    let request = |stream| {
        let operation = Operation::UpdateState;
        let (header, shape) = (operation.header(), operation.request_type());
        bytes(|out| rpc::write_request(out, stream, header, shape, b"{\"state\":\"RUNNING\"}"))
    };
    let mut wrong_crc = request(1);
    *wrong_crc.last_mut().unwrap() ^= 1;
    let mut no_flags = BytesMut::new();
    frame::encode(&mut no_flags, &[Header { name: ":message-type", value: Value::Int32(0) }], b"");
    let table: [(&str, Vec<u8>, &str); 11] = [
        ("garbage", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), "CRC"),
        ("wrong CRC", wrong_crc, "CRC of the frame"),
        ("4 GiB", frame::prelude(u32::MAX as usize, 10).to_vec(), "4294967295 bytes"),
        ("24 MiB + 1", frame::prelude(25_165_825, 10).to_vec(), "25165825 bytes"),
        ("headers beyond the frame", frame::prelude(100, 99).to_vec(), "header block of 99"),
        ("a missing header", no_flags.to_vec(), ":message-flags"),
        ("a second CONNECT", connect_frame(&component.token), "Connect"),
        ("a stream without operation", json(Kind::Application, 0, 1), "without an operation"),
        ("a message on stream 0", json(Kind::Application, 0, 0), "does not belong on stream 0"),
        ("PING on a stream", json(Kind::Ping, 0, 1), "does not belong on stream 1"),
        ("CONNECT_ACK", json(Kind::ConnectAck, 1, 0), "ConnectAck"),
    ];
    for (what, bad, reason) in table {
        let mut raw = component.raw_open().await;
        raw.send(&bad).await;
        let (kind, _, payload) = told(&mut raw).await;
        assert_eq!(kind, Kind::ProtocolError, "{what}");
        assert!(payload.contains(reason), "{what}: {payload}");
        assert_eq!(raw.hang_up().await, b"", "{what}");
    }
    let mut raw = component.raw_open().await;
    raw.send(&request(7)).await;
    raw.frame().await;
    raw.send(&request(7)).await;
    let (kind, _, payload) = told(&mut raw).await;
    assert_eq!(kind, Kind::ProtocolError);
    assert!(payload.contains("stream 7 does not follow stream 7"), "{payload}");
}

#[tokio::test]
async fn before_the_handshake_only_a_small_connect_is_listened_to() {
    let device = Device::new(unhurried());
    let component = device.component("a");
    let large = frame::prelude(8 * 1024 + 1, 10).to_vec();
    let early = bytes(|out| rpc::write_bare(out, Kind::Ping, 0, 0));
    for (first, reason) in [(large, "8193 bytes"), (early, "must be CONNECT")] {
        let mut raw = component.raw().await;
        raw.send(&first).await;
        let (kind, _, payload) = told(&mut raw).await;
        assert_eq!(kind, Kind::ProtocolError);
        assert!(payload.contains(reason), "{payload}");
    }
    assert!(device.services.events.lock().unwrap().is_empty(), "no session has been opened");
}

#[tokio::test]
async fn harmless_oddities_are_put_up_with() {
    let device = Device::new(unhurried());
    let component = device.component("a");
    let mut raw = component.raw_open().await;
    raw.send(&bytes(|out| rpc::write_bare(out, Kind::PingResponse, 0, 0))).await;
    raw.send(&bytes(|out| rpc::write_connection_error(out, Kind::ProtocolError, "hm"))).await;
    let headers = [
        Header { name: ":message-type", value: Value::Int32(2) },
        Header { name: "mine", value: Value::Uuid([7; 16]) },
        Header { name: ":message-flags", value: Value::Int32(0) },
        Header { name: ":stream-id", value: Value::Int32(0) },
        Header { name: ":other", value: Value::Bool(true) },
    ];
    raw.send(&bytes(|out| frame::encode(out, &headers, b"payload"))).await;
    let answer = raw.frame().await;
    let Ok(Decoded::Frame(answer, _)) = frame::decode(&answer, usize::MAX) else { panic!() };
    assert_eq!(Message::read(answer).unwrap().kind, Kind::PingResponse);
    assert_eq!(answer.payload, b"payload");
    let names: Vec<_> = answer.headers.map(|header| header.unwrap().name).collect();
    assert_eq!(names, [":message-type", ":message-flags", ":stream-id", "mine"]);
}

#[tokio::test]
async fn frames_may_be_split_and_joined_at_will() {
    let device = Device::new(unhurried());
    let component = device.component("a");
    let mut all = connect_frame(&component.token);
    let request = publish("t", json!("x".repeat(300))).to_string();
    let operation = Operation::PublishToTopic;
    for stream in 1..=20 {
        all.extend(bytes(|out| {
            let (header, shape) = (operation.header(), operation.request_type());
            rpc::write_request(out, stream, header, shape, request.as_bytes());
        }));
    }
    for size in [1, 5, 11, 600, all.len()] {
        let mut raw = component.raw().await;
        for part in all.chunks(size) {
            raw.send(part).await;
            tokio::task::yield_now().await;
        }
        assert_eq!(told(&mut raw).await.1, rpc::ACCEPTED);
        for stream in 1..=20i32 {
            let reply = raw.frame().await;
            let Ok(Decoded::Frame(reply, _)) = frame::decode(&reply, usize::MAX) else { panic!() };
            let reply = Message::read(reply).unwrap();
            assert_eq!((reply.stream, reply.kind), (stream, Kind::Application), "{size}");
        }
    }
}

#[tokio::test]
async fn stalling_peers_are_dropped() {
    let soon = Duration::from_millis(50);
    let limits = Limits {
        handshake_deadline: soon,
        frame_deadline: soon,
        write_deadline: soon,
        ..Limits::default()
    };
    let device = Device::new(limits);
    let component = device.component("a");
    let mut silent = component.raw().await;
    assert_eq!(silent.rest().await, b"", "no CONNECT");
    let mut stalled = component.raw().await;
    stalled.send(&[0, 0, 0, 112]).await;
    assert_eq!(stalled.rest().await, b"", "four bytes of CONNECT");
    let mut open = component.raw_open().await;
    open.send(&[0, 0, 1, 0]).await;
    assert_eq!(open.rest().await, b"", "four bytes of a request");
    let mut unread = component.raw_open().await;
    let ping = bytes(|out| {
        let rpc_headers = [(":message-type", 2), (":message-flags", 0), (":stream-id", 0)];
        let headers = rpc_headers.map(|(name, value)| Header { name, value: Value::Int32(value) });
        frame::encode(out, &headers, &[0; 10_000]);
    });
    let flood = async {
        use tokio::io::AsyncWriteExt as _;
        while unread.0.write_all(&ping).await.is_ok() {}
    };
    patient(flood).await;
}

#[tokio::test]
async fn an_idle_peer_is_left_alone() {
    let soon = Duration::from_millis(20);
    let limits = Limits {
        handshake_deadline: soon,
        frame_deadline: soon,
        write_deadline: soon,
        ..Limits::default()
    };
    let device = Device::new(limits);
    let component = device.component("a");
    let mut idle = component.connect().await;
    idle.subscribe("t").await.unwrap();
    // The deadline of a later peer passes; the first one's has passed then, if it had one.
    let mut silent = component.raw().await;
    silent.rest().await;
    idle.call(Operation::PublishToTopic, &publish("u", json!(1))).await.unwrap();
}

#[tokio::test]
async fn memory_for_large_frames_is_bounded_and_small_ones_need_none() {
    let limits = Limits { received_bytes: 100_000, ..unhurried() };
    let device = Device::new(limits);
    let component = device.component("a");
    let mut greedy = component.connect().await;
    let filler = json!("x".repeat(200_000));
    greedy.queue(Operation::PublishToTopic, &publish("t", filler));
    let _ = greedy.flush().await;
    let told = patient(greedy.receive()).await;
    assert!(
        matches!(&told, Err(ClientError::Server(reason)) if reason.contains("memory")),
        "{told:?}"
    );
    let mut holder = component.raw_open().await;
    holder.send(&frame::prelude(90_000, 10)).await;
    holder.send(&vec![0; 60_000]).await;
    let mut modest = component.connect().await;
    modest.call(Operation::PublishToTopic, &publish("t", json!("small"))).await.unwrap();
}
