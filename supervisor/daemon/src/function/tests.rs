//! Tables of what runs in an instance, and what it finds there.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::time::Duration;

use hedgerow_function::{Encoding, FunctionSpec, QueuePolicy, Runtime};

use super::command::{Look, command};
use super::environment::environment;
use super::open::{fresh_id, is_instance};

pub fn spec(runtime: Runtime) -> FunctionSpec {
    FunctionSpec {
        name: "com.example.F".into(),
        arn: "arn:aws:lambda:eu-west-1:123456789012:function:F".into(),
        version: "7".into(),
        aliases: BTreeMap::new(),
        runtime,
        handler: "app.handler".into(),
        environment: BTreeMap::new(),
        encoding: Encoding::Json,
        pinned: false,
        timeout: Duration::from_secs(3),
        init_timeout: None,
        memory: 128 << 20,
        ephemeral_storage: 512 << 20,
        max_instances: 1,
        max_idle: Duration::from_secs(60),
        queue: QueuePolicy {
            length: 1,
            max_age: Duration::from_secs(1),
            retries: 0,
            retry_delay: Duration::from_secs(1),
            dead_letter: None,
        },
        sources: vec![],
        digest: "d".into(),
    }
}

fn python(version: &str) -> Runtime {
    Runtime::Python { version: version.into() }
}

struct There(BTreeSet<&'static str>);

impl Look for There {
    type Error = Infallible;

    async fn exists(&self, path: &str) -> Result<bool, Infallible> {
        Ok(self.0.contains(path))
    }
}

/// What is run, or what is missing.
async fn run(runtime: Runtime, client: Option<&str>, there: &[&'static str]) -> String {
    let client = client.map(|client| client.parse().expect("a runtime"));
    let there = There(there.iter().copied().collect());
    match command(&spec(runtime), client.as_ref(), &there).await {
        Ok(Ok(argv)) => argv.join(" "),
        Ok(Err(missing)) => missing.to_string(),
    }
}

#[tokio::test]
async fn what_is_there_decides_what_is_run() {
    let node = || Runtime::Node { version: "20.x".into() };
    let provided = || Runtime::Provided { name: "provided.al2023".into() };
    let supplied = "/var/runtime/awslambdaric";
    let table: [(Runtime, Option<&str>, &[&'static str], &str); 9] = [
        (
            python("3.11"),
            None,
            &["/var/task/awslambdaric", "/usr/bin/python3.11"],
            "/usr/bin/python3.11 -m awslambdaric app.handler",
        ),
        // The supplied client is of another version: so is the interpreter.
        (
            python("3.8"),
            Some("python3.11"),
            &[supplied, "/usr/bin/python3.8", "/usr/bin/python3.11", "/var/runtime/bin/python3.11"],
            "/var/runtime/bin/python3.11 -m awslambdaric app.handler",
        ),
        // The function's own comes first.
        (
            python("3.8"),
            Some("python3.11"),
            &["/opt/python/awslambdaric", supplied, "/usr/bin/python3.8", "/usr/bin/python3.11"],
            "/usr/bin/python3.8 -m awslambdaric app.handler",
        ),
        (python("3.11"), None, &["/usr/bin/python3.11"], "deploy io.hedgerow.runtime.python3.11"),
        (python("3.8"), None, &["/var/task/awslambdaric"], "there is no python3.8"),
        (
            node(),
            Some("nodejs20.x"),
            &["/var/runtime/node_modules/aws-lambda-ric/bin/index.mjs", "/usr/bin/node"],
            "/usr/bin/node /var/runtime/node_modules/aws-lambda-ric/bin/index.mjs app.handler",
        ),
        (node(), None, &["/usr/bin/node"], "deploy io.hedgerow.runtime.nodejs20.x"),
        (provided(), None, &["/opt/bootstrap"], "/opt/bootstrap"),
        (provided(), None, &[], "there is no bootstrap"),
    ];
    for (runtime, client, there, expected) in table {
        let found = run(runtime, client, there).await;
        assert!(found == expected || found.contains(expected) && expected.contains(' '), "{found}");
    }
}

#[test]
fn a_function_may_change_what_is_usual_and_not_who_it_is() {
    let own = |name: &str| (name.to_owned(), "own".to_owned());
    let component = [("SVCUID", "token"), ("AWS_IOT_THING_NAME", "thing"), ("HOME", "/home/x")];
    let component = component.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let names = ["SVCUID", "AWS_IOT_THING_NAME", "HOME", "PATH", "_HANDLER", "MINE", "RECIPES"];
    let never = ["AWS_LAMBDA_MAX_CONCURRENCY", "AWS_LAMBDA_RUNTIME_API"];
    let variables = names.iter().chain(&never).map(|name| own(name)).collect();
    let spec = FunctionSpec { environment: variables, ..spec(python("3.11")) };
    let setenv = [("RECIPES".to_owned(), "recipe".to_owned())].into();
    let found = environment(&component, &setenv, &spec, &fresh_id(3));
    for (name, value) in [
        ("SVCUID", "token"),
        ("AWS_IOT_THING_NAME", "thing"),
        ("HOME", "own"),
        ("PATH", "own"),
        ("MINE", "own"),
        ("RECIPES", "own"),
        ("_HANDLER", "app.handler"),
        ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "7"),
        ("MY_FUNCTION_ARN", "arn:aws:lambda:eu-west-1:123456789012:function:F"),
    ] {
        assert_eq!(found.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(!found.contains_key("AWS_LAMBDA_MAX_CONCURRENCY"));
    let usual = "/var/task:/opt/python/lib/python3.11/site-packages:/opt/python:/var/runtime";
    assert_eq!(found["PYTHONPATH"], usual);
    // The runtime's client is found whatever the function adds.
    let variables = [("PYTHONPATH".to_owned(), "/var/task/lib:/opt/python".to_owned())].into();
    let spec = FunctionSpec { environment: variables, ..spec };
    let found = environment(&component, &setenv, &spec, &fresh_id(3));
    let completed =
        "/var/task/lib:/opt/python:/var/task:/opt/python/lib/python3.11/site-packages:/var/runtime";
    assert_eq!(found["PYTHONPATH"], completed);
}

#[test]
fn instances_are_told_from_components_by_the_names_of_their_fences() {
    let (one, other) = (fresh_id(u32::MAX), fresh_id(u32::MAX));
    assert!(one != other && is_instance(&one));
    assert!(!is_instance(&"c1-1".to_owned().try_into().expect("an id")));
}
