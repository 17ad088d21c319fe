use serde_json::json;

use super::*;
use crate::recipe::{DependencyKind, Recipe};

/// What a core device has of a function that was imported in the console.
const PUBLISHED: &str = include_str!("../../tests/recipes/lambda.json");

fn recipe(text: &str) -> Recipe {
    Recipe::parse("lambda.json", text.as_bytes()).unwrap().recipe
}

fn read(recipe: &Recipe, configuration: &Value) -> Result<Lambda, InvalidLambda> {
    let manifest = &recipe.manifests[0];
    Lambda::read(recipe, manifest, manifest.lifecycle.setenv.clone(), configuration)
}

fn defaults(recipe: &Recipe) -> Value {
    Value::Object(recipe.default_configuration.clone())
}

fn with(change: impl FnOnce(&mut Value)) -> Result<Lambda, InvalidLambda> {
    let recipe = recipe(PUBLISHED);
    let mut configuration = defaults(&recipe);
    change(&mut configuration);
    read(&recipe, &configuration)
}

fn with_variable(name: &str, value: Option<&str>) -> Result<Lambda, InvalidLambda> {
    let recipe = recipe(PUBLISHED);
    let mut setenv = recipe.manifests[0].lifecycle.setenv.clone();
    match value {
        Some(value) => setenv.insert(name.into(), value.into()),
        None => setenv.remove(name),
    };
    Lambda::read(&recipe, &recipe.manifests[0], setenv, &defaults(&recipe))
}

#[test]
fn a_published_recipe_is_read_in_full() {
    let recipe = recipe(PUBLISHED);
    let lambda = read(&recipe, &defaults(&recipe)).unwrap();
    let arn = "arn:aws:lambda:us-east-1:123456789012:function:greengrass-hello";
    assert_eq!(lambda.arn.as_deref(), Some(arn));
    assert_eq!(lambda.version, "7");
    assert_eq!(lambda.runtime.to_string(), "python3.8");
    assert_eq!(lambda.handler, "hello.function_handler");
    assert_eq!(lambda.archive, "lambda-artifact");
    assert_eq!(lambda.environment, [("LIMIT".to_owned(), "12".to_owned())].into());
    assert!(lambda.json && !lambda.pinned);
    assert_eq!(lambda.timeout, Duration::from_secs(3));
    assert_eq!(lambda.init_timeout, Some(Duration::from_secs(60)));
    assert_eq!(lambda.max_idle, Duration::from_secs(60));
    assert_eq!((lambda.max_instances, lambda.queue_length, lambda.retries), (100, 1000, 2));
    assert_eq!(lambda.max_event_age, Duration::from_secs(21_600));
    assert_eq!(lambda.ephemeral_storage, 512 << 20);
    let container = Container {
        isolated: true,
        memory: Some(16_384 << 10),
        sysfs: false,
        volumes: vec![Volume {
            source: "/var/data".into(),
            destination: "/data".into(),
            writable: true,
            add_group_owner: true,
        }],
        devices: vec![Device {
            path: "/dev/video0".into(),
            writable: true,
            add_group_owner: false,
        }],
    };
    assert_eq!(lambda.container, container);
    let sources = [Source::Topic("hello/world".into()), Source::IotCore("cloud/+/hello".into())];
    assert_eq!(lambda.sources, sources);
}

#[test]
fn a_function_that_says_nothing_has_greengrass_s_defaults() {
    let lambda = with(|configuration| *configuration = json!({})).unwrap();
    assert!(lambda.pinned && lambda.json && lambda.container.isolated);
    assert_eq!((lambda.max_instances, lambda.init_timeout), (1, None));
    assert_eq!(lambda.container.memory, Some(16 << 20));
    assert_eq!(lambda.timeout, Duration::from_secs(3));
    assert!(lambda.sources.is_empty() && lambda.environment.is_empty());
}

#[test]
fn lists_and_the_names_of_greengrass_s_api_do_as_well() {
    let lambda = with(|configuration| {
        *configuration = json!({
            "eventSources": [{"topic": "a/b", "type": "pub_sub"}, {"topic": "c"}],
            "lambdaExecutionParameters": {"environmentVariables": {"A": 1, "B": true}},
            "containerParams": {
                "memorySizeInKB": "65536",
                "volumes": [{"sourcePath": "/a", "destinationPath": "/b"}],
                "devices": "",
            },
            "pinned": "false",
            "timeoutInSeconds": 30.0,
        });
    })
    .unwrap();
    assert_eq!(lambda.sources, [Source::Topic("a/b".into()), Source::Topic("c".into())]);
    assert_eq!(lambda.environment["A"], "1");
    assert_eq!(lambda.environment["B"], "true");
    assert_eq!(lambda.container.memory, Some(64 << 20));
    assert_eq!(lambda.container.volumes[0].destination, "/b");
    assert!(!lambda.container.volumes[0].writable && !lambda.pinned);
    assert_eq!(lambda.timeout, Duration::from_secs(30));
}

#[test]
fn numbered_items_come_in_their_order_and_one_that_is_null_is_gone() {
    let lambda = with(|configuration| {
        configuration["pubsubTopics"] =
            json!({"10": {"topic": "c"}, "2": {"topic": "b"}, "0": {"topic": "a"}, "1": null});
    })
    .unwrap();
    let topics = ["a", "b", "c"].map(|topic| Source::Topic(topic.into()));
    assert_eq!(lambda.sources, topics);
}

#[test]
fn what_greengrass_has_no_key_for_stands_under_hedgerow() {
    let lambda = with(|configuration| {
        configuration["hedgerow"] = json!({
            "initTimeoutInSeconds": 9,
            "ephemeralStorageInMB": 8,
            "aliases": {"prod": "7"},
            "layers": {"0": "com.example.Numpy", "1": "com.example.Ours"},
            "deadLetterTopic": "lost/events",
            "maxEventAgeInSeconds": 60,
            "maxRetryAttempts": 0,
            "schedules": {"0": {"expression": "rate(5 minutes)", "input": {"a": [1]}}},
            "files": [{"path": "/data/in"}],
        });
    })
    .unwrap();
    assert_eq!(lambda.init_timeout, Some(Duration::from_secs(9)));
    assert_eq!(lambda.ephemeral_storage, 8 << 20);
    assert_eq!(lambda.aliases, [("prod".to_owned(), "7".to_owned())].into());
    assert_eq!(lambda.layers, ["com.example.Numpy", "com.example.Ours"]);
    assert_eq!(lambda.dead_letter_topic.as_deref(), Some("lost/events"));
    assert_eq!((lambda.max_event_age, lambda.retries), (Duration::from_secs(60), 0));
    let schedule = Source::Schedule {
        expression: "rate(5 minutes)".into(),
        input: Some(json!({"a": [1]})),
        pointer: "/hedgerow/schedules/0/expression".into(),
    };
    assert_eq!(lambda.sources[2..], [schedule, Source::File("/data/in".into())]);
}

#[test]
fn without_a_container_there_are_no_container_parameters() {
    let lambda = with(|configuration| configuration["containerMode"] = json!("NoContainer"));
    let container = lambda.unwrap().container;
    assert_eq!((container.isolated, container.memory), (false, None));
    assert!(container.volumes.is_empty() && container.devices.is_empty());
}

#[test]
fn what_has_another_effect_than_it_says_is_told() {
    let notices = |change: &dyn Fn(&mut Value)| -> Vec<String> {
        let lambda = with(|configuration| {
            *configuration = json!({});
            change(configuration);
        });
        lambda.unwrap().notices.iter().map(ToString::to_string).collect()
    };
    assert_eq!(notices(&|_| {}), Vec::<String>::new());
    let volumes = json!([{"source": "/a", "destination": "/b"}]);
    let device = json!([{"path": "/dev/video0", "permission": "ro"}]);
    for (key, value, at, says) in [
        ("containerMode", json!("NoContainer"), "/containerMode", "granted to it"),
        ("containerParams", json!({"memorySize": 2048}), "/containerParams/memorySize", "16384 KB"),
        ("containerParams", json!({"devices": device}), "/containerParams/devices/0", "may write"),
        ("pubsubTopics", json!([{"topic": "a", "type": "IOT_CORE"}]), "/pubsubTopics/0", "cloud"),
        ("hedgerow", json!({"layer": []}), "/hedgerow/layer", "is not known: there are aliases"),
    ] {
        let told = notices(&|configuration| configuration[key] = value.clone());
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with(&format!("configuration {at}: ")), "{told:?}");
        assert!(told[0].contains(says), "{told:?}");
    }
    let told = notices(&|configuration| {
        configuration["containerMode"] = json!("NoContainer");
        configuration["containerParams"] = json!({"volumes": volumes, "devices": {}});
    });
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[1].contains("/containerParams/volumes: is for functions in a container"));
}

#[test]
fn the_page_about_functions_names_every_key() {
    let page = include_str!("../../../../docs/FUNCTIONS.md");
    let keys = keys::TOP.iter().chain(&keys::HEDGEROW);
    let missing: Vec<_> = keys.filter(|key| !page.contains(&format!("`{key}`"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn what_the_administrator_has_to_grant_is_known_beforehand() {
    let volume = |permission: &str, destination: &str| {
        let volume =
            json!({"source": "/srv/a", "destination": destination, "permission": permission});
        json!({"containerParams": {"volumes": [volume]}})
    };
    let device =
        json!({"containerParams": {"devices": [{"path": "/dev/i2c-1", "permission": "rw"}]}});
    let file = |path: &str| json!({"hedgerow": {"files": [{"path": path}]}});
    let mut both = volume("ro", "/data");
    both["hedgerow"] = json!({"files": [{"path": "/data/in"}]});
    let read_only = r#"host-paths = [{ path = "/srv/a", access = "ro", target = "/data" }]"#;
    for (configuration, at, grant) in [
        (volume("ro", "/data"), "/containerParams/volumes/0", read_only),
        (
            volume("rw", "/srv/a"),
            "/containerParams/volumes/0",
            r#"host-paths = [{ path = "/srv/a", access = "rw" }]"#,
        ),
        (device, "/containerParams/devices/0", r#"devices = ["/dev/i2c-1"]"#),
        (file("/data/in"), "/hedgerow/files/0", r#"host-paths = [{ path = "/data/in" }]"#),
        // What is below a volume comes with it.
        (both, "/containerParams/volumes/0", read_only),
    ] {
        let needs = with(|own| *own = configuration).unwrap().needs;
        let told: Vec<_> = needs.iter().map(|need| (&need.at, need.grant.as_str())).collect();
        assert_eq!(told, [(&At::Configuration(at.to_owned()), grant)]);
    }
    for own in [file("/greengrass/v2/work/com.example.Hello/in"), json!({})] {
        assert_eq!(with(|configuration| *configuration = own).unwrap().needs, []);
    }
}

#[test]
fn a_key_that_is_nearly_one_of_greengrass_s_is_told_and_a_function_s_own_is_not() {
    for (key, value, meant) in [
        ("timeoutInSecond", json!(9), "timeoutInSeconds"),
        ("TimeoutInSeconds", json!(9), "timeoutInSeconds"),
        ("timeoutSeconds", json!(9), "timeoutInSeconds"),
        ("timeout", json!(9), "timeoutInSeconds"),
        ("maxInstanceCount", json!(9), "maxInstancesCount"),
        ("pubSubTopics", json!([]), "pubsubTopics"),
        ("Pinned", json!(true), "pinned"),
        ("pined", json!(true), "pinned"),
        ("hedgrow", json!({}), "hedgerow"),
        ("memorySize", json!(9), "containerParams.memorySize"),
        ("environmentVariables", json!({}), "lambdaExecutionParameters.EnvironmentVariables"),
        ("EnvironmentVariables", json!({}), "lambdaExecutionParameters.EnvironmentVariables"),
        ("schedules", json!([{"expression": "rate(1 day)"}]), "hedgerow.schedules"),
        ("volumes", json!({"0": {"source": "/a", "destination": "/b"}}), "containerParams.volumes"),
    ] {
        let notices = with(|configuration| *configuration = json!({ key: value })).unwrap().notices;
        let told: Vec<String> = notices.iter().map(ToString::to_string).collect();
        let says = format!(
            "configuration /{key}: is read by nobody but the function itself: is {meant} meant?"
        );
        assert_eq!(told, [says], "{key}");
    }
    let own = json!({
        "accessControl": {}, "aliases": {}, "devices": ["a"], "files": 3, "interval": 1, "key/with~": 1, "layers": [],
        "limit": 1, "minimumQueueSize": 1, "mode": "x", "planned": [], "queueSize": 9, "schedules": [{"at": 7}],
        "threshold": 1, "topics": [], "url": "", "volumes": [1.5], "ü": 1,
    });
    assert_eq!(with(|configuration| *configuration = own).unwrap().notices, []);
}

#[test]
fn each_fault_names_its_place() {
    for (pointer, value, at) in [
        ("/timeoutInSeconds", json!(0), "/timeoutInSeconds"),
        ("/timeoutInSeconds", json!("soon"), "/timeoutInSeconds"),
        ("/timeoutInSeconds", json!(1.5), "/timeoutInSeconds"),
        ("/pinned", json!("perhaps"), "/pinned"),
        ("/maxInstancesCount", json!(1_000_000), "/maxInstancesCount"),
        ("/inputPayloadEncodingType", json!("xml"), "/inputPayloadEncodingType"),
        ("/containerMode", json!("Docker"), "/containerMode"),
        ("/containerParams/memorySize", json!(-1), "/containerParams/memorySize"),
        ("/containerParams/volumes/0/source", json!("a/b"), "/containerParams/volumes/0/source"),
        ("/containerParams/volumes/0/source", json!(null), "/containerParams/volumes/0"),
        (
            "/containerParams/volumes/0/destination",
            json!("/a/../b"),
            "/containerParams/volumes/0/destination",
        ),
        (
            "/containerParams/volumes/0/permission",
            json!("x"),
            "/containerParams/volumes/0/permission",
        ),
        ("/containerParams/volumes/0/source", json!("//"), "/containerParams/volumes/0/source"),
        (
            "/containerParams/volumes/0/destination",
            json!("/var/task/data"),
            "/containerParams/volumes/0/destination",
        ),
        ("/containerParams/devices/0/path", json!("/etc/passwd"), "/containerParams/devices/0"),
        ("/pubsubTopics/0/type", json!("KAFKA"), "/pubsubTopics/0/type"),
        ("/pubsubTopics/0/topic", json!(null), "/pubsubTopics/0"),
        ("/pubsubTopics/1/topic", json!("a/+x"), "/pubsubTopics/1/topic"),
        ("/pubsubTopics", json!(7), "/pubsubTopics"),
        (
            "/lambdaExecutionParameters/EnvironmentVariables",
            json!({"A=": ""}),
            "/lambdaExecutionParameters/EnvironmentVariables",
        ),
        (
            "/lambdaExecutionParameters/EnvironmentVariables",
            json!({"A": {}}),
            "/lambdaExecutionParameters/EnvironmentVariables/A",
        ),
        ("/hedgerow", json!({"deadLetterTopic": "a/#"}), "/hedgerow/deadLetterTopic"),
        ("/hedgerow", json!({"layers": ["a b"]}), "/hedgerow/layers/0"),
        ("/hedgerow", json!({"aliases": {"7": "8"}}), "/hedgerow/aliases"),
        ("/hedgerow", json!({"schedules": [{}]}), "/hedgerow/schedules/0"),
        ("/hedgerow", json!({"files": [{"path": "in"}]}), "/hedgerow/files/0/path"),
    ] {
        let change = |configuration: &mut Value| {
            // A pointer to what is not there yet is of the first level.
            match configuration.pointer_mut(pointer) {
                Some(found) => *found = value.clone(),
                None => configuration[&pointer[1..]] = value.clone(),
            }
        };
        let faults = with(change).unwrap_err().faults;
        let places: Vec<_> = faults.iter().map(|fault| fault.at.clone()).collect();
        assert_eq!(places, [At::Configuration(at.into())], "{pointer} {value}: {faults:?}");
    }
}

#[test]
fn a_text_in_the_place_of_a_map_is_told_the_map() {
    for (list, text, says) in [
        ("/pubsubTopics", "a/b", r#"expected a map, {"topic":"a/b"}, found"#),
        ("/hedgerow/schedules", "rate(5 minutes)", r#"{"expression":"rate(5 minutes)"}"#),
        ("/hedgerow/files", "/data/in", r#"{"path":"/data/in"}"#),
        ("/containerParams/devices", "/dev/video0", r#"{"path":"/dev/video0"}"#),
        ("/containerParams/volumes", "/a:/b", r#""destination": "/data"} say, found text"#),
    ] {
        let invalid = with(|configuration| {
            configuration["hedgerow"] = json!({"schedules": [], "files": []});
            *configuration.pointer_mut(list).unwrap() = json!([text]);
        });
        let faults = invalid.unwrap_err().faults;
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert_eq!(faults[0].at, At::Configuration(format!("{list}/0")));
        assert!(faults[0].message.contains(says), "{}", faults[0]);
    }
}

#[test]
fn topics_that_the_broker_would_not_take_are_refused() {
    let faults = |key: &str, value: Value| {
        let lambda = with(|configuration| configuration[key] = value);
        lambda.map_or_else(|invalid| invalid.to_string(), |_| String::new())
    };
    let long = "x".repeat(4097);
    for (topic, as_filter, as_dead_letter) in [
        ("a/b", "", ""),
        ("/", "", ""),
        ("$a/b c/ü", "", ""),
        ("#", "", "must not contain"),
        ("a/+/+/#", "", "must not contain"),
        ("a*b", "", "must not contain"),
        ("a#", "# must be the last level", "must not contain"),
        ("a#b", "# must be the last level", "must not contain"),
        ("#/x", "# must be the last level", "must not contain"),
        ("a/+x", "+ must be a level", "must not contain"),
        ("", "must not be empty", "must not be empty"),
        (&long, "4097 bytes is longer than the 4096", "4097 bytes"),
    ] {
        for kind in ["PUB_SUB", "IOT_CORE"] {
            let said = faults("pubsubTopics", json!([{"topic": topic, "type": kind}]));
            assert!(said.contains(as_filter) && said.is_empty() == as_filter.is_empty(), "{said}");
        }
        let said = faults("hedgerow", json!({"deadLetterTopic": topic}));
        let is_expected = said.is_empty() == as_dead_letter.is_empty();
        assert!(is_expected && said.contains(as_dead_letter), "{topic}: {said}");
    }
}

#[test]
fn all_faults_are_told_at_once() {
    let recipe = recipe(PUBLISHED);
    let configuration = json!({"hedgerow": {
        "aliases": {"7": "8"}, "deadLetterTopic": "#", "files": ["in"], "layers": ["a b"], "maxRetryAttempts": -1,
    }});
    let faults = Lambda::read(&recipe, &recipe.manifests[0], [].into(), &configuration);
    let faults = faults.unwrap_err().faults;
    // Those five, and there is neither a runtime nor a handler.
    assert_eq!(faults.len(), 7, "{faults:?}");
}

#[test]
fn variables_that_make_no_function_are_refused() {
    for (name, value, says) in [
        ("AWS_GREENGRASS_LAMBDA_RUNTIME", None, "is missing; name the function's runtime"),
        ("AWS_GREENGRASS_LAMBDA_RUNTIME", Some("java11"), "executable named bootstrap"),
        ("AWS_GREENGRASS_LAMBDA_RUNTIME", Some("ruby2.7"), "executable named bootstrap"),
        ("AWS_GREENGRASS_LAMBDA_RUNTIME", Some("dotnet6"), "executable named bootstrap"),
        ("AWS_GREENGRASS_LAMBDA_RUNTIME", Some("python2.7"), "port the function to Python 3"),
        ("AWS_GREENGRASS_LAMBDA_RUNTIME", Some("python3"), "say which: python3.11"),
        ("AWS_GREENGRASS_LAMBDA_RUNTIME", Some("python"), "say which: python3.11"),
        ("AWS_GREENGRASS_LAMBDA_RUNTIME", Some("Python3"), "say which: python3.11"),
        ("AWS_GREENGRASS_LAMBDA_RUNTIME", Some("Python3.11"), "write it in small letters"),
        ("AWS_GREENGRASS_LAMBDA_RUNTIME", Some("NodeJS20.X"), "write it in small letters"),
        ("AWS_GREENGRASS_LAMBDA_RUNTIME", Some("Java11"), "executable named bootstrap"),
        ("AWS_GREENGRASS_LAMBDA_RUNTIME", Some("python3.99"), "there is python3.6 and later"),
        ("AWS_GREENGRASS_LAMBDA_RUNTIME", Some("nodejs6.10"), "nodejs8.x and later"),
        (
            "AWS_GREENGRASS_LAMBDA_RUNTIME",
            Some("arn:aws:greengrass:::runtime/function/executable"),
            "call the program bootstrap",
        ),
        ("AWS_GREENGRASS_LAMBDA_FUNCTION_HANDLER", Some(""), "is missing"),
        ("AWS_GREENGRASS_LAMBDA_ARTIFACT_PATH", Some("/a/other"), "other.zip; add it"),
    ] {
        let faults = with_variable(name, value).unwrap_err();
        assert_eq!(faults.faults.len(), 1);
        assert!(faults.to_string().contains(says), "{faults}");
    }
    assert!(with_variable("AWS_GREENGRASS_LAMBDA_ARTIFACT_PATH", None).is_ok());
    let local =
        with_variable("AWS_GREENGRASS_LAMBDA_ARN", Some("arn:aws:lambda:::function:a")).unwrap();
    assert_eq!(
        (local.arn.as_deref(), local.version.as_str()),
        (Some("arn:aws:lambda:::function:a"), "1.0.0")
    );
}

#[test]
fn runtimes_are_named_as_lambda_names_them() {
    for name in
        ["python3.8", "python3.14", "nodejs8.x", "nodejs22.x", "provided", "provided.al2023"]
    {
        assert_eq!(name.parse::<Runtime>().unwrap().to_string(), name);
    }
    assert_eq!("nodejs8.10".parse::<Runtime>().unwrap().to_string(), "nodejs8.x");
}

fn implied(recipe: &Recipe, there: &[&str]) -> Vec<(String, DependencyKind)> {
    let all = dependencies(recipe, |name| there.contains(&name.as_str()));
    let implied = all.iter().filter(|(name, _)| !recipe.dependencies.contains_key(*name));
    implied.map(|(name, dependency)| (name.to_string(), dependency.kind)).collect()
}

#[test]
fn a_function_depends_on_the_nearest_runtime_that_is_there() {
    let recipe = recipe(PUBLISHED);
    let soft = |name: &str| vec![(name.to_owned(), DependencyKind::Soft)];
    let (old, exact, new) = (
        "io.hedgerow.runtime.python3.7",
        "io.hedgerow.runtime.python3.8",
        "io.hedgerow.runtime.python3.9",
    );
    assert_eq!(implied(&recipe, &[old, exact, new]), soft(exact));
    assert_eq!(implied(&recipe, &[old, new]), soft(new));
    let far = "io.hedgerow.runtime.python3.13";
    assert_eq!(implied(&recipe, &[old, far]), soft(old));
    assert_eq!(implied(&recipe, &[far, "io.hedgerow.runtime.nodejs8.x"]), soft(far));
    assert_eq!(implied(&recipe, &["io.hedgerow.runtime.nodejs8.x"]), []);
}

#[test]
fn layers_are_hard_dependencies_and_other_components_have_none_of_this() {
    let mut recipe = recipe(PUBLISHED);
    recipe
        .default_configuration
        .insert("hedgerow".into(), json!({"layers": ["com.example.Numpy"]}));
    assert_eq!(implied(&recipe, &[]), [("com.example.Numpy".to_owned(), DependencyKind::Hard)]);
    recipe.kind = crate::recipe::ComponentType::Generic;
    assert_eq!(implied(&recipe, &[]), []);
}
