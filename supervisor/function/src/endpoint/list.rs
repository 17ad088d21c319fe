//! What there is, for who asks: `ListFunctions`, `GetFunction` and the like.

use std::collections::BTreeSet;
use std::sync::Arc;

use hyper::StatusCode;
use serde_json::{Value, json};

use super::find::Found;
use super::refusal::Refusal;
use super::reply::{Whole, document};
use super::route::Page;
use crate::{FunctionSpec, RequestId};

/// `visible` is sorted by name.
pub(super) fn functions(
    visible: impl Iterator<Item = Arc<FunctionSpec>>,
    page: &Page,
    request_id: &RequestId,
) -> Whole {
    let (functions, next) = page.of_sorted(visible, |spec| &spec.name);
    let functions: Vec<_> = functions.iter().map(|spec| described(spec, None)).collect();
    document(&json!({ "Functions": functions, "NextMarker": next }), request_id)
}

pub(super) fn function(found: &Found, request_id: &RequestId) -> Whole {
    let all = json!({
        "Configuration": described(&found.spec, found.target.qualifier.as_deref()),
        "Concurrency": { "ReservedConcurrentExecutions": found.spec.max_instances },
    });
    document(&all, request_id)
}

pub(super) fn configuration(found: &Found, request_id: &RequestId) -> Whole {
    document(&described(&found.spec, found.target.qualifier.as_deref()), request_id)
}

/// There is one version of a function on a device, which goes by two names.
pub(super) fn versions(found: &Found, page: &Page, request_id: &RequestId) -> Whole {
    let spec = &found.spec;
    let names = BTreeSet::from(["$LATEST", &spec.version]);
    let (names, next) = page.of_sorted(names.into_iter(), |name| name);
    let versions: Vec<_> = names
        .into_iter()
        .map(|name| {
            let mut version = described(spec, Some(name));
            version["Version"] = name.into();
            version
        })
        .collect();
    document(&json!({ "Versions": versions, "NextMarker": next }), request_id)
}

pub(super) fn aliases(found: &Found, page: &Page, request_id: &RequestId) -> Whole {
    let (aliases, next) = page.of_sorted(found.spec.aliases.iter(), |(name, _)| name);
    let aliases: Vec<_> =
        aliases.into_iter().map(|(name, version)| alias(&found.spec, name, version)).collect();
    document(&json!({ "Aliases": aliases, "NextMarker": next }), request_id)
}

pub(super) fn one_alias(
    found: &Found,
    name: &str,
    request_id: &RequestId,
) -> Result<Whole, Refusal> {
    match found.spec.aliases.get(name) {
        Some(version) => Ok(document(&alias(&found.spec, name, version), request_id)),
        None => Err(Refusal::new(
            StatusCode::NOT_FOUND,
            "ResourceNotFoundException",
            format!("function {} has no alias {name:?}", found.spec.name),
        )),
    }
}

impl Page {
    /// Its items, and the marker of the page after it, where there is one.
    fn of_sorted<T>(
        &self,
        all: impl Iterator<Item = T>,
        name: impl Fn(&T) -> &str,
    ) -> (Vec<T>, Option<String>) {
        let after = self.after.as_deref();
        let later = all.filter(|item| after.is_none_or(|after| name(item) > after));
        let mut items: Vec<_> = later.take(self.limit + 1).collect();
        let is_last = items.len() <= self.limit;
        items.truncate(self.limit);
        let next = items.last().filter(|_| !is_last).map(|item| name(item).to_owned());
        (items, next)
    }
}

fn alias(spec: &FunctionSpec, name: &str, version: &str) -> Value {
    json!({ "AliasArn": format!("{}:{name}", spec.arn), "Name": name, "FunctionVersion": version })
}

/// Without the environment, which may hold secrets.
fn described(spec: &FunctionSpec, qualifier: Option<&str>) -> Value {
    const MIB: u64 = 1024 * 1024;
    let arn = match qualifier {
        Some(qualifier) => format!("{}:{qualifier}", spec.arn),
        None => spec.arn.clone(),
    };
    json!({
        "FunctionName": spec.name,
        "FunctionArn": arn,
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
