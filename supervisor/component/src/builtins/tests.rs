use super::*;

fn version(name: &str, ranges: &[&str]) -> Option<String> {
    let ranges: Vec<VersionReq> = ranges.iter().map(|range| range.parse().unwrap()).collect();
    let ranges: Vec<&VersionReq> = ranges.iter().collect();
    Builtin::named(name).unwrap().version_in(&ranges).map(|v| v.to_string())
}

#[test]
fn names_are_sound_and_in_order_and_configurations_are_maps() {
    for builtin in all() {
        assert!(builtin.name.parse::<crate::ComponentName>().is_ok(), "{}", builtin.name);
        assert!(
            serde_json::from_str::<Map<String, Value>>(builtin.configuration).is_ok(),
            "{}",
            builtin.name
        );
        assert!(!builtin.versions().is_empty() && builtin.versions().is_sorted_by(|a, b| a > b));
    }
    assert!(all().is_sorted_by_key(|builtin| builtin.name));
    assert_eq!(Builtin::named("com.example.Other").map(|b| b.name), None);
}

#[test]
fn the_ranges_that_authors_write_are_satisfied() {
    let (nucleus, tes) = ("aws.greengrass.Nucleus", "aws.greengrass.TokenExchangeService");
    for (name, ranges, expected) in [
        (nucleus, vec![">=2.0.0"], "2.18.0"),
        (nucleus, vec![">=0.0.0"], "2.18.0"),
        (nucleus, vec!["*"], "2.18.0"),
        (nucleus, vec!["~2.0.0"], "2.0.5"),
        (nucleus, vec![">=2.5.0 <3.0.0"], "2.18.0"),
        (nucleus, vec![">=2.0.3 <2.1.0"], "2.0.5"),
        (nucleus, vec!["2.5.3"], "2.5.3"),
        (nucleus, vec!["=2.13.0", "^2.1.0"], "2.13.0"),
        (nucleus, vec!["~2.9.0", "<=2.9.4"], "2.9.4"),
        (nucleus, vec!["2.x"], "2.18.0"),
        (nucleus, vec!["^2.4.0 || ^3.0.0"], "2.18.0"),
        (tes, vec!["^2.0.0"], "2.0.3"),
        (tes, vec![">=2.0.0 <2.1.0"], "2.0.3"),
        ("aws.greengrass.StreamManager", vec!["^2.1.0"], "2.3.0"),
        ("aws.greengrass.StreamManager", vec![">= 2.0.9"], "2.3.0"),
        ("aws.greengrass.SecretManager", vec![">0.0.0 <3.0.0"], "2.2.6"),
        ("aws.greengrass.SystemLogForwarder", vec!["^2.0.0"], "2.1.0"),
        ("aws.greengrass.DiskSpooler", vec![">=1.0.0"], "1.0.5"),
        ("aws.greengrass.clientdevices.mqtt.EMQX", vec!["^1.0.0"], "1.2.3"),
    ] {
        assert_eq!(version(name, &ranges).as_deref(), Some(expected), "{name} {ranges:?}");
    }
    for ranges in [vec!["^3.0.0"], vec!["1.9.0"], vec!["~2.1.0", "~2.2.0"], vec!["2.99.0"]] {
        assert_eq!(version(nucleus, &ranges), None, "{ranges:?}");
    }
}
