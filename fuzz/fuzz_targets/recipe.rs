//! Foreign bytes as recipes: parsed, checked, chosen from, their variables filled in, and resolved.
//! No panic, and an answer in every case.

#![no_main]

use std::collections::BTreeMap;

use hedgerow_component::check::check;
use hedgerow_component::configuration::Configuration;
use hedgerow_component::resolve::{Requirement, Requirer};
use hedgerow_component::variables::{Scope, Values};
use hedgerow_component::version::VersionReq;
use hedgerow_component::{ComponentName, Platform, Recipe, Severity, resolve};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let platform = Platform::from_uname("Linux", "aarch64").with("runtime", Platform::RUNTIME);
    for file in ["fuzz.json", "fuzz.yaml"] {
        let report = check(file, bytes, &platform, |_| Ok(()));
        match Recipe::parse(file, bytes) {
            Ok(parsed) => {
                assert!(parsed.warnings.iter().all(|f| f.severity == Severity::Warning));
                assert!(report.recipe.is_some());
                run(&parsed.recipe, &platform);
            }
            Err(invalid) => {
                assert!(invalid.findings.iter().any(|f| f.severity == Severity::Error));
                assert!(!report.is_sound());
            }
        }
    }
});

fn run(recipe: &Recipe, platform: &Platform) {
    let mut configuration = Configuration::new(recipe.name.clone());
    configuration.fill(&recipe.default_configuration, &recipe.version);
    let whole = configuration.value();
    let values = || Values {
        configuration: &whole,
        artifacts_path: "/artifacts".into(),
        artifacts_decompressed_path: "/unarchived".into(),
        work_path: "/work".into(),
    };
    let dependencies = recipe.dependencies.keys().map(|name| (name.as_str(), values())).collect();
    let scope = Scope { own: values(), dependencies, root_path: "/", thing_name: Some("thing") };
    if let Ok(manifest) = recipe.manifest_for(platform) {
        for step in manifest.lifecycle.steps.values() {
            let _ = scope.interpolate(&step.script);
            let _ = step.timeout.as_ref().map(|timeout| timeout.resolve(&scope));
            let _ = step.requires_privilege.resolve(&scope);
            let _ = step.skip_if.as_ref().map(|condition| condition.resolve(&scope));
        }
    }
    let root = Requirement {
        component: recipe.name.clone(),
        range: VersionReq::exactly(&recipe.version),
        by: Requirer::Group("fuzz".to_owned()),
    };
    let available = |name: &ComponentName| match *name == recipe.name {
        true => vec![recipe],
        false => vec![],
    };
    let _ = resolve(&[root], &available, &BTreeMap::new(), platform);
}
