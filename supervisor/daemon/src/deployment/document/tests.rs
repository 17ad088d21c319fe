use serde_json::json;

use super::*;

fn name(text: &str) -> ComponentName {
    ComponentName::try_from(text.to_owned()).expect("a name")
}

#[test]
fn a_device_document_is_read_whole() {
    let text = json!({
        "deploymentId": "11111111-2222-3333-4444-555555555555",
        "deploymentName": "tuesday",
        "configurationArn": "arn:aws:greengrass:eu-west-1:1:configuration:thinggroup/line:a:7",
        "creationTimestamp": 1_700_000_000_000_i64,
        "requiredCapabilities": ["LARGE_CONFIGURATION", "TELEPORT"],
        "components": {"a.B": {
            "version": "1.0.0",
            "configurationUpdate": {"merge": {"x": 1}, "reset": ["/y"]},
            "runWith": {"posixUser": "u:g", "systemResourceLimits": {"memory": 1024, "cpus": 1.5}}
        }},
        "failureHandlingPolicy": "DO_NOTHING",
        "componentUpdatePolicy": {"timeout": 5, "action": "SKIP_NOTIFY_COMPONENTS"},
        "configurationValidationPolicy": {},
        "something": "new"
    });
    let document = Document::parse(&text.to_string()).expect("valid");
    assert_eq!(document.group, Group::ThingGroup("line:a".into()));
    assert_eq!(document.created, 1_700_000_000_000);
    assert_eq!(document.named()[&name("a.B")].as_str(), "1.0.0");
    let update = &document.configuration[&name("a.B")];
    assert_eq!((json!(update.merge), &update.reset), (json!({"x": 1}), &vec!["/y".to_owned()]));
    let run_with = &document.run_with[&name("a.B")];
    assert_eq!((run_with.memory, run_with.cpus), (Some(1024), Some(1.5)));
    assert_eq!(document.failure_policy, FailurePolicy::DoNothing);
    let policy = UpdatePolicy { action: UpdateAction::SkipNotify, timeout: Duration::from_secs(5) };
    assert_eq!(document.update_policy, policy);
    assert_eq!(document.validation_timeout, Duration::from_secs(60));
    assert_eq!(document.missing_capabilities(), ["TELEPORT"]);
}

#[test]
fn a_control_plane_document_is_read_alike() {
    let text = json!({
        "targetArn": "arn:aws:iot:eu-west-1:1:thing/gate",
        "components": {"a.B": {"componentVersion": "^2.0.0", "configurationUpdate": {"merge": "{\"x\":{\"y\":[1]}}"}}},
        "deploymentPolicies": {
            "failureHandlingPolicy": "DO_NOTHING",
            "componentUpdatePolicy": {"timeoutInSeconds": 9, "action": "NOTIFY_COMPONENTS"},
            "configurationValidationPolicy": {"timeoutInSeconds": 3}
        }
    });
    let document = Document::parse(&text.to_string()).expect("valid");
    assert_eq!(document.group, Group::Thing("gate".into()));
    assert_eq!(json!(document.configuration[&name("a.B")].merge), json!({"x": {"y": [1]}}));
    assert_eq!(document.update_policy.timeout, Duration::from_secs(9));
    assert_eq!(document.validation_timeout, Duration::from_secs(3));
    assert_eq!(document.failure_policy, FailurePolicy::DoNothing);
}

#[test]
fn what_is_silent_has_greengrass_defaults() {
    let document = Document::parse("{}").expect("valid");
    assert_eq!(document.group, Group::Local);
    assert_eq!(document.change, Change::Complete { components: BTreeMap::new() });
    assert_eq!(document.failure_policy, FailurePolicy::Rollback);
    assert_eq!(document.update_policy, UpdatePolicy::default());
    assert_eq!(document.update_policy.timeout, Duration::from_secs(60));
    assert_eq!(document.validation_timeout, Duration::from_secs(20));
    assert_eq!(document.id.as_str().len(), 36);
    assert_ne!(document.id, Document::parse("{}").expect("valid").id);
}

#[test]
fn what_is_wrong_is_named() {
    for (text, word) in [
        ("[]", "JSON"),
        (r#"{"components":{"a":{}}}"#, "version"),
        (r#"{"components":{"a":{"version":"one"}}}"#, "one"),
        (r#"{"components":{"a/b":{"version":"1.0.0"}}}"#, "a/b"),
        (
            r#"{"components":{"a":{"version":"1.0.0","configurationUpdate":{"merge":[1]}}}}"#,
            "merge",
        ),
        (r#"{"configurationArn":"arn:aws:iot:x:1:cert/1"}"#, "cert/1"),
        (r#"{"configurationArn":"arn:x:configuration:cert/1:3"}"#, "cert/1"),
        (r#"{"deploymentId":"a b"}"#, "a b"),
        (r#"{"failureHandlingPolicy":"PANIC"}"#, "PANIC"),
    ] {
        let error = Document::parse(text).expect_err(text).to_string();
        assert!(error.contains(word), "{text}: {error}");
    }
}

#[test]
fn a_group_reads_as_it_is_written() {
    for text in ["LOCAL_DEPLOYMENTS", "thinggroup/a/b", "thing/x", "image"] {
        assert_eq!(text.parse::<Group>().expect("a group").to_string(), text);
    }
    for text in ["", "local", "thing/", "thinggroup", "thing/a\nb"] {
        text.parse::<Group>().expect_err(text);
    }
}
