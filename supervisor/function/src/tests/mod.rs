//! Functions as callers have them, over instances that behave well or badly.

mod crowd;
pub(crate) mod fake;
mod faults;
mod life;
mod limits;
mod processes;
mod storm;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::{
    Answer, Bounds, Completed, Encoding, FunctionError, FunctionSpec, Functions, Health,
    Invocation, InvokeError, Overview, QueuePolicy, RequestId, Runtime, Target,
};
use fake::Fake;

pub(crate) fn spec(name: &str, handler: &str) -> FunctionSpec {
    FunctionSpec {
        name: name.into(),
        arn: format!("arn:aws:lambda:eu-west-1:123456789012:function:{name}"),
        version: "7".into(),
        aliases: [("prod".to_owned(), "7".to_owned())].into(),
        runtime: Runtime::Provided { name: "provided.al2023".into() },
        handler: handler.into(),
        environment: [].into(),
        encoding: Encoding::Json,
        pinned: false,
        timeout: Duration::from_secs(3),
        init_timeout: Some(Duration::from_secs(10)),
        memory: 128 << 20,
        ephemeral_storage: 512 << 20,
        max_instances: 10,
        max_idle: Duration::from_secs(60),
        queue: QueuePolicy {
            length: 1000,
            max_age: Duration::from_secs(21_600),
            retries: 2,
            retry_delay: Duration::from_secs(60),
            dead_letter: None,
        },
        sources: vec![],
        digest: format!("{handler} 7"),
    }
}

fn invocation(payload: &str) -> Invocation {
    Invocation {
        request_id: RequestId::generate().unwrap(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        client_context: None,
        trace_id: None,
        log_tail: false,
    }
}

/// One function `f` over a fake, which starts to be echoed to at once.
pub(crate) async fn with(spec: FunctionSpec) -> (Functions, Arc<Fake>) {
    let fake = Arc::new(Fake::default());
    // However many processors there are.
    let bounds = Bounds { starts: 10, ..Bounds::default() };
    let functions = Functions::within(bounds, Arc::clone(&fake));
    functions.define(spec).await;
    (functions, fake)
}

async fn call(functions: &Functions, payload: &str) -> Result<Completed, InvokeError> {
    functions.invoke(&Target::from("f"), invocation(payload)).await
}

pub(crate) async fn echo(functions: &Functions, payload: &str) {
    assert_eq!(success(call(functions, payload).await), payload);
}

fn success(result: Result<Completed, InvokeError>) -> String {
    match result.map(|completed| completed.answer) {
        Ok(Answer::Success(body)) => String::from_utf8(body.to_vec()).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn failure(result: Result<Completed, InvokeError>) -> FunctionError {
    match result.map(|completed| completed.answer) {
        Ok(Answer::Failure(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn refusal(result: Result<Completed, InvokeError>) -> InvokeError {
    match result {
        Err(error) => error,
        Ok(completed) => panic!("{completed:?}"),
    }
}

/// Waits until the function looks like that.
pub(crate) async fn until(functions: &Functions, is_so: impl FnMut(&Overview) -> bool) -> Overview {
    let mut watch = functions.watch("f").unwrap();
    watch.wait_for(is_so).await.unwrap().clone()
}

async fn until_ready(functions: &Functions) {
    until(functions, |overview| overview.health == Health::Ready).await;
}
