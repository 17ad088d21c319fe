use std::collections::{BTreeMap, BTreeSet};

use hedgerow_component::Origin;
use hedgerow_isolation::moment::Moment;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::deployment::Chosen;
use crate::deployment::{
    Change, DeploymentRecord, DeploymentStatus, Document, Group, Phase, Prepared, RunWith,
};
use crate::jobs::Outcome;
use crate::packages::Place;

fn opened() -> (TempDir, Records) {
    let directory = tempfile::tempdir().expect("a directory");
    let records = Records::open(&directory.path().join("state.redb")).expect("a store");
    (directory, records)
}

fn name(text: &str) -> ComponentName {
    ComponentName::try_from(text.to_owned()).expect("a name")
}

fn package(component: &str, version: &str) -> Package {
    let recipe = json!({"RecipeFormatVersion": "2020-01-25", "ComponentName": component,
        "ComponentVersion": version, "Manifests": [{"Lifecycle": {"run": "sleep 1"}}]});
    let id = format!("{component}-{version}");
    Package { id, file: "test.json".to_owned(), recipe: recipe.to_string(), place: Place::Store }
}

/// The components in these versions, each with this greeting, are all that the local group asks for.
fn prepared(
    records: &Records,
    versions: &[(&str, &str)],
    greeting: &str,
) -> (Prepared, DeploymentRecord) {
    let mut components = BTreeMap::new();
    for (component, version) in versions {
        let before = records.configuration_of(&name(component)).expect("readable");
        let mut after = before.clone();
        let origin = Origin::Deployment { id: greeting.to_owned() };
        let whole: [&str; 0] = [];
        after.merge(&whole, &json!({"greeting": greeting}), 2, &origin).expect("a map");
        let run_with = RunWith::default();
        let package = package(component, version);
        components.insert(name(component), Chosen { package, before, after, run_with });
    }
    let roots = versions
        .iter()
        .map(|(component, version)| (name(component), version.parse().expect("a range")));
    let document = Document::of(Group::Local, Change::Complete { components: roots.collect() });
    let group =
        GroupRow { deployment: document.id.clone(), created: 1, roots: document.named().clone() };
    let desired = records.desired().expect("readable");
    let removed: BTreeSet<_> =
        desired.into_keys().filter(|name| !components.contains_key(name)).collect();
    let mut record = DeploymentRecord::of(&document, 1);
    record.changed = components.keys().cloned().collect();
    record.removed = removed.clone();
    let order = components.keys().cloned().collect();
    (Prepared { components, order, removed, group }, record)
}

fn job() -> Job {
    Job {
        id: 1,
        kind: hedgerow_api::JobKind::Deploy,
        state: hedgerow_api::JobState::Running,
        components: vec![],
        outcome: Outcome::default(),
        created: Moment::now(),
        finished: None,
    }
}

/// Everything that a rollback has to bring back.
fn state(records: &Records) -> String {
    let desired = records.desired().expect("readable");
    let configurations: Vec<_> =
        desired.keys().map(|name| records.configuration_of(name).expect("readable")).collect();
    let packages = records.packages().expect("readable");
    format!("{desired:?} {configurations:?} {packages:?} {:?}", records.groups().expect("readable"))
}

fn deploy(records: &Records, versions: &[(&str, &str)], greeting: &str) -> DeploymentRecord {
    let (prepared, record) = prepared(records, versions, greeting);
    assert!(records.deploy(&prepared, &record, &job()).expect("committed"));
    record
}

fn finish(records: &Records, record: &DeploymentRecord, gone: &[&str]) {
    let components = gone.iter().map(|gone| name(gone)).collect();
    let forgotten = Forgotten { components, ..Forgotten::default() };
    records.finish(&ended(record), &job(), &forgotten).expect("committed");
}

fn ended(record: &DeploymentRecord) -> DeploymentRecord {
    let phase = Phase::Ended { status: DeploymentStatus::Succeeded, detailed: None };
    DeploymentRecord { phase, ..record.clone() }
}

#[test]
fn a_rollback_brings_back_what_was() {
    let (_directory, records) = opened();
    let first = deploy(&records, &[("a", "1.0.0"), ("b", "1.0.0")], "hello");
    finish(&records, &first, &[]);
    let before = state(&records);

    let second = deploy(&records, &[("a", "2.0.0"), ("c", "1.0.0")], "good morning");
    assert_ne!(state(&records), before);
    // It is there until it is known that the others are up, and so are the packages that a way back needs.
    assert_eq!(records.desired().expect("readable")[&name("b")].goal, Goal::Run);
    assert_eq!(records.packages().expect("readable").len(), 4);

    let changed = records.roll_back(&second).expect("rolled back");
    assert_eq!(changed[&name("a")], [vec!["greeting".to_owned()]]);
    assert_eq!(records.desired().expect("readable")[&name("c")].goal, Goal::Remove);
    finish(&records, &second, &["a", "b", "c"]);
    assert_eq!(state(&records), before, "only what was to be removed is forgotten");
    assert_eq!(records.configuration("c", &[]).expect("readable"), Some(json!({})));
}

#[test]
fn only_one_deployment_is_at_work() {
    let (_directory, records) = opened();
    let first = deploy(&records, &[("a", "1.0.0")], "hello");
    let before = state(&records);
    let (prepared, second) = prepared(&records, &[("a", "2.0.0")], "good morning");
    let refused = records.deploy(&prepared, &second, &job()).expect_err("the first has not ended");
    assert!(matches!(refused, RecordsError::AtWork(id) if id == first.id));
    assert_eq!(state(&records), before);

    finish(&records, &first, &[]);
    records.deploy(&prepared, &second, &job()).expect("its turn has come");
}

#[test]
fn a_rollback_brings_back_the_recipe_and_artifacts_of_the_same_version() {
    let (_directory, records) = opened();
    let first = deploy(&records, &[("a", "1.0.0")], "hello");
    finish(&records, &first, &[]);
    let before = state(&records);

    let (mut edited, record) = prepared(&records, &[("a", "1.0.0")], "hello");
    let chosen = edited.components.get_mut(&name("a")).expect("prepared");
    chosen.package.id = "edited".to_owned();
    chosen.package.recipe = chosen.package.recipe.replace("sleep 1", "exit 1");
    assert!(records.deploy(&edited, &record, &job()).expect("committed"));
    let needed = records.needed_packages().expect("readable");
    assert_eq!(needed, ["a-1.0.0".to_owned(), "edited".to_owned()].into());

    records.roll_back(&record).expect("rolled back");
    finish(&records, &record, &[]);
    assert_eq!(state(&records), before);
    let needed = records.needed_packages().expect("readable");
    assert_eq!(needed, ["a-1.0.0".to_owned()].into());
}

#[test]
fn what_nobody_asks_for_goes_with_the_end() {
    let (_directory, records) = opened();
    let first = deploy(&records, &[("a", "1.0.0"), ("b", "1.0.0")], "hello");
    finish(&records, &first, &[]);
    let second = deploy(&records, &[("a", "1.0.0")], "hello");
    records.remove_unwanted(&second).expect("committed");
    records.roll_back(&second).expect_err("there is no way back any more");
    finish(&records, &second, &["b"]);
    let desired = records.desired().expect("readable");
    assert_eq!(desired.keys().map(ComponentName::as_str).collect::<Vec<_>>(), ["a"]);
    assert_eq!(records.packages().expect("readable").len(), 1);
}

#[test]
fn the_same_again_is_no_news() {
    let (_directory, records) = opened();
    let first = deploy(&records, &[("a", "1.0.0")], "hello");
    finish(&records, &first, &[]);
    let (mut again, record) = prepared(&records, &[("a", "1.0.0")], "hello");
    again.group = records.groups().expect("readable")[&Group::Local].clone();
    assert!(!records.deploy(&again, &record, &job()).expect("nothing to do"));
    assert_eq!(records.deployments().expect("readable").len(), 1);
}

#[test]
fn a_configuration_that_changed_meanwhile_is_not_overwritten() {
    let (_directory, records) = opened();
    let first = deploy(&records, &[("a", "1.0.0")], "hello");
    finish(&records, &first, &[]);
    let (late, record) = prepared(&records, &[("a", "2.0.0")], "good morning");
    let changed = records.change_configuration(&name("a"), |configuration| {
        configuration.merge(&["own"], &json!(7), 5, &Origin::Component)
    });
    changed.expect("stored").expect("a map");
    let error = records.deploy(&late, &record, &job()).expect_err("overtaken");
    assert!(matches!(error, RecordsError::Overtaken(of) if of == name("a")));
    assert_eq!(records.desired().expect("readable")[&name("a")].version.to_string(), "1.0.0");
}

#[test]
fn only_so_many_ended_deployments_are_remembered() {
    let (_directory, records) = opened();
    for version in ["1.0.0", "2.0.0", "3.0.0", "4.0.0"] {
        let mut record = deploy(&records, &[("a", version)], version);
        record.job = version.bytes().map(u64::from).sum();
        let forgotten = Forgotten { kept: 2, ..Forgotten::default() };
        records.finish(&ended(&record), &job(), &forgotten).expect("committed");
    }
    assert_eq!(records.deployments().expect("readable").len(), 3);
    assert_eq!(records.deployment_at_work().expect("readable"), None);
}
