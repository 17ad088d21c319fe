//! Foreign bytes as a caller's side of a connection to the Lambda endpoint, and as a signed request: no panic, nothing
//! but HTTP in answer, an end, and no signature that counts without the secret.

#![no_main]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hedgerow_function::endpoint::sigv4::{Request, Signature};
use hedgerow_function::endpoint::{Access, Credential, Endpoint};
use hedgerow_function::{
    Answer, Encoding, Events, FunctionSpec, Functions, Instance, InstanceId, InstanceLink,
    Instances, LogTail, OpenError, QueuePolicy, Runtime, Usage,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex, split};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Longer than all deadlines together.
const PATIENCE: Duration = Duration::from_secs(3600);

#[derive(Debug)]
struct Echoes;

fuzz_target!(|bytes: &[u8]| {
    let Some((how, bytes)) = bytes.split_first() else { return };
    match how % 3 {
        0 => converse(Access::Socket, bytes),
        1 => converse(keys(), bytes),
        _ => forge(bytes),
    }
});

fn converse(access: Access, bytes: &[u8]) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let functions = Functions::new(Arc::new(Echoes));
        functions.define(spec()).await;
        let (events, _) = Events::new(functions.clone());
        let endpoint = Endpoint::new(functions.clone(), events, access);
        let (client, server) = duplex(64 * 1024);
        let place = endpoint.vacancy().await;
        let served = tokio::spawn(endpoint.serve_connection(server, place));
        let (mut reading, mut writing) = split(client);
        let mut heard = Vec::new();
        let write = async {
            // In pieces, so that each may be the last for a while.
            for piece in bytes.chunks(1 + bytes.len() / 3) {
                if writing.write_all(piece).await.is_err() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        };
        let _ = tokio::join!(write, timeout(PATIENCE, reading.read_to_end(&mut heard)));
        assert!(heard.is_empty() || heard.starts_with(b"HTTP/1."));
        timeout(PATIENCE, served).await.expect("an end of the connection").expect("no panic");
        timeout(PATIENCE, functions.remove("f", Duration::ZERO)).await.expect("an end");
    });
}

/// The first line is path and query, a header each of the next, the rest the body.
fn forge(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut lines = text.lines();
    let uri = lines.next().unwrap_or_default();
    let mut headers = HeaderMap::new();
    for line in lines.by_ref() {
        let Some((name, value)) = line.split_once(": ") else { break };
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.as_bytes()))
        {
            headers.append(name, value);
        }
    }
    let Ok(signature) = Signature::of(&headers) else { return };
    let _ = signature.check_time(SystemTime::UNIX_EPOCH);
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let body = lines.next().unwrap_or_default().as_bytes();
    let request = Request { method: "POST", path, query, headers: &headers, body };
    assert!(signature.verify("nobody knows it", &request).is_err());
}

fn keys() -> Access {
    let credential = Credential { secret: "secret".into(), covers: Box::new(|name| name == "f") };
    Access::Keys([("KEY".to_owned(), credential)].into())
}

impl Instances for Echoes {
    async fn open(&self, _: &FunctionSpec, link: InstanceLink) -> Result<Instance, OpenError> {
        let (tell, ended) = oneshot::channel();
        tokio::spawn(async move {
            while let Some(work) = link.next().await {
                work.delivered();
                let answer = Answer::Success(work.payload);
                link.answer(work.request_id.to_string(), answer).await;
            }
            drop(tell);
        });
        Ok(Instance { ended, log_tail: LogTail::default() })
    }

    async fn freeze(&self, _: InstanceId) -> Result<(), OpenError> {
        Ok(())
    }

    async fn thaw(&self, _: InstanceId) -> Result<(), OpenError> {
        Ok(())
    }

    async fn close(&self, _: InstanceId) {}

    async fn usage(&self, _: InstanceId) -> Option<Usage> {
        None
    }

    fn log(&self, _: &str, _: &str) {}
}

fn spec() -> FunctionSpec {
    FunctionSpec {
        name: "f".into(),
        arn: "arn:aws:lambda:eu-west-1:123456789012:function:f".into(),
        version: "1".into(),
        aliases: [("prod".to_owned(), "1".to_owned())].into(),
        runtime: Runtime::Provided { name: "provided.al2023".into() },
        handler: "x".into(),
        environment: [].into(),
        encoding: Encoding::Json,
        pinned: false,
        timeout: Duration::from_secs(60),
        init_timeout: Some(Duration::from_secs(60)),
        memory: 128 << 20,
        ephemeral_storage: 512 << 20,
        max_instances: 1,
        max_idle: Duration::from_secs(60),
        queue: QueuePolicy {
            length: 1,
            max_age: Duration::from_secs(60),
            retries: 0,
            retry_delay: Duration::from_secs(60),
            dead_letter: None,
        },
        sources: vec![],
        digest: "1".into(),
    }
}
