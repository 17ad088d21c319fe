//! Frames captured from the AWS SDKs, and from a server that they accepted.

mod support;

use bytes::BytesMut;
use hedgerow_ipc::model::{Event, Operation, Request};
use hedgerow_ipc::wire::frame::{self, Decoded, Frame};
use hedgerow_ipc::wire::header::Header;
use hedgerow_ipc::wire::rpc::{Kind, Message};
use hedgerow_ipc::{Limits, Message as Published, Principal};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use support::Device;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

fn vector(name: &str) -> Vec<u8> {
    fs::read(directory().join(name)).expect(name)
}

/// Every captured frame, by file name.
fn vectors() -> Vec<(String, Vec<u8>)> {
    let mut vectors = Vec::new();
    for directory in [directory(), directory().join("ops")] {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "bin") {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                vectors.push((name, fs::read(path).unwrap()));
            }
        }
    }
    assert!(vectors.len() > 100, "the vectors are there");
    vectors
}

fn decode(bytes: &[u8]) -> Frame<'_> {
    match frame::decode(bytes, 24 * 1024 * 1024) {
        Ok(Decoded::Frame(frame, length)) if length == bytes.len() => frame,
        other => panic!("not one frame: {other:?}"),
    }
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// The operation that a file below `ops/` is named after.
fn operation_of(name: &str) -> Option<Operation> {
    let (operation, _) = name.split_once('_')?;
    Operation::from_header(&format!("aws.greengrass#{operation}"))
}

#[test]
fn every_frame_decodes_and_encodes_to_the_same_bytes() {
    for (name, bytes) in vectors() {
        let frame = decode(&bytes);
        let headers: Vec<Header<'_>> = frame.headers.map(Result::unwrap).collect();
        let mut again = BytesMut::new();
        frame::encode(&mut again, &headers, frame.payload);
        assert_eq!(again, bytes, "{name}");
        Message::read(frame).expect(&name);
    }
}

#[test]
fn every_request_is_understood_without_loss() {
    let mut seen = 0;
    for (name, bytes) in vectors() {
        let frame = decode(&bytes);
        let message = Message::read(frame).unwrap();
        let Some(header) = message.operation else { continue };
        let operation = Operation::from_header(header).expect(&name);
        let request = Request::decode(operation, frame.payload).expect(&name);
        assert_eq!(serde_json::to_value(&request).unwrap(), json(frame.payload), "{name}");
        assert_eq!(request.operation(), operation);
        if let Some(model_type) = message.model_type {
            assert_eq!(model_type, operation.request_type(), "{name}");
        }
        seen += 1;
    }
    assert!(seen > Operation::ALL.len());
}

#[test]
fn every_event_is_understood_without_loss() {
    let mut seen = 0;
    for (name, bytes) in vectors().into_iter().filter(|(name, _)| name.ends_with("_event.bin")) {
        let operation = operation_of(&name).expect(&name);
        let frame = decode(&bytes);
        let event = Event::decode(operation, frame.payload).expect(&name).expect(&name);
        assert_eq!(serde_json::to_value(&event).unwrap(), json(frame.payload), "{name}");
        assert_eq!(Message::read(frame).unwrap().model_type, operation.event_type(), "{name}");
        seen += 1;
    }
    assert!(seen >= 9);
}

#[test]
fn responses_have_the_shapes_of_the_model() {
    let mut seen = 0;
    for (name, bytes) in vectors() {
        let Some(operation) = operation_of(&name).filter(|_| name.ends_with("_1_resp.bin")) else {
            continue;
        };
        let message = Message::read(decode(&bytes)).unwrap();
        assert_eq!(message.kind, Kind::Application);
        assert_eq!(message.model_type, Some(operation.response_type()), "{name}");
        assert_eq!(message.terminates(), operation.event_type().is_none(), "{name}");
        seen += 1;
    }
    assert_eq!(seen, Operation::ALL.len());
}

#[tokio::test]
async fn our_frames_are_those_that_the_sdk_accepted() {
    let device = Device::new(Limits::default());
    let component = device.component("a");
    let mut raw = component.raw().await;
    raw.send(&support::connect_frame(&component.token)).await;
    assert_eq!(raw.frame().await, vector("ipc_02_srv_connect_ack.bin"));
    raw.send(&vector("ipc_03_py_publish_json.bin")).await;
    assert_eq!(raw.frame().await, vector("ipc_04_srv_publish_response.bin"));
    raw.send(&vector("ipc_05_py_publish_binary.bin")).await;
    raw.frame().await;
    raw.send(&vector("ipc_07_py_subscribe.bin")).await;
    assert_eq!(raw.frame().await, vector("ipc_08_srv_subscribe_response.bin"));
    let (hub, host) = (&device.hub, Principal::HostUser(0));
    hub.publish(&host, "t/1", &Published::json(&json!({ "a": 1 }))).unwrap();
    assert_eq!(raw.frame().await, vector("ipc_09_srv_event_json.bin"));
    hub.publish(&host, "t/1", &Published::binary(vec![0, 1, 2, 255])).unwrap();
    assert_eq!(raw.frame().await, vector("ipc_10_srv_event_binary.bin"));
    raw.send(&vector("ipc_11_py_terminate.bin")).await;
    raw.send(&vector("ipc_12_py_get_configuration.bin")).await;
    let reply = raw.frame().await;
    let reply = Message::read(decode(&reply)).unwrap();
    assert_eq!(reply.stream, 4, "nothing more comes on the terminated stream");
}

#[tokio::test]
async fn our_errors_have_the_members_that_clients_read() {
    let captured = vector("ipc_13_srv_error_resource_not_found.bin");
    let captured = Message::read(decode(&captured)).unwrap();
    let device = Device::new(Limits::default());
    let component = device.component("a");
    let mut raw = component.raw_open().await;
    raw.send(&vector("ipc_24_py_get_shadow_classic.bin")).await;
    let reply = raw.frame().await;
    let reply = Message::read(decode(&reply)).unwrap();
    assert_eq!((reply.kind, reply.flags), (captured.kind, captured.flags));
    let names = |message: &Message<'_>| -> Vec<String> {
        message.frame.headers.map(|header| header.unwrap().name.to_owned()).collect()
    };
    assert_eq!(names(&reply), names(&captured));
    let (ours, theirs) = (json(reply.frame.payload), json(captured.frame.payload));
    for member in ["message", "_message", "_service", "_errorCode"] {
        assert!(theirs[member].is_string());
        assert!(ours[member].is_string(), "{ours}");
    }
    assert_eq!(ours["_message"], ours["message"]);
    assert_eq!(ours["_service"], theirs["_service"]);
    assert_eq!(reply.model_type, Some("aws.greengrass#ServiceError"));
    assert_eq!(ours["_errorCode"], "ServiceError");
}

#[tokio::test]
async fn the_javascript_sdks_frames_are_accepted() {
    let device = Device::new(Limits::default());
    let component = device.component("a");
    let mut raw = component.raw_open().await;
    raw.send(&vector("ipc_js_03_publish_json.bin")).await;
    let reply = raw.frame().await;
    let reply = Message::read(decode(&reply)).unwrap();
    assert_eq!(reply.model_type, Some("aws.greengrass#PublishToTopicResponse"));
    raw.send(&vector("ipc_js_07_subscribe.bin")).await;
    let reply = raw.frame().await;
    let reply = Message::read(decode(&reply)).unwrap();
    assert_eq!(reply.model_type, Some("aws.greengrass#SubscribeToTopicResponse"));
    raw.send(&vector("ipc_js_11_terminate.bin")).await;
    raw.send(&vector("ipc_js_12_update_configuration.bin")).await;
    let reply = raw.frame().await;
    let reply = Message::read(decode(&reply)).unwrap();
    assert_eq!(reply.model_type, Some("aws.greengrass#ServiceError"));
}
