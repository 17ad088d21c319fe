//! What the configuration of `aws.greengrass.Nucleus` says about every component, as far as it is for a device to say:
//! [`EFFECTIVE`]. A component's own deployment comes before it, it comes before `hedgerow.toml`. The rest is kept and
//! can be read, and changes nothing: [`without_effect`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use hedgerow_component::configuration::Configuration;
use hedgerow_component::platform::Platform;
use hedgerow_component::{Builtin, ComponentName};
use serde_json::Value;

use super::define::Ingredients;
use super::document::RunWith;
use crate::settings::Proxy;

pub const NUCLEUS: &str = "aws.greengrass.Nucleus";

/// Greengrass's default, said in full.
const DEFAULT_USER: &str = "ggc_user:ggc_group";

const POSIX_USER: &[&str] = &["runWithDefault", "posixUser"];
const POSIX_SHELL: &[&str] = &["runWithDefault", "posixShell"];
const MEMORY: &[&str] = &["runWithDefault", "systemResourceLimits", "memory"];
const CPUS: &[&str] = &["runWithDefault", "systemResourceLimits", "cpus"];
const PROXY: &[&str] = &["networkProxy", "proxy", "url"];
const NO_PROXY: &[&str] = &["networkProxy", "noProxyAddresses"];
const REGION: &[&str] = &["awsRegion"];
const PLATFORM: &[&str] = &["platformOverride"];
const INTERPOLATES: &[&str] = &["interpolateComponentConfiguration"];
const STORE_SIZE: &[&str] = &["componentStoreMaxSizeBytes"];

/// The keys that count, each with all below it.
const EFFECTIVE: [&[&str]; 10] = [
    POSIX_USER,
    POSIX_SHELL,
    MEMORY,
    CPUS,
    PROXY,
    NO_PROXY,
    REGION,
    PLATFORM,
    INTERPOLATES,
    STORE_SIZE,
];

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Nucleus {
    pub run_with: RunWith,
    /// Which shell runs scripts.
    pub posix_shell: Option<String>,
    pub environment: BTreeMap<String, String>,
    /// Whether variables in components' configurations are replaced.
    pub interpolates_configuration: bool,
    /// Bytes that all artifacts together may have.
    pub store_size: Option<u64>,
    /// Attributes that this device has beside its own, or in their place.
    platform: BTreeMap<String, String>,
}

impl Nucleus {
    /// Says nothing where the Nucleus is not part of the deployment.
    pub fn of(all: &BTreeMap<ComponentName, Ingredients>) -> Self {
        let nucleus = all.iter().find(|(name, _)| name.as_str() == NUCLEUS);
        nucleus.map(|(_, ingredients)| Self::read(&ingredients.configuration)).unwrap_or_default()
    }

    /// A value that cannot be meant is as good as none, and so is the default: `hedgerow.toml` may say otherwise.
    pub fn read(configuration: &Value) -> Self {
        let said = |path: &[&str]| {
            at(configuration, path).filter(|value| at(&DEFAULTS, path) != Some(*value))
        };
        let text = |path: &[&str]| {
            let text = said(path)?.as_str()?.trim();
            (!text.is_empty()).then(|| text.to_owned())
        };
        let run_with = RunWith {
            posix_user: text(POSIX_USER).filter(|user| user != DEFAULT_USER),
            memory: said(MEMORY).and_then(Value::as_u64),
            cpus: said(CPUS).and_then(Value::as_f64),
        };
        let run_with = if run_with.check().is_ok() { run_with } else { RunWith::default() };
        let url = text(PROXY).unwrap_or_default();
        let no_proxy = text(NO_PROXY).unwrap_or_default();
        let region = text(REGION);
        let region = region.iter().flat_map(|region| {
            ["AWS_REGION", "AWS_DEFAULT_REGION"].map(|name| (name.to_owned(), region.clone()))
        });
        let attributes = said(PLATFORM).and_then(Value::as_object).into_iter().flatten();
        Self {
            run_with,
            posix_shell: text(POSIX_SHELL),
            environment: Proxy { url, no_proxy }.environment().chain(region).collect(),
            interpolates_configuration: said(INTERPOLATES).is_some_and(is_true),
            store_size: said(STORE_SIZE).and_then(Value::as_u64),
            platform: attributes
                .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                .collect(),
        }
    }

    /// What a component's own deployment leaves open.
    pub fn complete(&self, own: &RunWith) -> RunWith {
        RunWith {
            posix_user: own.posix_user.clone().or_else(|| self.run_with.posix_user.clone()),
            memory: own.memory.or(self.run_with.memory),
            cpus: own.cpus.or(self.run_with.cpus),
        }
    }

    /// What manifests are chosen by.
    pub fn platform(&self, own: &Platform) -> Platform {
        self.platform.iter().fold(own.clone(), |platform, (key, value)| platform.with(key, value))
    }
}

/// The keys of the Nucleus's configuration that somebody has set and that change nothing, with dots between their
/// parts.
pub fn without_effect(configuration: &Configuration) -> BTreeSet<String> {
    let is_under = |path: &[String], effective: &[&str]| {
        path.len() >= effective.len()
            && path.iter().zip(effective).all(|(key, name)| key.eq_ignore_ascii_case(name))
    };
    let idle = configuration.leaves().filter(|leaf| {
        let path: Vec<&str> = leaf.path.iter().map(String::as_str).collect();
        at(&DEFAULTS, &path) != Some(&leaf.value)
            && !EFFECTIVE.iter().any(|effective| is_under(&leaf.path, effective))
    });
    idle.map(|leaf| leaf.path.join(".")).collect()
}

static DEFAULTS: LazyLock<Value> = LazyLock::new(|| {
    let builtin = Builtin::named(NUCLEUS);
    builtin.map(|builtin| Value::Object(builtin.default_configuration())).unwrap_or_default()
});

/// Greengrass takes the word as well.
fn is_true(value: &Value) -> bool {
    value.as_bool() == Some(true)
        || value.as_str().is_some_and(|text| text.eq_ignore_ascii_case("true"))
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
    use hedgerow_component::configuration::Origin;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_defaults_say_nothing() {
        assert_eq!(Nucleus::read(&DEFAULTS), Nucleus::default());
        assert_eq!(Nucleus::read(&json!({"runWithDefault": 7})), Nucleus::default());
        let spelled = json!({"runWithDefault": {"posixUser": DEFAULT_USER}});
        assert_eq!(Nucleus::read(&spelled), Nucleus::default());
    }

    #[test]
    fn what_is_said_is_for_every_component_that_says_nothing_itself() {
        let nucleus = Nucleus::read(&json!({
            "AWSREGION": "eu-west-1",
            "runWithDefault": {
                "posixUser": "worker:staff", "posixShell": "bash",
                "systemResourceLimits": {"memory": 2048, "cpus": 0.5}
            },
            "networkProxy": {"noProxyAddresses": "lan", "proxy": {"url": "http://192.0.2.1:3128"}},
            "interpolateComponentConfiguration": "true",
            "componentStoreMaxSizeBytes": 5000,
        }));
        let of = |name: &str| nucleus.environment.get(name).map(String::as_str);
        assert_eq!(of("AWS_REGION"), Some("eu-west-1"));
        assert_eq!(of("https_proxy"), Some("http://192.0.2.1:3128"));
        assert_eq!(of("NO_PROXY"), Some("lan"));
        let own = RunWith { memory: Some(1), ..RunWith::default() };
        let completed = nucleus.complete(&own);
        assert_eq!((completed.memory, completed.cpus), (Some(1), Some(0.5)));
        assert_eq!(completed.posix_user.as_deref(), Some("worker:staff"));
        assert_eq!(nucleus.posix_shell.as_deref(), Some("bash"));
        assert!(nucleus.interpolates_configuration);
        assert_eq!(nucleus.store_size, Some(5000));
    }

    #[test]
    fn an_override_adds_to_the_platform_and_replaces_of_it() {
        let nucleus = Nucleus::read(&json!({
            "platformOverride": {"architecture": "arm", "board": "a1", "ignored": 7}
        }));
        let platform = nucleus.platform(&Platform::from_uname("Linux", "x86_64"));
        let of = |key| platform.get(key);
        assert_eq!(
            (of("os"), of("architecture"), of("board"), of("ignored")),
            (Some("linux"), Some("arm"), Some("a1"), None)
        );
    }

    #[test]
    fn a_key_that_changes_nothing_is_told_once_it_is_not_the_default() {
        let name = ComponentName::try_from(NUCLEUS.to_owned()).unwrap();
        let mut configuration = Configuration::new(name);
        let mut merge = |value| {
            let whole: [&str; 0] = [];
            configuration.merge(&whole, &value, 5, &Origin::Image).unwrap();
            without_effect(&configuration).into_iter().collect::<Vec<_>>()
        };
        assert_eq!(merge(DEFAULTS.clone()), Vec::<String>::new());
        let effective = json!({"PlatformOverride": {"a": "b"}, "awsRegion": "x"});
        assert_eq!(merge(effective), Vec::<String>::new());
        let idle = json!({"mqtt": {"port": 443}, "runWithDefault": {"windowsUser": "w"}});
        assert_eq!(merge(idle), ["mqtt.port", "runWithDefault.windowsUser"]);
    }
}
