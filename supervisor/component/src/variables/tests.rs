use super::*;
use proptest::prelude::*;
use serde_json::json;

fn interpolate(text: &str) -> Interpolated {
    let own = json!({"port": 80, "ratio": 1.5, "on": true, "none": null, "text": "{work:path}",
                     "map": {"b": [1, "x"], "a": {}}, "list": [10, 20], "a/b": "slash"});
    let other = json!({"key": "value"});
    let values = |configuration, name: &str| Values {
        configuration,
        artifacts_path: format!("/gg/artifacts/{name}").into(),
        artifacts_decompressed_path: format!("/gg/unarchived/{name}").into(),
        work_path: format!("/gg/work/{name}").into(),
    };
    let scope = Scope {
        own: values(&own, "own"),
        dependencies: BTreeMap::from([("com.dep", values(&other, "dep"))]),
        root_path: "/gg",
        thing_name: None,
    };
    scope.interpolate(text)
}

#[test]
fn variables_have_their_values() {
    for (text, expected) in [
        ("run {configuration:/port}", "run 80"),
        ("{configuration:/ratio} {configuration:/on}", "1.5 true"),
        ("{configuration:/none}", "null"),
        ("{configuration:/PORT}{configuration:/Map/B/1}", "80x"),
        ("{configuration:/map}", r#"{"a":{},"b":[1,"x"]}"#),
        ("{configuration:/list/1}", "20"),
        ("{configuration:/a~1b}", "slash"),
        ("{artifacts:path}/x", "/gg/artifacts/own/x"),
        ("{artifacts:decompressedPath}", "/gg/unarchived/own"),
        ("{work:path} {kernel:rootPath}", "/gg/work/own /gg"),
        ("{com.dep:configuration:/key}", "value"),
        ("{com.dep:artifacts:path}", "/gg/artifacts/dep"),
        // What a value brings in is not looked at again.
        ("{configuration:/text}", "{work:path}"),
        ("${configuration:/port}{work:path}", "$80/gg/work/own"),
    ] {
        let found = interpolate(text);
        assert_eq!(found.text, expected, "{text}");
        assert_eq!(found.unresolved, [] as [&str; 0], "{text}");
    }
}

#[test]
fn what_has_no_value_stays_and_is_named() {
    for text in [
        "{configuration:/missing}",
        "{configuration:port}",
        "{com.other:configuration:/key}",
        "{com.dep:configuration:/port}",
        "{iot:thingName}",
        "{artifacts:paths}",
    ] {
        let found = interpolate(&format!("a {text} b"));
        assert_eq!(found.text, format!("a {text} b"));
        assert_eq!(found.unresolved, [text]);
    }
}

#[test]
fn a_shells_own_braces_are_left_alone() {
    for text in
        ["${HOME:-/root}", "{a:b}", "f() { echo a:b; }", "awk '{print $1}'", "{\"a\":1}", "{::}"]
    {
        let found = interpolate(text);
        assert_eq!((found.text.as_str(), found.unresolved.len()), (text, 0));
    }
}

#[test]
fn in_configuration_the_devices_own_values_are_filled_in() {
    let configuration = json!({"port": 80});
    let values = Values {
        configuration: &configuration,
        artifacts_path: "/a".into(),
        artifacts_decompressed_path: "/d".into(),
        work_path: "/w".into(),
    };
    let dependencies = BTreeMap::new();
    let scope = Scope { own: values, dependencies, root_path: "/gg", thing_name: Some("north") };
    let written = json!({
        "resources": ["$aws/things/{iot:thingName}/shadow", "{work:path}", "{configuration:/port}"],
        "on": true, "{iot:thingName}": null,
    });
    assert_eq!(
        scope.interpolate_configuration(&written),
        json!({
            "resources": ["$aws/things/north/shadow", "/w", "{configuration:/port}"],
            "on": true, "{iot:thingName}": null,
        })
    );
}

proptest! {
    #[test]
    fn text_without_braces_is_unchanged(text in "[^{}]*") {
        prop_assert_eq!(interpolate(&text).text, text);
    }

    #[test]
    fn no_text_makes_it_panic(text in r"([{}:/.\w-]|configuration|work|path|com\.dep){0,30}") {
        interpolate(&text);
    }
}
