//! What the configuration of `aws.greengrass.Nucleus` says about every component, as far as it is for a device to say:
//! `runWithDefault`, `networkProxy` and `awsRegion`. A component's own deployment comes before it, it comes before
//! `hedgerow.toml`. The rest of the Nucleus's configuration is kept and can be read, and changes nothing.

use std::collections::BTreeMap;

use hedgerow_component::ComponentName;
use serde_json::Value;

use super::define::Ingredients;
use super::document::RunWith;
use crate::settings::Proxy;

const NUCLEUS: &str = "aws.greengrass.Nucleus";

/// Greengrass's default, and ours where nobody says anything.
const DEFAULT_USERS: [&str; 2] = ["ggc_user", "ggc_user:ggc_group"];

#[derive(Debug, Default, PartialEq)]
pub struct Nucleus {
    pub run_with: RunWith,
    pub environment: BTreeMap<String, String>,
}

impl Nucleus {
    /// Says nothing where the Nucleus is not part of the deployment.
    pub fn of(all: &BTreeMap<ComponentName, Ingredients>) -> Self {
        let nucleus = all.iter().find(|(name, _)| name.as_str() == NUCLEUS);
        nucleus.map(|(_, ingredients)| Self::read(&ingredients.configuration)).unwrap_or_default()
    }

    /// A value that cannot be meant is as good as none.
    fn read(configuration: &Value) -> Self {
        let text = |path: &[&str]| {
            let text = at(configuration, path)?.as_str()?.trim();
            (!text.is_empty()).then(|| text.to_owned())
        };
        let limit = |name| at(configuration, &["runWithDefault", "systemResourceLimits", name]);
        let run_with = RunWith {
            posix_user: text(&["runWithDefault", "posixUser"])
                .filter(|user| !DEFAULT_USERS.contains(&user.as_str())),
            memory: limit("memory").and_then(Value::as_u64),
            cpus: limit("cpus").and_then(Value::as_f64),
        };
        let run_with = if run_with.check().is_ok() { run_with } else { RunWith::default() };
        let url = text(&["networkProxy", "proxy", "url"]).unwrap_or_default();
        let no_proxy = text(&["networkProxy", "noProxyAddresses"]).unwrap_or_default();
        let region = text(&["awsRegion"]);
        let region = region.iter().flat_map(|region| {
            ["AWS_REGION", "AWS_DEFAULT_REGION"].map(|name| (name.to_owned(), region.clone()))
        });
        let environment = Proxy { url, no_proxy }.environment().chain(region).collect();
        Self { run_with, environment }
    }

    /// What a component's own deployment leaves open.
    pub fn complete(&self, own: &RunWith) -> RunWith {
        RunWith {
            posix_user: own.posix_user.clone().or_else(|| self.run_with.posix_user.clone()),
            memory: own.memory.or(self.run_with.memory),
            cpus: own.cpus.or(self.run_with.cpus),
        }
    }
}

/// Keys are found whatever their case, as everywhere in a configuration.
fn at<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, key| {
        let found = value.as_object()?.iter().find(|(name, _)| name.eq_ignore_ascii_case(key));
        found.map(|(_, value)| value)
    })
}

#[cfg(test)]
mod tests {
    use hedgerow_component::Builtin;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_defaults_say_nothing() {
        let defaults = Builtin::named(NUCLEUS).expect("a built-in").default_configuration();
        assert_eq!(Nucleus::read(&Value::Object(defaults)), Nucleus::default());
        assert_eq!(Nucleus::read(&json!({"runWithDefault": 7})), Nucleus::default());
    }

    #[test]
    fn what_is_said_is_for_every_component_that_says_nothing_itself() {
        let nucleus = Nucleus::read(&json!({
            "AWSREGION": "eu-west-1",
            "runWithDefault": {
                "posixUser": "worker:staff", "systemResourceLimits": {"memory": 2048, "cpus": 0.5}
            },
            "networkProxy": {"noProxyAddresses": "lan", "proxy": {"url": "http://192.0.2.1:3128"}},
        }));
        let of = |name: &str| nucleus.environment.get(name).map(String::as_str);
        assert_eq!(of("AWS_REGION"), Some("eu-west-1"));
        assert_eq!(of("https_proxy"), Some("http://192.0.2.1:3128"));
        assert_eq!(of("NO_PROXY"), Some("lan"));
        let own = RunWith { memory: Some(1), ..RunWith::default() };
        let completed = nucleus.complete(&own);
        assert_eq!((completed.memory, completed.cpus), (Some(1), Some(0.5)));
        assert_eq!(completed.posix_user.as_deref(), Some("worker:staff"));
    }
}
