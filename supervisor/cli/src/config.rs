//! `hedgerow config show|set|reset`.

use hedgerow_api::ConfigurationLeaf;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::job;
use crate::output::{Output, print, table, wall_clock};
use crate::session::Session;

pub async fn show(
    session: &Session,
    output: &Output,
    name: &str,
    pointer: &str,
    origin: bool,
) -> Result<(), Failure> {
    let component = session.component(name).await?;
    let (value, leaves) = component.get_configuration(pointer).await?;
    if origin {
        let rows = leaves.iter().map(Row::of).collect::<Result<Vec<_>, _>>()?;
        return output.print(&rows, |rows| origins(rows));
    }
    let value: Value = serde_json::from_str(&value).map_err(Failure::Record)?;
    match value {
        // As a script wants it.
        Value::String(text) if !output.json => print(&text),
        value => Output { json: true }.print(&value, |_| String::new()),
    }
}

pub async fn set(
    session: &Session,
    output: &Output,
    name: &str,
    settings: Vec<(String, Value)>,
) -> Result<(), Failure> {
    let mut merge = Map::new();
    for (pointer, value) in settings {
        place(&mut merge, &keys(&pointer), value);
    }
    let component = session.component(name).await?;
    let job = component.update_configuration(&Value::from(merge).to_string(), &[]).await?;
    job::follow_and_report(session, output, job).await
}

pub async fn reset(
    session: &Session,
    output: &Output,
    name: &str,
    pointers: &[String],
) -> Result<(), Failure> {
    let job = session.component(name).await?.update_configuration("", pointers).await?;
    job::follow_and_report(session, output, job).await
}

/// The keys of a JSON pointer (RFC 6901) that begins with a slash.
fn keys(pointer: &str) -> Vec<String> {
    let keys = pointer.split('/').skip(1);
    keys.map(|key| key.replace("~1", "/").replace("~0", "~")).collect()
}

/// Of two values for one place the later one stays.
fn place(map: &mut Map<String, Value>, keys: &[String], value: Value) {
    match keys {
        [] => {}
        [last] => {
            map.insert(last.clone(), value);
        }
        [first, rest @ ..] => {
            let child = map.entry(first.clone()).or_insert_with(|| Value::Object(Map::new()));
            if !child.is_object() {
                *child = Value::Object(Map::new());
            }
            if let Value::Object(child) = child {
                place(child, rest, value);
            }
        }
    }
}

#[derive(Serialize)]
struct Row {
    pointer: String,
    value: Value,
    origin: String,
    /// Milliseconds since 1970.
    time: i64,
}

impl Row {
    fn of(leaf: &ConfigurationLeaf) -> Result<Self, Failure> {
        Ok(Self {
            pointer: leaf.pointer.clone(),
            value: serde_json::from_str(&leaf.value).map_err(Failure::Record)?,
            origin: leaf.origin.clone(),
            time: leaf.time,
        })
    }
}

fn origins(rows: &[Row]) -> String {
    let row = |row: &Row| {
        // A default has no time of its own.
        let time = if row.time > 1 { wall_clock(row.time) } else { "-".to_owned() };
        [row.pointer.clone(), row.value.to_string(), row.origin.clone(), time]
    };
    table(["POINTER", "VALUE", "ORIGIN", "SINCE"], rows.iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_become_one_tree() {
        let mut map = Map::new();
        for (pointer, value) in [("/a/b", 1), ("/a/c~1d", 2), ("/e", 3), ("/e/f", 4), ("/a/b", 5)] {
            place(&mut map, &keys(pointer), value.into());
        }
        assert_eq!(Value::from(map).to_string(), r#"{"a":{"b":5,"c/d":2},"e":{"f":4}}"#);
    }
}
