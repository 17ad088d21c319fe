//! Requests as the runtimes' own clients sent them.

use super::sockets::{World, failure, success};

/// The frame, with this event's request id.
fn about(frame: &[u8], id: &str) -> Vec<u8> {
    let text = String::from_utf8(frame.to_vec()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let (before, after) = head.split_once("/invocation/").unwrap();
    let (_, after) = after.split_once('/').unwrap();
    format!("{before}/invocation/{id}/{after}\r\n\r\n{body}").into_bytes()
}

fn body(frame: &[u8]) -> &str {
    std::str::from_utf8(frame).unwrap().split_once("\r\n\r\n").unwrap().1
}

#[tokio::test]
async fn responses_and_failures_are_understood() {
    let mut world = World::new().await;
    let mut runtime = None;
    for frame in [
        &include_bytes!("frames/python_response.bin")[..],
        include_bytes!("frames/node_response.bin"),
        include_bytes!("frames/rust_response.bin"),
    ] {
        let call = world.invoke("1");
        let runtime = match &mut runtime {
            Some(runtime) => runtime,
            none => none.insert(world.connect().await),
        };
        let id = runtime.next().await;
        runtime.say(about(frame, &id)).await;
        assert_eq!(runtime.hear().await.status, 202);
        assert_eq!(success(call).await, body(frame));
    }
    let runtime = runtime.as_mut().unwrap();
    for (frame, error_type) in [
        (&include_bytes!("frames/python_error.bin")[..], "ValueError"),
        (include_bytes!("frames/node_error.bin"), "TypeError"),
        (
            include_bytes!("frames/rust_error.bin"),
            "&alloc::boxed::Box<dyn core::error::Error + core::marker::Send + core::marker::Sync>",
        ),
    ] {
        let call = world.invoke("1");
        let id = runtime.next().await;
        runtime.say(about(frame, &id)).await;
        assert_eq!(runtime.hear().await.status, 202);
        let error = failure(call).await;
        assert_eq!(error.error_type, error_type);
        assert_eq!(error.body, body(frame));
    }
}

#[tokio::test]
async fn failures_to_start_are_understood() {
    for frame in [
        &include_bytes!("frames/python_init_error.bin")[..],
        include_bytes!("frames/node_init_error.bin"),
    ] {
        let mut world = World::new().await;
        let call = world.invoke("1");
        let mut runtime = world.connect().await;
        runtime.say(frame).await;
        assert_eq!(runtime.hear().await.status, 202);
        let error = failure(call).await;
        assert_eq!(error.error_type, "Runtime.ImportModuleError");
        assert_eq!(error.body, body(frame));
    }
}
