//! The power is cut anywhere in the decisions of deployments; what is found is what was before a decision, or after.

use std::collections::{BTreeMap, BTreeSet};

use hedgerow_api::{JobKind, JobState};
use hedgerow_component::configuration::Configuration;
use hedgerow_component::{ComponentName, VersionReq};
use hedgerow_isolation::moment::Moment;
use hedgerow_store::disk::Disk;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::deployment::{
    Change, Chosen, DeploymentId, DeploymentRecord, DeploymentStatus, DetailedStatus, Document,
    Group, Phase, Prepared, RunWith,
};
use crate::packages::Place;

/// One deployment: how many of the components it is about in which version, and how it ends.
#[derive(Debug, Clone)]
struct Plan {
    components: BTreeMap<u8, u8>,
    rolls_back: bool,
    /// Length of a value that it configures.
    bulk: usize,
}

/// What a deployment decides, in its order; each is one transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    Deploy,
    Install,
    Remove,
    RollBack,
    Finish,
}

impl Plan {
    fn decisions(&self) -> &'static [Decision] {
        if self.rolls_back {
            &[Decision::Deploy, Decision::RollBack, Decision::Finish]
        } else {
            &[Decision::Deploy, Decision::Install, Decision::Remove, Decision::Finish]
        }
    }
}

fn plans() -> impl Strategy<Value = Vec<Plan>> {
    let components = prop::collection::btree_map(0u8..5, 1u8..4, 0..5);
    let plan = (components, any::<bool>(), 0usize..9000)
        .prop_map(|(components, rolls_back, bulk)| Plan { components, rolls_back, bulk });
    prop::collection::vec(plan, 1..5)
}

fn name(index: u8) -> ComponentName {
    format!("test.c{index}").parse().unwrap()
}

fn package(index: u8, version: u8) -> Package {
    let recipe = format!(
        "RecipeFormatVersion: '2020-01-25'\nComponentName: {}\nComponentVersion: {version}.0.0\nManifests: [{{}}]\n",
        name(index)
    );
    let (id, file) = (format!("tree{index}-{version}"), "a.yaml".to_owned());
    Package { id, place: Place::Store, file, recipe }
}

fn document(number: usize, plan: &Plan) -> Document {
    let exactly = |version: &u8| format!("{version}.0.0").parse::<VersionReq>().unwrap();
    let components =
        plan.components.iter().map(|(index, version)| (name(*index), exactly(version)));
    let change = Change::Complete { components: components.collect() };
    let id = DeploymentId::try_from(format!("00000000-0000-4000-8000-{number:012}")).unwrap();
    Document { id, created: 1000 + number as i64, ..Document::of(Group::Thing("t".into()), change) }
}

/// The record, its job and everything prepared, as of the beginning of a deployment.
fn prepare(records: &Records, number: usize, plan: &Plan) -> (Prepared, DeploymentRecord, Job) {
    let document = document(number, plan);
    let desired = records.desired().unwrap();
    let mut components = BTreeMap::new();
    for (index, version) in &plan.components {
        let before = records.configuration_of(&name(*index)).unwrap();
        let mut after = before.clone();
        let value =
            json!({"number": number, "bulk": "x".repeat(plan.bulk), "nested": {"v": version}});
        let origin = hedgerow_component::Origin::Deployment { id: document.id.to_string() };
        let whole: [&str; 0] = [];
        after.merge(&whole, &value, document.created, &origin).unwrap();
        let package = package(*index, *version);
        components
            .insert(name(*index), Chosen { package, before, after, run_with: RunWith::default() });
    }
    let stays: BTreeSet<_> = components.keys().cloned().collect();
    let removed: BTreeSet<_> = desired.into_keys().filter(|name| !stays.contains(name)).collect();
    let mut record = DeploymentRecord::of(&document, number as u64);
    (record.changed, record.removed) = (stays, removed.clone());
    let group = GroupRow {
        deployment: document.id.clone(),
        created: document.created,
        roots: document.named().clone(),
    };
    let order = components.keys().cloned().collect();
    let job = Job {
        id: number as u64,
        kind: JobKind::Deploy,
        state: JobState::Running,
        components: vec![],
        outcome: crate::jobs::Outcome::default(),
        created: Moment { boot_id: String::new(), boottime: 0, realtime: 0 },
        finished: None,
    };
    (Prepared { components, order, removed, group }, record, job)
}

fn decide(
    records: &Records,
    number: usize,
    plan: &Plan,
    decision: Decision,
) -> Result<(), RecordsError> {
    let (prepared, mut record, job) = prepare(records, number, plan);
    if decision != Decision::Deploy {
        // As the next daemon finds it.
        let stored = records.deployment_at_work()?;
        record = stored.ok_or_else(|| RecordsError::Missing("record".to_owned()))?;
    }
    match decision {
        Decision::Deploy => records.deploy(&prepared, &record, &job).map(drop),
        Decision::Install => {
            record.changed.iter().try_for_each(|name| records.set_installed(name.as_str(), "done"))
        }
        Decision::Remove => {
            record.phase = Phase::Removing;
            records.remove_unwanted(&record)
        }
        Decision::RollBack => {
            record.phase = Phase::RollingBack;
            records.roll_back(&record).map(drop)
        }
        Decision::Finish => {
            let (status, detailed) = if plan.rolls_back {
                (DeploymentStatus::Failed, DetailedStatus::FailedRollbackComplete)
            } else {
                (DeploymentStatus::Succeeded, DetailedStatus::Successful)
            };
            record.phase = Phase::Ended { status, detailed: Some(detailed) };
            let gone = records.desired()?.into_iter().filter(|(_, row)| row.goal == Goal::Remove);
            let components = gone.map(|(name, _)| name).collect();
            records.finish(&record, &job, &Forgotten { components, jobs: vec![], kept: 2 })
        }
    }
}

/// Everything that can be asked of the records.
fn everything(records: &Records) -> String {
    let configurations: Vec<(Option<Configuration>, bool)> = (0..5)
        .map(|index| {
            let configuration = records.configuration_of(&name(index)).ok();
            (configuration, records.is_installed(name(index).as_str(), "done"))
        })
        .collect();
    format!(
        "{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{configurations:?}",
        records.desired().unwrap(),
        records.groups().unwrap(),
        records.deployments().unwrap(),
        records.packages().unwrap(),
        records.jobs().unwrap(),
    )
}

/// Whatever is desired has its package, its ids and its configuration, and nothing is desired of a version that is
/// not there.
fn check_whole(records: &Records) {
    let desired = records.desired().unwrap();
    let stored = records.ingredients(&desired).unwrap();
    assert_eq!(stored.ingredients.len(), desired.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn no_power_cut_leaves_a_deployment_between_two_decisions(
        plans in plans(),
        cut in 0usize..160,
        mut dice in any::<u64>(),
        always in prop::option::weighted(0.2, any::<bool>()),
    ) {
        let decisions: Vec<(usize, Decision)> = plans
            .iter()
            .enumerate()
            .flat_map(|(number, plan)| plan.decisions().iter().map(move |one| (number, *one)))
            .collect();
        // What would be after each decision, had the power stayed.
        let undisturbed = Records::on(&Disk::default());
        let mut expected = vec![everything(&undisturbed)];
        for (number, decision) in &decisions {
            decide(&undisturbed, *number, &plans[*number], *decision).unwrap();
            expected.push(everything(&undisturbed));
        }

        let disk = Disk::default();
        let (mut acknowledged, mut attempted) = (0, 0);
        {
            let records = Records::on(&disk);
            disk.cut_power_after(cut);
            for (number, decision) in &decisions {
                attempted += 1;
                if decide(&records, *number, &plans[*number], *decision).is_err() {
                    break;
                }
                acknowledged = attempted;
            }
        }
        let survivor = disk.after_power_cut(|| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            always.unwrap_or(dice >> 63 == 1)
        });
        let records = Records::on(&survivor);
        check_whole(&records);
        let found = everything(&records);
        // The installs of a deployment are a decision for each component.
        let is_install = matches!(decisions.get(attempted - 1), Some((_, Decision::Install)));
        let known = found == expected[acknowledged] || found == expected[attempted];
        prop_assert!(known || is_install, "after {acknowledged} of {attempted}: {found}");
        // The next daemon goes on from there, to where it would have come.
        let next = if found == expected[attempted] { attempted } else { acknowledged };
        for (number, decision) in &decisions[next..] {
            decide(&records, *number, &plans[*number], *decision).unwrap();
        }
        prop_assert_eq!(everything(&records), expected.last().unwrap().clone());
    }
}
