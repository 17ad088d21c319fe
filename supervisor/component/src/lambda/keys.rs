//! Keys of a function's configuration that are none: a function may have keys of its own, so that only what is nearly a key, or is
//! one in another place, is told.

use serde_json::Value;
use strsim::levenshtein;

use super::reader::{Place, Reader};

/// Of the configuration itself.
pub(super) const TOP: [&str; 14] = [
    "accessControl",
    "containerMode",
    "containerParams",
    "eventSources",
    "hedgerow",
    "inputPayloadEncodingType",
    "lambdaExecutionParameters",
    "maxIdleTimeInSeconds",
    "maxInstancesCount",
    "maxQueueSize",
    "pinned",
    "pubsubTopics",
    "statusTimeoutInSeconds",
    "timeoutInSeconds",
];

/// What Greengrass has no key for.
pub(super) const HEDGEROW: [&str; 10] = [
    "aliases",
    "deadLetterTopic",
    "ephemeralStorageInMB",
    "files",
    "initTimeoutInSeconds",
    "layers",
    "maxEventAgeInSeconds",
    "maxRetryAttempts",
    "retryDelayInSeconds",
    "schedules",
];

/// What nobody means for the function itself where it stands at the top, and the way to where it belongs.
const ELSEWHERE: [(&str, &str); 11] = [
    ("deadLetterTopic", "hedgerow.deadLetterTopic"),
    ("environmentVariables", "lambdaExecutionParameters.EnvironmentVariables"),
    ("ephemeralStorageInMB", "hedgerow.ephemeralStorageInMB"),
    ("initTimeoutInSeconds", "hedgerow.initTimeoutInSeconds"),
    ("maxEventAgeInSeconds", "hedgerow.maxEventAgeInSeconds"),
    ("maxRetryAttempts", "hedgerow.maxRetryAttempts"),
    ("memorySize", "containerParams.memorySize"),
    ("memorySizeInKB", "containerParams.memorySizeInKB"),
    ("mountROSysfs", "containerParams.mountROSysfs"),
    ("retryDelayInSeconds", "hedgerow.retryDelayInSeconds"),
    ("timeout", "timeoutInSeconds"),
];

/// Words that functions have keys of their own for, too: what their items have tells which is meant.
const LISTS: [(&str, &str, &str); 4] = [
    ("devices", "path", "containerParams.devices"),
    ("files", "path", "hedgerow.files"),
    ("schedules", "expression", "hedgerow.schedules"),
    ("volumes", "destination", "containerParams.volumes"),
];

pub(super) fn unknown(reader: &mut Reader, root: &Place<'_>, hedgerow: &Place<'_>) {
    for (key, place) in root.entries().filter(|(key, _)| !TOP.contains(key)) {
        if let Some(meant) = meant(key, place.value) {
            reader.notice(
                &place,
                format!("is read by nobody but the function itself: is {meant} meant?"),
            );
        }
    }
    for (_, place) in hedgerow.entries().filter(|(key, _)| !HEDGEROW.contains(key)) {
        reader.notice(&place, format!("is not known: there are {}", HEDGEROW.join(", ")));
    }
}

fn meant(key: &str, value: &Value) -> Option<&'static str> {
    let elsewhere = ELSEWHERE.iter().find(|(known, _)| known.eq_ignore_ascii_case(key));
    let list = LISTS.iter().find(|(known, mark, _)| *known == key && has_item_with(value, mark));
    let near = || TOP.into_iter().find(|known| is_near(key, known));
    elsewhere.map(|(_, way)| *way).or(list.map(|(_, _, way)| *way)).or_else(near)
}

fn has_item_with(value: &Value, key: &str) -> bool {
    let of_list = value.as_array().into_iter().flatten();
    let of_map = value.as_object().into_iter().flatten().map(|(_, item)| item);
    of_list.chain(of_map).any(|item| item.get(key).is_some())
}

/// Two letters of a long word, one of a short one, and any case.
fn is_near(key: &str, known: &str) -> bool {
    let most = if known.len() > 8 { 2 } else { 1 };
    key.len().abs_diff(known.len()) <= most
        && levenshtein(&key.to_ascii_lowercase(), &known.to_ascii_lowercase()) <= most
}
