//! `ListFunctions`, `GetFunction`, `GetFunctionConfiguration`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::refusal::Refusal;
use super::reply::{Whole, document};
use crate::{FunctionSpec, RequestId};

/// Functions on a page, as in Lambda.
const PAGE: usize = 50;

/// `visible` is sorted by name; the marker of a page is the name of the last function before it.
pub(super) fn functions(
    visible: impl Iterator<Item = Arc<FunctionSpec>>,
    marker: Option<String>,
    max_items: Option<String>,
    request_id: &RequestId,
) -> Result<Whole, Refusal> {
    let limit = match max_items.as_deref().map(str::parse) {
        None => PAGE,
        Some(Ok(limit @ 1..=10_000)) => PAGE.min(limit),
        Some(_) => return Err(Refusal::parameter("MaxItems is a number from 1 to 10000")),
    };
    let marker = marker.unwrap_or_default();
    let mut page: Vec<_> = visible.filter(|spec| spec.name > marker).take(limit + 1).collect();
    let is_last = page.len() <= limit;
    page.truncate(limit);
    let next = page.last().filter(|_| !is_last).map(|spec| spec.name.clone());
    let page: Vec<_> = page.iter().map(|spec| described(spec)).collect();
    Ok(document(&json!({ "Functions": page, "NextMarker": next }), request_id))
}

pub(super) fn function(spec: &FunctionSpec, request_id: &RequestId) -> Whole {
    let all = json!({
        "Configuration": described(spec),
        "Concurrency": { "ReservedConcurrentExecutions": spec.max_instances },
    });
    document(&all, request_id)
}

pub(super) fn configuration(spec: &FunctionSpec, request_id: &RequestId) -> Whole {
    document(&described(spec), request_id)
}

/// Without the environment, which may hold secrets.
fn described(spec: &FunctionSpec) -> Value {
    const MIB: u64 = 1024 * 1024;
    json!({
        "FunctionName": spec.name,
        "FunctionArn": spec.arn,
        "Version": spec.version,
        "Runtime": spec.runtime.to_string(),
        "Handler": spec.handler,
        "Timeout": spec.timeout.as_secs_f64().ceil() as u64,
        "MemorySize": spec.memory.div_ceil(MIB),
        "EphemeralStorage": { "Size": spec.ephemeral_storage.div_ceil(MIB) },
        "PackageType": "Zip",
        "State": "Active",
        "LastUpdateStatus": "Successful",
    })
}
