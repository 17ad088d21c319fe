use super::*;
use proptest::prelude::*;
use serde_json::json;

fn component(name: &str) -> Principal {
    Principal::Component(name.into())
}

#[test]
fn patterns() {
    use Style::{Mqtt, Standard};
    let table = [
        // (style, pattern, matches, does not)
        (Standard, "a/b", &["a/b"][..], &["a", "a/b/c", "A/b", ""][..]),
        (Standard, "*", &["", "a", "a/b", "*"], &[]),
        (Standard, "a/*", &["a/", "a/b", "a/b/c"], &["a", "b/a/"]),
        (Standard, "*/x/*", &["a/x/b", "/x/", "a/x/x/"], &["x", "a/x"]),
        (Standard, "a*b*c", &["abc", "aXbYc", "abbcbc"], &["ab", "acb", "abcX"]),
        (Standard, "a/+", &["a/+"], &["a/b"]),
        (Standard, "a/#", &["a/#"], &["a/b", "a"]),
        (Standard, "${*}", &["*"], &["a"]),
        (Standard, "${$}{x}${?}", &["${x}?"], &["x"]),
        (Standard, "$aws/*", &["$aws/things"], &["aws/things"]),
        (Standard, "ü*ß", &["üß", "ü日本ß"], &["ü"]),
        (Mqtt, "a/+", &["a/b", "a/", "a/+"], &["a/b/c", "a"]),
        (Mqtt, "a/+/c", &["a/b/c", "a//c"], &["a/b/b/c"]),
        (Mqtt, "+/b", &["a/b"], &["a/a/b"]),
        (Mqtt, "a+/b", &["a+/b"], &["ax/b"]),
        (Mqtt, "a/#", &["a", "a/", "a/b/c"], &["ab", "b/a"]),
        (Mqtt, "#", &["", "a/b"], &[]),
        (Mqtt, "a#", &["a#"], &["a"]),
        (Mqtt, "a*/+/#", &["ab/c", "ab/c/d", "a/b/c/d"], &["ab"]),
    ];
    for (style, pattern, yes, no) in table {
        let compiled = Pattern::parse(pattern, style).unwrap();
        for resource in yes {
            assert!(compiled.matches(resource), "{style:?} {pattern} must match {resource}");
        }
        for resource in no {
            assert!(!compiled.matches(resource), "{style:?} {pattern} must not match {resource}");
        }
    }
}

#[test]
fn what_is_no_pattern() {
    use MalformedPattern::{BareQuestionMark, Empty, UnknownEscape};
    let table =
        [("", Empty), ("a?", BareQuestionMark), ("${x}", UnknownEscape), ("a${", UnknownEscape)];
    for (pattern, error) in table {
        assert_eq!(Pattern::parse(pattern, Style::Standard), Err(error), "{pattern}");
    }
}

/// What `*`, and `+` as a level, mean, written to be evident.
fn oracle(pattern: &str, text: &str) -> bool {
    fn matches(pattern: &[char], text: &[char], level_start: bool) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['*', rest @ ..] => (0..=text.len()).any(|skip| matches(rest, &text[skip..], false)),
            ['+', rest @ ..] if level_start && matches!(rest, [] | ['/', ..]) => {
                let end = text.iter().position(|c| *c == '/').unwrap_or(text.len());
                matches(rest, &text[end..], false)
            }
            [first, rest @ ..] => {
                text.first() == Some(first) && matches(rest, &text[1..], *first == '/')
            }
        }
    }
    let chars = |text: &str| text.chars().collect::<Vec<_>>();
    matches(&chars(pattern), &chars(text), true)
}

proptest! {
    #[test]
    fn matching_is_what_it_means(pattern in "[ab/*+]{1,8}", text in "[ab/+]{0,10}") {
        let compiled = Pattern::parse(&pattern, Style::Mqtt).unwrap();
        prop_assert_eq!(compiled.matches(&text), oracle(&pattern, &text), "{} {}", pattern, text);
    }

    #[test]
    fn foreign_policies_never_panic(text in ".{0,20}", other in ".{0,20}") {
        if let Ok(pattern) = Pattern::parse(&text, Style::Mqtt) {
            pattern.matches(&other);
        }
    }
}

#[test]
fn a_component_may_do_what_its_policies_say() {
    let mut authorizer = Authorizer::default();
    let problems = authorizer.set(
        "a.b",
        &json!({
            "aws.greengrass.ipc.pubsub": {
                "publish": { "policyDescription": "d",
                    "operations": ["aws.greengrass#PublishToTopic"], "resources": ["x/*"] },
                "all": { "operations": ["*"], "resources": ["both"] },
            },
            "aws.greengrass.Cli": {
                "list": { "operations": ["aws.greengrass#ListComponents"], "resources": ["*"] },
            },
        }),
    );
    assert_eq!(problems, []);
    let ask = |who: &Principal, operation, resource| {
        authorizer.authorize(who, operation, resource).is_ok()
    };
    let own = component("a.b");
    assert!(ask(&own, Operation::PublishToTopic, "x/y"));
    assert!(ask(&own, Operation::PublishToTopic, "both"));
    assert!(ask(&own, Operation::SubscribeToTopic, "both"));
    assert!(ask(&own, Operation::ListComponents, "*"));
    assert!(ask(&own, Operation::UpdateState, "*"));
    assert!(!ask(&own, Operation::SubscribeToTopic, "x/y"));
    assert!(!ask(&own, Operation::GetComponentDetails, "a.b"));
    assert!(!ask(&own, Operation::GetConfiguration, "other"));
    assert!(!ask(&own, Operation::ValidateAuthorizationToken, "*"), "nobody is granted this");
    assert!(!ask(&component("other"), Operation::PublishToTopic, "x/y"));
    assert!(!ask(&Principal::Cloud, Operation::PublishToTopic, "x/y"));
    assert!(!ask(&Principal::LocalDevice("d".into()), Operation::UpdateState, "*"));
    assert!(ask(&Principal::HostUser(0), Operation::PublishToTopic, "x/y"));
    authorizer.remove("a.b");
    assert!(authorizer.authorize(&own, Operation::PublishToTopic, "x/y").is_err());
    assert!(authorizer.authorize(&own, Operation::UpdateConfiguration, "*").is_ok());
}

#[test]
fn a_function_is_invoked_by_its_name() {
    let mut authorizer = Authorizer::default();
    let policy = |operation: &str, resource: &str| {
        let policy = json!({ "operations": [operation], "resources": [resource] });
        json!({ "hedgerow.function": { "invoke": policy } })
    };
    let table = [
        ("hedgerow#InvokeFunction", "f", "f", true),
        ("hedgerow#InvokeFunction", "f", "f2", false),
        ("hedgerow#InvokeFunction", "com.*", "com.f", true),
        ("*", "*", "f", true),
    ];
    for (operation, resource, function, is_allowed) in table {
        assert_eq!(authorizer.set("a.b", &policy(operation, resource)), []);
        let permit = authorizer.authorize(&component("a.b"), Action::InvokeFunction, function);
        assert_eq!(permit.is_ok(), is_allowed, "{operation} on {resource}: {function}");
    }
    assert_eq!(authorizer.set("a.b", &policy("aws.greengrass#PublishToTopic", "f")).len(), 1);
    let everything = json!({ "aws.greengrass.ipc.pubsub": { "all": {
        "operations": ["*"], "resources": ["*"] } } });
    authorizer.set("a.b", &everything);
    let denied = authorizer.authorize(&component("a.b"), Action::InvokeFunction, "f").unwrap_err();
    assert_eq!(
        denied.to_string(),
        "component \"a.b\" has no accessControl rule for hedgerow.function that allows \
         hedgerow#InvokeFunction on \"f\""
    );
}

#[test]
fn a_denial_names_the_missing_rule() {
    let authorizer = Authorizer::default();
    let denied =
        authorizer.authorize(&component("a.b"), Operation::PublishToTopic, "x/y").unwrap_err();
    assert_eq!(
        denied.to_string(),
        "component \"a.b\" has no accessControl rule for aws.greengrass.ipc.pubsub that allows \
         aws.greengrass#PublishToTopic on \"x/y\""
    );
}

#[test]
fn problems_have_their_place_and_the_rest_applies() {
    let mut authorizer = Authorizer::default();
    let problems = authorizer.set(
        "a.b",
        &json!({
            "aws.greengrass.ipc.pubsub": {
                "bad/op": { "operations": ["*", "aws.greengrass#GetSecretValue"],
                    "resources": ["secret"] },
                "bad resource": { "operations": ["*"], "resources": ["a?", 7, "good"] },
                "none": { "operations": ["*"] , "resources": [] },
                "": { "operations": ["*"], "resources": ["*"] },
                "text": "all",
                "one": { "operations": "*", "resources": ["*"] },
            },
            "aws.greengrass.Unknown": {},
        }),
    );
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let expected = [
        "accessControl/aws.greengrass.ipc.pubsub/bad~1op/operations/1: aws.greengrass.ipc.pubsub \
         has no operation \"aws.greengrass#GetSecretValue\"; the policy is left out",
        "accessControl/aws.greengrass.ipc.pubsub/bad resource/resources/0: `?` is reserved; write \
         `${?}` for the character",
        "accessControl/aws.greengrass.ipc.pubsub/bad resource/resources/1: a resource must not be \
         empty",
        "accessControl/aws.greengrass.ipc.pubsub/none: there are no resources, so the policy \
         allows nothing",
        "accessControl/aws.greengrass.ipc.pubsub/: a policy's id must not be empty",
        "accessControl/aws.greengrass.ipc.pubsub/text: expected a policy",
        "accessControl/aws.greengrass.ipc.pubsub/one/operations: expected a list of strings",
        "accessControl/aws.greengrass.Unknown: no service of this name takes policies",
    ];
    assert_eq!(texts, expected);
    let who = component("a.b");
    assert!(authorizer.authorize(&who, Operation::PublishToTopic, "good").is_ok());
    assert!(authorizer.authorize(&who, Operation::PublishToTopic, "secret").is_err());
    assert_eq!(authorizer.set("a.b", &serde_json::Value::Null), []);
    assert_eq!(authorizer.set("a.b", &json!([])).len(), 1);
}

#[test]
fn what_a_deployment_allows_is_exactly_that() {
    let mut authorizer = Authorizer::default();
    let (who, other) = (component("a.b"), component("a"));
    let allowed = vec![
        (Operation::SubscribeToTopic, "in/#".to_owned()),
        (Operation::PublishToTopic, "dead/*".to_owned()),
    ];
    authorizer.set_deployed("a.b", allowed);
    authorizer.set("a.b", &serde_json::Value::Null);
    let table = [
        (&who, Operation::SubscribeToTopic, "in/#", true),
        (&who, Operation::PublishToTopic, "dead/*", true),
        (&who, Operation::PublishToTopic, "dead/a", false),
        (&who, Operation::PublishToTopic, "in/#", false),
        (&who, Operation::SubscribeToTopic, "in/a", false),
        (&other, Operation::SubscribeToTopic, "in/#", false),
    ];
    for (who, operation, resource, is_allowed) in table {
        let permit = authorizer.authorize(who, operation, resource);
        assert_eq!(permit.is_ok(), is_allowed, "{who} {operation:?} {resource}");
    }
    authorizer.remove("a.b");
    assert!(authorizer.authorize(&who, Operation::SubscribeToTopic, "in/#").is_err());
}
