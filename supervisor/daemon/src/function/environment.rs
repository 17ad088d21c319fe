//! What a runtime finds in its environment: Lambda's variables, Greengrass's, and the function's own.

use std::collections::BTreeMap;

use hedgerow_function::{FunctionSpec, Runtime};
use hedgerow_isolation::control::PATH;
use hedgerow_isolation::moment::Moment;
use hedgerow_isolation::plan::FenceId;

use super::making::{RUNTIME_API, TASK};
use crate::log::timestamp;

/// Directories in which a runtime's programs are looked up before the system's.
pub const BIN: &str = "/var/lang/bin:/var/runtime/bin:/opt/bin";

const LIBRARIES: &str = "/var/lang/lib:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib";

const PYTHON_PATH: &str = "PYTHONPATH";

/// They would make runtimes speak another protocol than the Runtime API.
const NEVER: [&str; 3] = [
    "AWS_LAMBDA_MAX_CONCURRENCY",
    "_LAMBDA_TELEMETRY_LOG_FD",
    "_LAMBDA_TELEMETRY_LOG_FD_PROVIDER_SOCKET",
];

/// `component`: what every step of a component finds. Later ones win: what is usual, the recipe's, the function's own,
/// and what only the device says.
pub fn environment(
    component: &BTreeMap<String, String>,
    setenv: &BTreeMap<String, String>,
    spec: &FunctionSpec,
    fence: &FenceId,
) -> BTreeMap<String, String> {
    let mut all = component.clone();
    let usual = usual(spec);
    all.extend(usual.clone());
    all.extend(setenv.clone());
    all.extend(spec.environment.clone());
    all.extend(component.iter().filter(|(name, _)| is_reserved(name)).map(own));
    all.extend(reserved(spec, fence));
    if let Some(directories) = usual.get(PYTHON_PATH) {
        complete(all.entry(PYTHON_PATH.to_owned()).or_default(), directories);
    }
    for name in NEVER {
        all.remove(name);
    }
    all
}

/// Adds what a list of directories lacks: the runtime's client is found by it.
fn complete(list: &mut String, directories: &str) {
    for directory in directories.split(':') {
        if !list.split(':').any(|there| there == directory) {
            list.push(':');
            list.push_str(directory);
        }
    }
}

fn own((name, value): (&String, &String)) -> (String, String) {
    (name.clone(), value.clone())
}

/// Who the function is for others.
fn is_reserved(name: &str) -> bool {
    name.starts_with("AWS_") || matches!(name, "SVCUID" | "GGC_VERSION")
}

/// What a function may change.
fn usual(spec: &FunctionSpec) -> BTreeMap<String, String> {
    let mut usual: Vec<(&str, String)> = vec![
        ("PATH", format!("{BIN}:{PATH}")),
        ("LD_LIBRARY_PATH", LIBRARIES.to_owned()),
        ("TZ", ":UTC".to_owned()),
    ];
    match &spec.runtime {
        Runtime::Python { version } => usual.push((
            PYTHON_PATH,
            format!(
                "/var/task:/opt/python/lib/python{version}/site-packages:/opt/python:/var/runtime"
            ),
        )),
        Runtime::Node { version } => {
            let major = version.split('.').next().unwrap_or_default();
            usual.push((
                "NODE_PATH",
                format!(
                    "/opt/nodejs/node{major}/node_modules:/opt/nodejs/node_modules:\
                     /var/runtime/node_modules:/var/runtime:/var/task"
                ),
            ));
        }
        Runtime::Provided { .. } => {}
    }
    usual.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// What Lambda reserves ("Defined runtime environment variables"), and the function's name for itself in Greengrass.
fn reserved(spec: &FunctionSpec, fence: &FenceId) -> BTreeMap<String, String> {
    let megabytes = (spec.memory / (1 << 20)).clamp(1, i32::MAX as u64);
    let day = timestamp(&Moment::now()).get(..10).unwrap_or_default().replace('-', "/");
    let kind = if spec.pinned { "provisioned-concurrency" } else { "on-demand" };
    [
        ("AWS_EXECUTION_ENV", format!("AWS_Lambda_{}", spec.runtime)),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", megabytes.to_string()),
        ("AWS_LAMBDA_FUNCTION_NAME", spec.name.clone()),
        ("AWS_LAMBDA_FUNCTION_VERSION", spec.version.clone()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", kind.to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", spec.name)),
        ("AWS_LAMBDA_LOG_STREAM_NAME", format!("{day}/[{}]{fence}", spec.version)),
        ("AWS_LAMBDA_RUNTIME_API", format!("127.0.0.1:{RUNTIME_API}")),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime".to_owned()),
        ("LAMBDA_TASK_ROOT", TASK.to_owned()),
        ("MY_FUNCTION_ARN", spec.arn.clone()),
        ("_HANDLER", spec.handler.clone()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}
