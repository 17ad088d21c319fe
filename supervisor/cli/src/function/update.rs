//! The recipe of a function's next version.

use serde_json::{Value, json};
use thiserror::Error;

/// Why the next version needs a recipe of its author's.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum CannotUpdate {
    #[error("its recipe has no {0}, which would change")]
    Lacks(&'static str),
    #[error("its recipe has {0} artifacts, and the code is one")]
    Artifacts(usize),
    #[error("its recipe has {0} manifests, and which the code is for cannot be told")]
    Manifests(usize),
}

/// The recipe, and the name of the archive with the code.
pub type Updated = (Value, String);

/// With other code, and all else as it is.
pub fn recipe(
    mut recipe: Value,
    version: &str,
    handler: Option<&str>,
    runtime: Option<&str>,
) -> Result<Updated, CannotUpdate> {
    let lacks = CannotUpdate::Lacks;
    *field(&mut recipe, "ComponentVersion").ok_or(lacks("ComponentVersion"))? = json!(version);
    let variables = [
        ("AWS_GREENGRASS_LAMBDA_FUNCTION_HANDLER", handler),
        ("AWS_GREENGRASS_LAMBDA_RUNTIME", runtime),
    ];
    for (name, value) in variables {
        if let Some(value) = value {
            let setenv = field(&mut recipe, "Lifecycle").and_then(|found| field(found, "setenv"));
            *setenv.and_then(|found| found.get_mut(name)).ok_or(lacks(name))? = json!(value);
        }
    }
    let manifests = field(&mut recipe, "Manifests").and_then(Value::as_array_mut);
    let manifest = match manifests.ok_or(lacks("Manifests"))?.as_mut_slice() {
        [manifest] => manifest,
        others => return Err(CannotUpdate::Manifests(others.len())),
    };
    let artifacts = field(manifest, "Artifacts").and_then(Value::as_array_mut);
    let artifact = match artifacts.ok_or(lacks("Artifacts"))?.as_mut_slice() {
        [artifact] => artifact,
        others => return Err(CannotUpdate::Artifacts(others.len())),
    };
    let uri = field(artifact, "Uri").and_then(|uri| uri.as_str()).ok_or(lacks("Uri"))?;
    // The path of the code may end in it.
    let archive = uri.rsplit(['/', ':']).next().unwrap_or(uri).to_owned();
    *artifact = json!({"Uri": format!("greengrass:{archive}"), "Unarchive": "ZIP"});
    Ok((recipe, archive))
}

/// Keys of recipes are compared without regard to case.
fn field<'v>(value: &'v mut Value, name: &str) -> Option<&'v mut Value> {
    let mut fields = value.as_object_mut()?.iter_mut();
    fields.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn before() -> Value {
        json!({
            "ComponentVersion": "1.0.0",
            "ComponentConfiguration": {"DefaultConfiguration": {"timeoutInSeconds": 30}},
            "Lifecycle": {"setenv": {
                "AWS_GREENGRASS_LAMBDA_FUNCTION_HANDLER": "a.b",
                "AWS_GREENGRASS_LAMBDA_RUNTIME": "python3.11",
            }},
            "Manifests": [{"Artifacts": [{"Uri": "s3://b/code.zip", "Digest": "d"}]}],
        })
    }

    #[test]
    fn all_but_the_code_stays() {
        let artifact = json!({"Uri": "greengrass:code.zip", "Unarchive": "ZIP"});
        let with = |recipe: &Value| Ok((recipe.clone(), "code.zip".to_owned()));
        let mut expected = before();
        expected["ComponentVersion"] = json!("1.0.1");
        expected["Manifests"][0]["Artifacts"][0] = artifact;
        assert_eq!(recipe(before(), "1.0.1", None, None), with(&expected));
        expected["Lifecycle"]["setenv"]["AWS_GREENGRASS_LAMBDA_FUNCTION_HANDLER"] = json!("c.d");
        expected["Lifecycle"]["setenv"]["AWS_GREENGRASS_LAMBDA_RUNTIME"] = json!("python3.12");
        assert_eq!(recipe(before(), "1.0.1", Some("c.d"), Some("python3.12")), with(&expected));
        let mut imported = before();
        imported["Manifests"][0]["Artifacts"] = json!([{"URI": "greengrass:lambda-artifact.zip"}]);
        let (_, archive) = recipe(imported, "1.0.1", None, None).unwrap();
        assert_eq!(archive, "lambda-artifact.zip");
    }

    #[test]
    fn what_cannot_be_told_is_left_to_its_author() {
        let mut two = before();
        two["Manifests"][0]["Artifacts"] = json!([{}, {}]);
        assert_eq!(recipe(two, "2.0.0", None, None), Err(CannotUpdate::Artifacts(2)));
        let mut two = before();
        two["Manifests"] = json!([{}, {}]);
        assert_eq!(recipe(two, "2.0.0", None, None), Err(CannotUpdate::Manifests(2)));
        let mut none = before();
        none["Lifecycle"] = json!({});
        let lacks = CannotUpdate::Lacks("AWS_GREENGRASS_LAMBDA_RUNTIME");
        assert_eq!(recipe(none, "2.0.0", None, Some("python3.12")), Err(lacks));
    }
}
