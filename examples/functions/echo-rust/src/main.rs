//! What a function gets and gives, in Rust.

#![forbid(unsafe_code)]

use std::process::exit;

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(answer)).await
}

/// Echoes the event; an object may ask for more: to fail, to exit, or to tell of the context.
async fn answer(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let (payload, context) = event.into_parts();
    if let Some(message) = payload.get("raise").and_then(Value::as_str) {
        return Err(message.into());
    }
    if let Some(status) = payload.get("exit").and_then(Value::as_i64) {
        exit(status as i32);
    }
    if let Some(size) = payload.get("size").and_then(Value::as_u64) {
        return Ok("x".repeat(size as usize).into());
    }
    if payload.get("context").is_some() {
        return Ok(json!({
            "request_id": context.request_id,
            "arn": context.invoked_function_arn,
            "has_time": context.deadline > 0,
            "custom": context.client_context.map(|context| context.custom),
        }));
    }
    Ok(payload)
}
