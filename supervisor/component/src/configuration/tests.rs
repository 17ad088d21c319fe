use super::*;
use proptest::prelude::*;
use serde_json::json;

fn name() -> ComponentName {
    "com.example.A".parse().unwrap()
}

fn deployment() -> Origin {
    Origin::Deployment { id: "d1".to_owned() }
}

fn version() -> Version {
    "1.0.0".parse().unwrap()
}

/// A configuration with `value` merged at the time 100.
fn of(value: Value) -> Configuration {
    let mut configuration = Configuration::new(name());
    merge(&mut configuration, value, 100);
    configuration
}

fn merge(configuration: &mut Configuration, value: Value, timestamp: i64) {
    configuration.merge(&[] as &[&str], &value, timestamp, &deployment()).unwrap();
}

fn fill(configuration: &mut Configuration, defaults: Value) {
    configuration.fill(defaults.as_object().unwrap(), &version());
}

#[test]
fn merging_follows_greengrass() {
    // Before, merged, at, after. Everything before has the time 100.
    let cases = [
        (json!({"a": 1}), json!({"b": 2}), 100, json!({"a": 1, "b": 2})),
        (json!({"a": 1}), json!({"a": 2}), 101, json!({"a": 2})),
        (json!({"a": 1}), json!({"a": 2}), 100, json!({"a": 2})),
        (json!({"a": 1}), json!({"a": 2}), 99, json!({"a": 1})),
        (json!({"a": [1, 2]}), json!({"a": [3]}), 100, json!({"a": [3]})),
        (json!({"a": {"b": 1}}), json!({"a": {"c": 2}}), 100, json!({"a": {"b": 1, "c": 2}})),
        (json!({"a": 1}), json!({"a": {"b": 2}}), 100, json!({"a": {"b": 2}})),
        (json!({"a": 1}), json!({"a": {"b": 2}}), 99, json!({"a": 1})),
        (json!({"a": {"b": 1, "c": 2}}), json!({"a": 3}), 100, json!({"a": 3})),
        (json!({"a": {"b": 1, "c": 2}}), json!({"a": 3}), 99, json!({"a": {"b": 1, "c": 2}})),
        (json!({"a": {"b": 1}}), json!({"a": {}}), 100, json!({"a": {"b": 1}})),
        (json!({"a": 1}), json!({"a": {}}), 100, json!({"a": {}})),
        (json!({"a": {}}), json!({"a": {"b": 1}}), 1, json!({"a": {"b": 1}})),
        (json!({"a": 1}), json!({"a": null}), 100, json!({"a": null})),
        (json!({"Key": {"In": 1}}), json!({"kEY": {"iN": 2}}), 100, json!({"Key": {"In": 2}})),
        (
            json!({"Key": {"in": 1}}),
            json!({"KEY": {"new": 2}}),
            100,
            json!({"Key": {"in": 1, "new": 2}}),
        ),
        (json!({"Key": {"in": 1}}), json!({"KEY": 2}), 100, json!({"Key": 2})),
        (json!({"a": 1}), json!({}), 100, json!({"a": 1})),
    ];
    for (before, merged, at, after) in cases {
        let mut configuration = of(before.clone());
        merge(&mut configuration, merged.clone(), at);
        assert_eq!(configuration.value(), after, "{before} + {merged} at {at}");
    }
}

#[test]
fn an_equal_value_keeps_its_time_and_origin() {
    let mut configuration = of(json!({"a": {"b": [1]}}));
    let before = configuration.clone();
    configuration.merge(&["a"], &json!({"b": [1]}), 500, &Origin::Component).unwrap();
    assert!(configuration.changes_since(&before).is_empty());
}

#[test]
fn what_is_reset_and_comes_to_the_same_again_has_not_changed() {
    let before = of(json!({"same": 1, "other": 1, "gone": 1}));
    let mut after = before.clone();
    after.reset("").unwrap();
    merge(&mut after, json!({"same": 1, "other": 2}), 200);
    after.keep_equal(&before);
    let changes = after.changes_since(&before);
    assert_eq!(changes.paths(), [["other"], ["gone"]]);
    assert_eq!(changes.written[0].timestamp, 200);
}

#[test]
fn a_value_can_be_merged_at_a_path_but_not_in_place_of_all() {
    let mut configuration = of(json!({"a": {"b": 1}}));
    configuration.merge(&["A", "c", "d"], &json!("x"), 100, &Origin::Component).unwrap();
    assert_eq!(configuration.value(), json!({"a": {"b": 1, "c": {"d": "x"}}}));
    let refused = configuration.merge(&[] as &[&str], &json!(1), 100, &Origin::Component);
    assert_eq!(refused, Err(NotAMap));
}

#[test]
fn defaults_only_fill_gaps() {
    let mut configuration = of(json!({"a": 1, "list": [1], "m": {"x": 1}, "s": 1, "e": {}}));
    fill(
        &mut configuration,
        json!({"a": 9, "list": [9], "m": {"x": 9, "y": 2}, "s": {"t": 9}, "e": {"f": 3}, "n": 4, "M": 5, "z": {}}),
    );
    let expected =
        json!({"a": 1, "list": [1], "m": {"x": 1, "y": 2}, "s": 1, "e": {"f": 3}, "n": 4, "z": {}});
    assert_eq!(configuration.value(), expected);
    let filled = configuration.leaves().find(|leaf| leaf.path == ["n"]).unwrap();
    assert_eq!(filled.timestamp, DEFAULT_TIMESTAMP);
    assert_eq!(filled.origin, Origin::Default { version: version() });
    // The next version's other default leaves the first in place.
    fill(&mut configuration, json!({"n": 40}));
    assert_eq!(configuration.get(&["n"]), Some(json!(4)));
}

#[test]
fn pointers_reset_what_they_point_to() {
    let all = json!({"a": {"b": 1, "c": [1, 2]}, "x/y": {"~": 1}, "s": 1});
    for (pointer, after) in [
        ("", json!({})),
        ("/a", json!({"x/y": {"~": 1}, "s": 1})),
        ("/a/b", json!({"a": {"c": [1, 2]}, "x/y": {"~": 1}, "s": 1})),
        ("/A/B", json!({"a": {"c": [1, 2]}, "x/y": {"~": 1}, "s": 1})),
        ("/a/c", json!({"a": {"b": 1}, "x/y": {"~": 1}, "s": 1})),
        ("/x~1y/~0", json!({"a": {"b": 1, "c": [1, 2]}, "x/y": {}, "s": 1})),
        ("/none", all.clone()),
        ("/s/t", all.clone()),
        ("/", all.clone()),
    ] {
        let mut configuration = of(all.clone());
        configuration.reset(pointer).unwrap();
        assert_eq!(configuration.value(), after, "{pointer}");
    }
    let mut configuration = of(all.clone());
    assert_eq!(configuration.reset("/a/c/0"), Err(ResetRefused::IntoList("/a/c/0".into())));
    assert_eq!(configuration.reset("a"), Err(ResetRefused::NotAPointer("a".into())));
    assert_eq!(configuration.value(), all);
}

#[test]
fn a_reset_value_takes_the_new_default() {
    let mut configuration = Configuration::new(name());
    fill(&mut configuration, json!({"a": {"b": 1}}));
    configuration.reset("/a/b").unwrap();
    fill(&mut configuration, json!({"a": {"b": 2}}));
    assert_eq!(configuration.value(), json!({"a": {"b": 2}}));
}

#[test]
fn paths_are_looked_up_in_any_case() {
    let configuration = of(json!({"Limits": {"High": 30, "e": {}}, "list": [{"a": 1}]}));
    assert_eq!(configuration.get(&["limits", "HIGH"]), Some(json!(30)));
    assert_eq!(configuration.get(&["LIMITS"]), Some(json!({"High": 30, "e": {}})));
    assert_eq!(configuration.get(&["limits", "e"]), Some(json!({})));
    assert_eq!(configuration.get(&[] as &[&str]), Some(configuration.value()));
    for missing in [&["limit"][..], &["limits", "high", "x"], &["list", "0"], &["limits", "e", "x"]]
    {
        assert_eq!(configuration.get(missing), None, "{missing:?}");
    }
}

#[test]
fn only_what_changed_is_to_be_stored() {
    let before = of(json!({"a": 1, "b": {"c": 2, "d": 3}}));
    let mut after = before.clone();
    merge(&mut after, json!({"a": 5, "b": 6}), 200);
    let changes = after.changes_since(&before);
    let paths = |leaves: &[Leaf]| leaves.iter().map(|leaf| leaf.path.join("/")).collect::<Vec<_>>();
    assert_eq!(paths(&changes.written), ["a", "b"]);
    assert_eq!(paths(&changes.removed), ["b/c", "b/d"]);
    // What a subscriber is told: the value that came in the place of the map, not what was in it.
    assert_eq!(changes.paths(), [["a"], ["b"]]);
    assert_eq!(before.changes_since(&after).paths(), [vec!["a"], vec!["b", "c"], vec!["b", "d"]]);
    after.reset("/a").unwrap();
    assert_eq!(after.changes_since(&before).paths(), [["b"], ["a"]]);
    assert!(after.changes_since(&after).is_empty());
}

#[test]
fn a_leaf_is_a_row_of_json() {
    let mut configuration = Configuration::new(name());
    fill(&mut configuration, json!({"Key": [1]}));
    let leaf = configuration.leaves().next().unwrap();
    assert_eq!(leaf.key(), "[\"key\"]");
    let row = serde_json::to_value(leaf).unwrap();
    assert_eq!(
        row,
        json!({"component": "com.example.A", "path": ["Key"], "value": [1], "timestamp": 1,
               "origin": {"default": {"version": "1.0.0"}}})
    );
    assert_eq!(&serde_json::from_value::<Leaf>(row).unwrap(), leaf);
}

#[test]
fn rows_that_no_tree_can_hold_lose() {
    let leaf = |path: &[&str], component: &str| Leaf {
        component: component.parse().unwrap(),
        path: path.iter().map(ToString::to_string).collect(),
        value: json!(1),
        timestamp: 1,
        origin: Origin::Component,
    };
    let own = "com.example.A";
    let rows = [
        leaf(&["a"], own),
        leaf(&["A"], own),
        leaf(&["a", "b"], own),
        leaf(&["c", "d"], own),
        leaf(&["c"], own),
        leaf(&[], own),
        leaf(&["e"], "other"),
    ];
    let configuration = Configuration::from_leaves(name(), rows);
    assert_eq!(configuration.value(), json!({"a": 1, "c": {"d": 1}}));
}

/// Trees with few keys, so that paths meet, in two cases.
fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        (0..3i64).prop_map(Value::from),
        Just(Value::Null),
        Just(json!([])),
        Just(json!([{"k": 1}])),
        Just(json!({})),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop::collection::btree_map("[abA]", inner, 0..3)
            .prop_map(|map| Value::Object(map.into_iter().collect()))
    })
}

fn map() -> impl Strategy<Value = Value> {
    prop::collection::btree_map("[abA]", tree(), 0..3)
        .prop_map(|map| Value::Object(map.into_iter().collect()))
}

fn lower() -> impl Strategy<Value = Value> {
    prop::collection::btree_map("[abc]", any::<u8>().prop_map(Value::from), 0..4)
        .prop_map(|map| Value::Object(map.into_iter().collect()))
}

proptest! {
    #[test]
    fn whatever_happens_the_rows_are_the_tree(
        acts in prop::collection::vec((0..3u8, map(), 0..5i64, "(/[abA]){0,3}"), 1..8)
    ) {
        let mut configuration = Configuration::new(name());
        let mut rows: BTreeMap<String, Leaf> = BTreeMap::new();
        for (act, value, timestamp, pointer) in acts {
            let before = configuration.clone();
            match act {
                0 => merge(&mut configuration, value, timestamp),
                1 => fill(&mut configuration, value),
                _ => { let _ = configuration.reset(&pointer); }
            }
            let changes = configuration.changes_since(&before);
            for leaf in changes.removed {
                prop_assert!(rows.remove(&leaf.key()).is_some());
            }
            for leaf in changes.written {
                rows.insert(leaf.key(), leaf);
            }
            let reread = Configuration::from_leaves(name(), rows.values().cloned());
            prop_assert_eq!(&reread, &configuration);
            prop_assert_eq!(reread.value(), configuration.value());
            for leaf in configuration.leaves() {
                prop_assert_eq!(configuration.get(&leaf.path), Some(leaf.value.clone()));
            }
        }
    }

    #[test]
    fn merging_again_changes_nothing(first in map(), second in map()) {
        let mut configuration = of(first);
        merge(&mut configuration, second.clone(), 100);
        // Keys that differ only in case overwrite each other within one merge.
        prop_assume!(!second.to_string().contains('A'));
        let before = configuration.clone();
        merge(&mut configuration, second, 100);
        prop_assert!(configuration.changes_since(&before).is_empty());
    }

    #[test]
    fn the_newer_write_wins_in_whatever_order_they_come(old in lower(), new in lower()) {
        let mut forth = Configuration::new(name());
        merge(&mut forth, old.clone(), 1);
        merge(&mut forth, new.clone(), 2);
        let mut back = Configuration::new(name());
        merge(&mut back, new, 2);
        merge(&mut back, old, 1);
        prop_assert_eq!(forth.value(), back.value());
    }
}
