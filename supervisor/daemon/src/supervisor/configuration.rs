//! A component's configuration, and where it came from.

use hedgerow_api::{ConfigurationLeaf, Error};
use hedgerow_component::ComponentName;
use hedgerow_component::configuration::{Leaf, Origin};
use serde_json::Value;

use crate::records::Records;

/// The value at a JSON pointer (RFC 6901; empty: all) and its leaves.
pub fn at(
    records: &Records,
    component: &str,
    pointer: &str,
) -> Result<(Value, Vec<ConfigurationLeaf>), Error> {
    let name = ComponentName::try_from(component.to_owned())
        .map_err(|error| Error::InvalidArgument(error.to_string()))?;
    let path = keys(pointer)?;
    let configuration =
        records.configuration_of(&name).map_err(|error| Error::Internal(error.to_string()))?;
    let value = configuration.get(&path).ok_or_else(|| {
        Error::InvalidArgument(format!("the configuration of {component} has no {pointer}"))
    })?;
    let leaves = configuration.leaves().filter(|leaf| is_below(&leaf.path, &path));
    Ok((value, leaves.map(shown).collect()))
}

fn keys(pointer: &str) -> Result<Vec<String>, Error> {
    match pointer.strip_prefix('/') {
        Some(rest) => {
            Ok(rest.split('/').map(|key| key.replace("~1", "/").replace("~0", "~")).collect())
        }
        None if pointer.is_empty() => Ok(vec![]),
        None => Err(Error::InvalidArgument(format!(
            "{pointer:?} is not a JSON pointer: it is empty, or begins with '/'"
        ))),
    }
}

/// Keys are compared as the configuration compares them, without regard to case.
fn is_below(path: &[String], above: &[String]) -> bool {
    path.len() >= above.len()
        && path.iter().zip(above).all(|(a, b)| a.to_lowercase() == b.to_lowercase())
}

fn shown(leaf: &Leaf) -> ConfigurationLeaf {
    let keys = leaf.path.iter().map(|key| key.replace('~', "~0").replace('/', "~1"));
    ConfigurationLeaf {
        pointer: keys.map(|key| format!("/{key}")).collect(),
        value: leaf.value.to_string(),
        origin: match &leaf.origin {
            Origin::Default { version } => format!("recipe {version}"),
            Origin::Deployment { id } => format!("deployment {id}"),
            Origin::Image => "image".to_owned(),
            Origin::Component => format!("component {}", leaf.component),
        },
        time: leaf.timestamp,
    }
}
