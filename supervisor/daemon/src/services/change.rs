//! What `UpdateConfiguration` asks for, and whether it may be. Pure.

use hedgerow_component::{Configuration, Leaf, Origin};
use hedgerow_ipc::model::UpdateConfigurationRequest;
use serde_json::{Map, Value};

/// Keys on the way to the value. Beyond what any recipe nests, and little enough to walk.
const MAX_DEPTH: usize = 64;

/// Bytes that a configuration may grow to by its component's own writes: each value with its path, as it is stored.
const MAX_BYTES: usize = 1024 * 1024;

/// What only a deployment may say.
const ACCESS_CONTROL: &str = "accessControl";

/// A change of a component's own configuration.
#[derive(Debug)]
pub struct Change {
    /// A map: what to merge into the whole configuration.
    value: Value,
    /// Milliseconds since 1970.
    timestamp: i64,
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refused {
    #[error("accessControl is changed by deployments only")]
    AccessControl,
    #[error("the whole configuration is a map; a value needs a keyPath")]
    NotAMap,
    #[error("the timestamp {0} is not a time in seconds since 1970")]
    Timestamp(f64),
    #[error("a keyPath has at most {MAX_DEPTH} keys")]
    TooDeep,
    #[error("the configuration would have more than {MAX_BYTES} bytes")]
    TooLarge,
    #[error("{at} is {is}; an update cannot make it {wanted}")]
    Converts { at: String, is: &'static str, wanted: &'static str },
    #[error("{at} was changed at {newer} ms, after the update's timestamp {timestamp} ms")]
    TooOld { at: String, newer: i64, timestamp: i64 },
}

impl Change {
    pub fn of(request: UpdateConfigurationRequest) -> Result<Change, Refused> {
        let path = request.key_path.unwrap_or_default();
        if path.len() > MAX_DEPTH {
            return Err(Refused::TooDeep);
        }
        let mut value = request.value_to_merge;
        for key in path.into_iter().rev() {
            value = Value::Object(Map::from_iter([(key, value)]));
        }
        let Value::Object(map) = &value else { return Err(Refused::NotAMap) };
        if map.keys().any(|key| key.eq_ignore_ascii_case(ACCESS_CONTROL)) {
            return Err(Refused::AccessControl);
        }
        if weight(&value, 0) > MAX_BYTES {
            return Err(Refused::TooLarge);
        }
        let timestamp = milliseconds(request.timestamp.0)?;
        Ok(Change { value, timestamp })
    }

    /// All of it, or nothing where a part is refused.
    pub fn apply(&self, configuration: &mut Configuration) -> Result<(), Refused> {
        let mut path = Vec::new();
        check_kinds(&configuration.value(), &self.value, &mut path)?;
        let mut after = configuration.clone();
        let at_root: &[&str] = &[];
        after
            .merge(at_root, &self.value, self.timestamp, &Origin::Component)
            .map_err(|_| Refused::NotAMap)?;
        self.check_all_taken(&after, &self.value, &mut path)?;
        let bytes = |leaf: &Leaf| {
            leaf.path.iter().map(String::len).sum::<usize>() + text_length(&leaf.value)
        };
        if after.leaves().map(bytes).sum::<usize>() > MAX_BYTES {
            return Err(Refused::TooLarge);
        }
        *configuration = after;
        Ok(())
    }

    /// What is not there after the merge lost to a newer value.
    fn check_all_taken(
        &self,
        after: &Configuration,
        wanted: &Value,
        path: &mut Vec<String>,
    ) -> Result<(), Refused> {
        match wanted {
            Value::Object(map) => {
                for (key, value) in map {
                    path.push(key.clone());
                    self.check_all_taken(after, value, path)?;
                    path.pop();
                }
                Ok(())
            }
            wanted if after.get(path).as_ref() == Some(wanted) => Ok(()),
            _ => {
                let is_it = |leaf: &&Leaf| same_path(&leaf.path, path);
                let newer = after.leaves().find(is_it).map_or(i64::MAX, |leaf| leaf.timestamp);
                let (at, timestamp) = (pointer(path), self.timestamp);
                Err(Refused::TooOld { at, newer, timestamp })
            }
        }
    }
}

/// Bytes of all leaves, each with its path. A long path weighs as often as there are values below it.
fn weight(value: &Value, path: usize) -> usize {
    match value {
        Value::Object(map) if !map.is_empty() => map.iter().fold(0, |sum, (key, value)| {
            // Enough is known already.
            if sum > MAX_BYTES { sum } else { sum + weight(value, path + key.len()) }
        }),
        leaf => path + text_length(leaf),
    }
}

fn text_length(value: &Value) -> usize {
    value.to_string().len()
}

/// A JSON pointer (RFC 6901).
pub fn pointer(path: &[String]) -> String {
    path.iter().map(|key| format!("/{}", key.replace('~', "~0").replace('/', "~1"))).collect()
}

#[allow(clippy::cast_possible_truncation)]
fn milliseconds(seconds: f64) -> Result<i64, Refused> {
    // Up to the year 10000.
    if !(0.0..253_402_300_800.0).contains(&seconds) {
        return Err(Refused::Timestamp(seconds));
    }
    Ok((seconds * 1000.0).round() as i64)
}

/// Maps stay maps and values values, as Greengrass has it: only a deployment turns one into the other.
fn check_kinds(is: &Value, wanted: &Value, path: &mut Vec<String>) -> Result<(), Refused> {
    match (is, wanted) {
        (Value::Object(is), Value::Object(wanted)) => {
            for (key, value) in wanted {
                let lower = key.to_lowercase();
                let Some((_, is)) = is.iter().find(|(known, _)| known.to_lowercase() == lower)
                else {
                    continue;
                };
                path.push(key.clone());
                check_kinds(is, value, path)?;
                path.pop();
            }
            Ok(())
        }
        (Value::Object(_), _) => {
            Err(Refused::Converts { at: pointer(path), is: "a map", wanted: "a value" })
        }
        (_, Value::Object(_)) => {
            Err(Refused::Converts { at: pointer(path), is: "a value", wanted: "a map" })
        }
        _ => Ok(()),
    }
}

fn same_path(one: &[String], other: &[String]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|(a, b)| a.to_lowercase() == b.to_lowercase())
}

#[cfg(test)]
mod tests {
    use hedgerow_component::ComponentName;
    use hedgerow_ipc::model::Timestamp;
    use serde_json::json;

    use super::*;

    const NOW: f64 = 1000.0;

    fn configuration() -> Configuration {
        let name = ComponentName::try_from("a".to_owned()).expect("a name");
        let mut configuration = Configuration::new(name);
        let value = json!({"limits": {"high": 10, "low": 1}, "names": ["one"], "empty": {}});
        let origin = Origin::Deployment { id: "d".to_owned() };
        configuration.merge::<&str>(&[], &value, 500_000, &origin).expect("a map");
        configuration
    }

    fn update(path: &[&str], value: Value, timestamp: f64) -> Result<Configuration, Refused> {
        let mut configuration = configuration();
        let change = Change::of(UpdateConfigurationRequest {
            key_path: Some(path.iter().map(|key| (*key).to_owned()).collect()),
            timestamp: Timestamp(timestamp),
            value_to_merge: value,
        })?;
        let before = configuration.clone();
        let applied = change.apply(&mut configuration);
        if applied.is_err() {
            assert_eq!(configuration, before, "nothing of what is refused is applied");
        }
        applied.map(|()| configuration)
    }

    #[test]
    fn what_is_merged() {
        let table = [
            (&[][..], json!({"new": 1}), "/new", json!(1)),
            (&["limits"], json!({"high": 11}), "/limits/high", json!(11)),
            (&["limits"], json!({"high": 11}), "/limits/low", json!(1)),
            (&["LIMITS", "High"], json!(11), "/limits/high", json!(11)),
            (&["names"], json!([]), "/names", json!([])),
            (&["deep", "deeper"], json!(true), "/deep/deeper", json!(true)),
            (&["empty"], json!({"x": null}), "/empty/x", json!(null)),
            (&["limits"], json!({}), "/limits/low", json!(1)),
        ];
        for (path, value, at, expected) in table {
            let after = update(path, value.clone(), NOW).expect("taken").value();
            assert_eq!(after.pointer(at), Some(&expected), "{path:?} {value}");
        }
    }

    #[test]
    fn what_is_refused() {
        let converts = |at: &str, is, wanted| Refused::Converts { at: at.to_owned(), is, wanted };
        let deep = ["k"; MAX_DEPTH + 1];
        let table = [
            (&[][..], json!(1), NOW, Refused::NotAMap),
            (&["accessControl"], json!({}), NOW, Refused::AccessControl),
            (&["ACCESSCONTROL", "x"], json!(1), NOW, Refused::AccessControl),
            (&[], json!({"a": 1, "accessControl": 1}), NOW, Refused::AccessControl),
            (&["limits"], json!(1), NOW, converts("/limits", "a map", "a value")),
            (&["names"], json!({"a": 1}), NOW, converts("/names", "a value", "a map")),
            (&["names", "a"], json!(1), NOW, converts("/names", "a value", "a map")),
            (&[], json!({"x": 1, "limits": []}), NOW, converts("/limits", "a map", "a value")),
            (&["a"], json!(1), -1.0, Refused::Timestamp(-1.0)),
            (&["a"], json!(1), 1e300, Refused::Timestamp(1e300)),
            (&deep, json!(1), NOW, Refused::TooDeep),
            (&["a"], json!("x".repeat(MAX_BYTES)), NOW, Refused::TooLarge),
            // A megabyte of path for each of its values.
            (&[&"k".repeat(MAX_BYTES / 2)], json!({"a": 1, "b": 2}), NOW, Refused::TooLarge),
        ];
        for (path, value, timestamp, expected) in table {
            assert_eq!(update(path, value, timestamp), Err(expected), "{path:?}");
        }
    }

    #[test]
    fn the_newer_value_wins_and_an_equal_one_is_no_change() {
        let older = |at: &str| {
            Err(Refused::TooOld { at: at.to_owned(), newer: 500_000, timestamp: 499_999 })
        };
        let before = configuration();
        assert_eq!(update(&["limits", "high"], json!(11), 499.999), older("/limits/high"));
        // Not in parts: what is acknowledged is there.
        assert_eq!(update(&["limits"], json!({"new": 1, "low": 2}), 499.999), older("/limits/low"));
        assert_eq!(update(&["limits", "high"], json!(10), 499.999), Ok(before.clone()));
        assert_eq!(update(&["limits", "high"], json!(10), NOW), Ok(before));
        update(&["limits", "high"], json!(11), 500.0).expect("as new is new enough");
    }
}
