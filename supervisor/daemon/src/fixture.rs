//! A device for tests, with a store of its own and a launcher that never answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use hedgerow_component::configuration::Configuration;
use hedgerow_component::platform::Platform;
use hedgerow_component::{ComponentName, VersionReq};
use hedgerow_function::{Events, Functions};
use hedgerow_ipc::Hub;
use hedgerow_store::disk::Disk;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;

use crate::configuration_updates::ConfigurationUpdates;
use crate::deployment::{
    Change, Chosen, DeploymentRecord, DeploymentStatus, DetailedStatus, Document, Group, Phase,
    Prepared, RunWith,
};
use crate::driver::Surroundings;
use crate::function::DaemonInstances;
use crate::jobs::Jobs;
use crate::launcher::{Launcher, Silence};
use crate::layout::Layout;
use crate::metrics::Metrics;
use crate::packages::{Package, Place};
use crate::records::{Forgotten, GroupRow, Records};
use crate::registry::Registry;
use crate::services::DaemonServices;
use crate::settings::Settings;

pub struct Fixture {
    pub around: Arc<Surroundings>,
    pub jobs: Arc<Jobs>,
    pub platform: Platform,
    /// Of the store.
    pub disk: Disk,
    _directory: TempDir,
    _silence: Silence,
}

impl Fixture {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Disk::default();
        let records = Arc::new(Records::on(&store));
        let jobs = Arc::new(Jobs::load(Arc::clone(&records)).expect("readable"));
        let (launcher, silence) = Launcher::silent();
        let (registry, settings) = (Arc::new(Registry::default()), Settings::default());
        let (hub, consent) = (Hub::new(hedgerow_ipc::Limits::default()), Arc::default());
        let services = DaemonServices {
            launcher: launcher.clone(),
            registry: Arc::clone(&registry),
            records: Arc::clone(&records),
            hub: hub.clone(),
            consent: Arc::clone(&consent),
            configuration_updates: ConfigurationUpdates::default(),
            metrics: Metrics::default(),
            deployments: OnceLock::new(),
            operations: OnceLock::new(),
            settings: settings.clone(),
            writing: tokio::sync::Mutex::default(),
        };
        let services = Arc::new(services);
        let disk = Arc::new(crate::disk::Disk::of(directory.path().to_owned(), 0));
        let layout = Layout::below(directory.path());
        let instances = DaemonInstances::new(&launcher, &layout, &settings, &hub, &services, &disk);
        let instances = Arc::new(instances);
        let functions = Functions::new(Arc::clone(&instances));
        let (events, _) = Events::new(functions.clone());
        let around = Arc::new(Surroundings {
            functions,
            events,
            instances,
            disk,
            launcher,
            registry,
            records,
            layout,
            settings,
            hub,
            services,
            consent,
            os_image: String::new(),
            endpoint_fault: watch::Sender::default(),
            observations: Arc::default(),
        });
        let platform = Platform::from_uname("Linux", "x86_64");
        Self { around, jobs, platform, disk: store, _directory: directory, _silence: silence }
    }

    /// Commits a deployment of these recipes in version 1.0.0, which then is at work.
    pub fn commit(&self, recipes: &[(&str, String)]) -> DeploymentRecord {
        let records = &self.around.records;
        let (mut components, mut roots) = (BTreeMap::new(), BTreeMap::new());
        for (component, recipe) in recipes {
            let mut configuration = Configuration::new(name(component));
            let defaults = serde_json::from_str::<Value>(recipe).ok();
            let defaults = defaults.as_ref().and_then(|recipe| {
                recipe.pointer("/ComponentConfiguration/DefaultConfiguration")?.as_object()
            });
            if let Some(defaults) = defaults {
                configuration.fill(defaults, &"1.0.0".parse().expect("a version"));
            }
            let (id, file) = (component.to_string(), format!("{component}.yaml"));
            let chosen = Chosen {
                package: Package { id, place: Place::Store, file, recipe: recipe.clone() },
                before: records.configuration_of(&name(component)).expect("readable"),
                after: configuration,
                run_with: RunWith::default(),
            };
            components.insert(name(component), chosen);
            roots.insert(name(component), "1.0.0".parse::<VersionReq>().expect("a range"));
        }
        let document = Document::of(Group::Local, Change::Complete { components: roots.clone() });
        let job = self.jobs.create(hedgerow_api::JobKind::Deploy);
        let mut record = DeploymentRecord::of(&document, job.id);
        record.changed = components.keys().cloned().collect();
        let group = GroupRow { deployment: document.id.clone(), created: 1, roots };
        let order = components.keys().cloned().collect();
        let prepared = Prepared { components, order, removed: BTreeSet::new(), group };
        assert!(records.deploy(&prepared, &record, &job).expect("committed"));
        record
    }

    /// Has them deployed.
    pub fn deploy(&self, recipes: &[(&str, String)]) {
        let mut record = self.commit(recipes);
        record.phase = Phase::Ended {
            status: DeploymentStatus::Succeeded,
            detailed: Some(DetailedStatus::Successful),
        };
        let outcome = crate::jobs::Outcome::default();
        let store = |job: &crate::jobs::Job, _: &[u64]| {
            self.around.records.finish(&record, job, &Forgotten { kept: 8, ..Forgotten::default() })
        };
        self.jobs.finish_with(record.job, outcome, store).expect("stored");
    }
}

pub fn name(text: &str) -> ComponentName {
    text.parse().expect("a name")
}

/// A recipe of version 1.0.0 that runs something and needs these.
pub fn recipe(component: &str, hard: &[&str], soft: &[&str]) -> String {
    let dependency = |kind: &'static str| {
        move |name: &&str| {
            (
                (*name).to_owned(),
                serde_json::json!({"VersionRequirement": "^1.0.0", "DependencyType": kind}),
            )
        }
    };
    let dependencies: serde_json::Map<_, _> =
        hard.iter().map(dependency("HARD")).chain(soft.iter().map(dependency("SOFT"))).collect();
    serde_json::json!({
        "RecipeFormatVersion": "2020-01-25",
        "ComponentName": component,
        "ComponentVersion": "1.0.0",
        "ComponentDependencies": dependencies,
        "Manifests": [{"Lifecycle": {"run": "exec sleep 1000"}}],
    })
    .to_string()
}

/// A recipe of a function that hears topics.
pub fn function(name: &str, topics: &[&str]) -> String {
    let topic = |topic: &&str| {
        ((*topic).to_owned(), serde_json::json!({ "topic": topic, "type": "PUB_SUB" }))
    };
    let topics: serde_json::Map<_, _> = topics.iter().map(topic).collect();
    serde_json::json!({
        "RecipeFormatVersion": "2020-01-25",
        "ComponentName": name,
        "ComponentVersion": "1.0.0",
        "ComponentType": "aws.greengrass.lambda",
        "ComponentConfiguration": { "DefaultConfiguration": { "pubsubTopics": topics } },
        "Manifests": [{
            "Artifacts": [{ "URI": "greengrass:lambda-artifact.zip", "Unarchive": "ZIP" }],
            "Lifecycle": { "setenv": {
                "AWS_GREENGRASS_LAMBDA_ARN": "arn:aws:lambda:eu-west-1:123456789012:function:f:1",
                "AWS_GREENGRASS_LAMBDA_FUNCTION_HANDLER": "any",
                "AWS_GREENGRASS_LAMBDA_RUNTIME": "provided",
                "AWS_GREENGRASS_LAMBDA_ARTIFACT_PATH": "{artifacts:decompressedPath}/lambda-artifact",
            } },
        }],
    })
    .to_string()
}
