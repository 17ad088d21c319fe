//! Functions on the bus: seen, and run.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use futures_util::StreamExt;
use hedgerow_api::zbus;
use hedgerow_api::{
    AnswerLine, Error, FunctionHealth, FunctionProxy, InvokeOptions, MAX_PAYLOAD, Objects, path,
};

use crate::simulated::functions;
use crate::support::{World, within};

async fn function(world: &World, name: &str) -> FunctionProxy<'static> {
    world.control.snapshot.send_modify(|now| {
        now.functions.insert(name.to_owned(), functions::view(name));
    });
    let path = world.manager().await.get_function(name).await.unwrap();
    assert_eq!(path, path::function(name));
    FunctionProxy::builder(&world.client).path(path).build().await.unwrap()
}

fn options(kind: &str) -> InvokeOptions {
    InvokeOptions { invocation_type: Some(kind.to_owned()), ..InvokeOptions::default() }
}

#[tokio::test]
async fn a_function_is_found_seen_and_told_of() {
    let world = World::new().await;
    let proxy = function(&world, "com.example.Echo").await;
    let entries = world.manager().await.list_functions().await.unwrap();
    assert_eq!(entries[0].name, "com.example.Echo");
    assert_eq!((entries[0].health, &*entries[0].version), (FunctionHealth::Idle, "8"));
    let unknown = world.manager().await.get_function("nobody").await.unwrap_err();
    assert!(matches!(unknown, Error::NoSuchFunction(_)), "{unknown:?}");

    let seen = Objects::of(&world.client).await.unwrap().functions;
    assert_eq!(seen, [functions::view("com.example.Echo")]);
    let mut durations = proxy.receive_durations_changed().await;
    within(durations.next()).await.unwrap();
    world.control.snapshot.send_modify(|now| {
        let view = now.functions.get_mut("com.example.Echo").unwrap();
        view.durations = vec![(1000, 3), (0, 1)];
    });
    let told = within(durations.next()).await.unwrap();
    assert_eq!(told.get().await.unwrap(), [(1000, 3), (0, 1)]);

    world.control.snapshot.send_modify(|now| now.functions.clear());
    let gone = proxy.invoke(b"{}", InvokeOptions::default()).await.unwrap_err();
    assert!(matches!(gone, Error::NoSuchFunction(_) | Error::Bus(_)), "{gone:?}");
}

#[tokio::test]
async fn an_invocation_is_answered_in_one_piece() {
    let world = World::new().await;
    let echo = function(&world, "Echo").await;
    let tail = InvokeOptions { log_tail: Some(true), ..options("RequestResponse") };
    let (payload, result) = echo.invoke(b"[1]", tail).await.unwrap();
    assert_eq!(payload, b"[1]");
    assert_eq!(result.executed_version.as_deref(), Some("8"));
    assert_eq!(result.log_tail.as_deref(), Some("START\nEND\n"));
    assert_eq!((result.function_error, result.request_id.map(|id| id.len())), (None, Some(36)));

    let broken = function(&world, "Broken").await;
    let (payload, result) = broken.invoke(b"1", InvokeOptions::default()).await.unwrap();
    assert_eq!(payload, br#"{"errorType":"Oops","errorMessage":"no"}"#);
    assert_eq!(result.function_error.as_deref(), Some("Unhandled"));
    assert_eq!(result.error_type.as_deref(), Some("Oops"));

    let (payload, result) = echo.invoke(b"{}", options("Event")).await.unwrap();
    assert!(payload.is_empty() && result.request_id.is_some() && result.executed_version.is_none());
    let (payload, result) = echo.invoke(b"{}", options("DryRun")).await.unwrap();
    assert!(payload.is_empty() && result.executed_version.is_some());
    let seen = Objects::of(&world.client).await.unwrap().functions;
    let echoed = seen.iter().find(|function| function.name == "Echo").unwrap();
    assert_eq!((echoed.invocations, echoed.queue_depth), (1, 1));
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused_by_name() {
    let world = World::new().await;
    let (echo, full) = (function(&world, "Echo").await, function(&world, "Full").await);
    let error = echo.invoke(&vec![b' '; MAX_PAYLOAD + 1], options("Event")).await.unwrap_err();
    assert!(error.to_string().contains("InvokeFd"), "{error}");
    let error = echo.invoke(b"1", options("Later")).await.unwrap_err();
    assert!(matches!(&error, Error::InvalidArgument(why) if why.contains("Later")), "{error}");
    let error = full.invoke(b"1", InvokeOptions::default()).await.unwrap_err();
    assert_eq!(error, Error::TooManyRequests("all are busy".into()));
    let version = InvokeOptions { qualifier: Some("7".into()), ..InvokeOptions::default() };
    let error = echo.invoke(b"1", version.clone()).await.unwrap_err();
    assert!(matches!(error, Error::NoSuchFunction(_)), "{error:?}");
    let (source, _sink) = std::io::pipe().unwrap();
    let error = echo.invoke_fd(OwnedFd::from(source).into(), version).await.unwrap_err();
    assert!(matches!(error, Error::NoSuchFunction(_)), "{error:?}");
    let file = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
    let error = echo.invoke_fd(file.into(), InvokeOptions::default()).await.unwrap_err();
    assert!(matches!(&error, Error::InvalidArgument(why) if why.contains("pipe")), "{error}");

    let unknown = BTreeMap::from([("colour", zbus::Variant::from("red"))]);
    let error = world
        .client
        .call_method(
            Some(hedgerow_api::BUS_NAME),
            path::function("Echo"),
            Some("io.hedgerow.Edge1.Function"),
            "Invoke",
            &(&b"1"[..], unknown),
        )
        .await
        .unwrap_err();
    assert!(error.to_string().contains("colour"), "{error}");
}

#[tokio::test]
async fn bulk_goes_by_descriptor_and_a_stream_comes_in_parts() {
    let world = World::new().await;
    let echo = function(&world, "Echo").await;
    let bulk: Vec<u8> = (0..3_000_000_u32).map(|number| number as u8).collect();
    let (payload, last) = by_descriptor(&echo, bulk.clone()).await;
    assert_eq!(payload, bulk);
    assert!(matches!(last, AnswerLine::Complete(end) if end.function_error.is_none()));

    let talking = function(&world, "Talking").await;
    let (payload, last) = by_descriptor(&talking, b"{}".into()).await;
    assert_eq!(payload, br#"one two {"errorType":"Oops","errorMessage":"no"}"#);
    let AnswerLine::Complete(end) = last else { panic!("{last:?}") };
    assert_eq!(end.content_type.as_deref(), Some("text/plain"));
    assert_eq!(end.error_type.as_deref(), Some("Oops"));

    let (_, last) = by_descriptor(&function(&world, "Full").await, vec![]).await;
    let AnswerLine::Refused(error) = last else { panic!("{last:?}") };
    assert_eq!(Error::from_job(&error), Some(Error::TooManyRequests("all are busy".into())));
}

async fn by_descriptor(function: &FunctionProxy<'_>, payload: Vec<u8>) -> (Vec<u8>, AnswerLine) {
    let (source, mut sink) = std::io::pipe().unwrap();
    let source = OwnedFd::from(source).into();
    let answer = function.invoke_fd(source, InvokeOptions::default()).await.unwrap();
    let answer = UnixStream::from(OwnedFd::from(answer));
    let talk = tokio::task::spawn_blocking(move || {
        sink.write_all(&payload).unwrap();
        drop(sink);
        let mut whole = vec![];
        for line in BufReader::new(answer).lines() {
            match serde_json::from_str(&line.unwrap()).unwrap() {
                AnswerLine::Payload(text) => whole.extend(text.into_bytes()),
                AnswerLine::PayloadBase64(text) => {
                    use base64::Engine;
                    whole.extend(base64::engine::general_purpose::STANDARD.decode(text).unwrap());
                }
                last => return (whole, last),
            }
        }
        panic!("the answer is cut off");
    });
    within(talk).await.unwrap()
}
