//! Foreign bytes as a runtime's side of its connection, or that of code that uses Greengrass v1's SDK: no panic, and the
//! caller gets an answer, whatever it is.

#![no_main]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use hedgerow_function::v1::{Destination, Device, DeviceError, Sdk};
use hedgerow_function::{
    Answer, Broker, Encoding, Ended, Events, FunctionSpec, Functions, Instance, InstanceId,
    InstanceLink, Instances, Invocation, LogTail, OpenError, QueuePolicy, RequestId, Runtime,
    Target, Usage, runtime_api,
};
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex, split};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// So that bytes that were found once answer it again.
const REQUEST_ID: &str = "00000000-0000-4000-8000-000000000000";

/// Longer than all deadlines together.
const PATIENCE: Duration = Duration::from_secs(3600);

#[derive(Debug)]
struct Runtimes {
    bytes: Vec<u8>,
    /// Until the end: it holds the functions, which hold this.
    sdk: Mutex<Option<Sdk>>,
}

/// Allows everything, and has one subscription of each kind.
#[derive(Debug)]
struct Allowing;

fuzz_target!(|bytes: &[u8]| {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let runtimes = Arc::new(Runtimes { bytes: bytes.to_vec(), sdk: Mutex::default() });
        let functions = Functions::new(Arc::clone(&runtimes));
        let (events, _queue) = Events::new(functions.clone());
        let sdk = Sdk { functions: functions.clone(), events, device: Arc::new(Allowing) };
        *runtimes.sdk.lock().expect("a lock") = Some(sdk);
        functions.define(spec()).await;
        let invocation = Invocation {
            request_id: RequestId::try_from(REQUEST_ID.to_owned()).expect("a UUID"),
            payload: "{}".into(),
            client_context: None,
            trace_id: None,
            log_tail: false,
        };
        let target = Target::from("f");
        let invoked = timeout(PATIENCE, functions.invoke(&target, invocation));
        let completed = invoked.await.expect("an answer in time");
        if let Ok(Answer::Stream(mut stream)) = completed.map(|completed| completed.answer) {
            let end = async { while let Some(Ok(_)) = stream.body.recv().await {} };
            timeout(PATIENCE, end).await.expect("an end of the stream");
        }
        timeout(PATIENCE, functions.remove("f", Duration::ZERO)).await.expect("an end");
        runtimes.sdk.lock().expect("a lock").take();
    });
});

impl Instances for Runtimes {
    async fn open(&self, spec: &FunctionSpec, link: InstanceLink) -> Result<Instance, OpenError> {
        let (runtime, served) = duplex(64 * 1024);
        let (tell, ended) = oneshot::channel();
        let sdk = self.sdk.lock().expect("a lock").clone();
        let caller = sdk.map(|sdk| sdk.caller(Arc::new(spec.clone())));
        tokio::spawn(runtime_api::serve_connection(served, link, caller));
        let bytes = self.bytes.clone();
        tokio::spawn(async move {
            let (mut reading, mut writing) = split(runtime);
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
            let _ = tokio::join!(write, timeout(PATIENCE / 10, reading.read_to_end(&mut heard)));
            let _ = tell.send(Ended::Exited(0));
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

impl Device for Allowing {
    fn may_invoke(&self, _: &str, _: &str) -> Result<(), DeviceError> {
        Ok(())
    }

    fn destinations(&self, _: &FunctionSpec, _: &str) -> Result<Vec<Destination>, DeviceError> {
        let function = Destination::Function(Target::from("f:1"));
        Ok(vec![Destination::Cloud, function, Destination::Component("c".to_owned())])
    }

    fn publish(&self, _: &str, _: Broker, _: &str, _: Bytes) -> Result<(), DeviceError> {
        Ok(())
    }

    fn result_timeout(&self) -> Duration {
        Duration::from_secs(60)
    }

    fn tell(&self, _: &str, _: &str) {}
}

fn spec() -> FunctionSpec {
    FunctionSpec {
        name: "f".into(),
        arn: "arn:aws:lambda:eu-west-1:123456789012:function:f".into(),
        version: "1".into(),
        aliases: [].into(),
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
