//! Simulated functions: one whose name ends in `Broken` fails, one in `Talking` streams its answer and then fails, one
//! in `Full` is used up; others answer with what they were given.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use hedgerow_api::{FunctionHealth, InstanceCounts, Moment};
use hedgerow_daemon::bus::FunctionView;
use hedgerow_function::{
    Answer, Completed, Encoding, FunctionError, FunctionSpec, Invocation, InvokeError, QueuePolicy,
    ResponseStream, Runtime, StreamFault, Target,
};
use tokio::sync::mpsc;

/// A function that has just been deployed.
pub fn view(name: &str) -> FunctionView {
    FunctionView {
        name: name.to_owned(),
        arn: format!("arn:aws:lambda:eu-west-1:123456789012:function:{name}"),
        version: "8".to_owned(),
        aliases: BTreeMap::from([("prod".to_owned(), "8".to_owned())]),
        runtime: "python3.11".to_owned(),
        handler: "app.handler".to_owned(),
        pinned: false,
        timeout: 3000,
        memory_size: 128 << 20,
        max_instances: 10,
        health: FunctionHealth::Idle,
        last_error: String::new(),
        next_retry: Moment::default(),
        instances: InstanceCounts::default(),
        waiting: 0,
        invocations: 0,
        errors: 0,
        timeouts: 0,
        throttles: 0,
        cold_starts: 0,
        durations: vec![],
        duration_sum: 0,
        queue_depth: 0,
        queue_oldest: Moment::default(),
        dead_lettered: 0,
        counted: Moment::default(),
    }
}

pub fn spec(view: &FunctionView) -> FunctionSpec {
    FunctionSpec {
        name: view.name.clone(),
        arn: view.arn.clone(),
        version: view.version.clone(),
        aliases: view.aliases.clone(),
        runtime: Runtime::Python { version: "3.11".to_owned() },
        handler: view.handler.clone(),
        environment: BTreeMap::new(),
        encoding: Encoding::Json,
        pinned: view.pinned,
        timeout: Duration::from_millis(view.timeout),
        init_timeout: Some(Duration::from_secs(10)),
        memory: view.memory_size,
        ephemeral_storage: 512 << 20,
        max_instances: view.max_instances,
        max_idle: Duration::from_secs(60),
        queue: QueuePolicy {
            length: 1000,
            max_age: Duration::from_secs(21_600),
            retries: 2,
            retry_delay: Duration::from_secs(60),
            dead_letter: None,
        },
        sources: vec![],
        digest: String::new(),
    }
}

pub fn missing(target: &Target) -> InvokeError {
    InvokeError::ResourceNotFound(target.to_string())
}

pub async fn run(target: &Target, invocation: Invocation) -> Result<Completed, InvokeError> {
    let error = FunctionError {
        error_type: "Oops".to_owned(),
        body: Bytes::from_static(br#"{"errorType":"Oops","errorMessage":"no"}"#),
    };
    let answer = match target.function.rsplit('.').next() {
        Some("Broken") => Answer::Failure(error),
        Some("Full") => return Err(InvokeError::TooManyRequests("all are busy".to_owned())),
        Some("Talking") => {
            let (sender, body) = mpsc::channel(3);
            for piece in [Ok("one ".into()), Ok("two ".into()), Err(StreamFault::Function(error))] {
                // As many as there is room for.
                let _ = sender.try_send(piece);
            }
            Answer::Stream(ResponseStream { content_type: "text/plain".to_owned(), body })
        }
        _ => Answer::Success(invocation.payload),
    };
    let log_tail = invocation.log_tail.then(|| Bytes::from_static(b"START\nEND\n"));
    Ok(Completed { answer, executed_version: "8".to_owned(), log_tail })
}
