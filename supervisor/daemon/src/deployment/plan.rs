//! What a deployment would do, worked out and not done.

use std::collections::{BTreeMap, BTreeSet};

use hedgerow_api::Error;
use hedgerow_component::configuration::Configuration;
use hedgerow_isolation::grants::granted;
use serde::Serialize;
use serde_json::Value;

use super::define::define;
use super::nucleus::{NUCLEUS, without_effect};
use super::prepare::{self, Request};
use super::reconcile::packages;
use super::refusal::Refusal;
use super::select;
use super::worker::Worker;
use crate::definition::{Change, Definition, Effect};
use crate::packages::{Place, notices};
use crate::settings::Settings;

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PlanReport {
    /// Component to version.
    pub added: BTreeMap<String, String>,
    pub removed: BTreeMap<String, String>,
    pub updated: BTreeMap<String, VersionChange>,
    /// Component to the reasons, among those that are neither added nor updated.
    pub restarted: BTreeMap<String, Vec<String>>,
    pub unchanged: Vec<String>,
    pub configuration: BTreeMap<String, Vec<Difference>>,
    /// Of artifacts that are not in the store yet.
    pub bytes_to_copy: u64,
    /// What else a person should know before.
    pub notices: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VersionChange {
    pub from: String,
    pub to: String,
}

/// One value of a component's configuration, before and after; `None` where there is nothing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// A JSON pointer.
    pub pointer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

impl Worker {
    pub(super) fn plan(&self, request: &Request) -> Result<PlanReport, Error> {
        self.plan_request(request).map_err(|refusal| refusal.error())
    }

    fn plan_request(&self, request: &Request) -> Result<PlanReport, Refusal> {
        self.check_document(request)?;
        let (around, platform) = (&self.around, &self.platform);
        let (records, settings) = (&around.records, &around.settings);
        let mut selection = select::select(request, &around.layout.image, records, platform)?;
        let bytes_to_copy = prepare::examine(request, &mut selection, &packages(around))?;
        let definitions = prepare::foresee(&selection, records, platform, settings)?;
        // The launcher reads them at each use, too.
        let grants = Settings::read(&around.layout.config).map(|now| now.grant);
        let grants = grants.unwrap_or_else(|_| settings.grant.clone());
        let mut report = PlanReport { bytes_to_copy, ..PlanReport::default() };
        let desired = select::wanted_to_stay(records)?;
        for name in &selection.removed {
            if let Some(row) = desired.get(name) {
                report.removed.insert(name.to_string(), row.version.to_string());
            }
        }
        let before = records.ingredients(&desired)?.ingredients;
        for (name, selected) in &selection.components {
            let stored = selected.candidate.stored.as_ref();
            let place = stored.map_or(Place::Store, |package| package.place);
            let recipe = &selected.candidate.recipe;
            report.notices.extend(notices(recipe, place, &selection.platform));
            let function = definitions.get(name).and_then(|after| after.function.as_ref());
            if let Some(function) = function {
                let granted = granted(&grants, name.as_str());
                report.notices.extend(function.notices(name, &granted));
            }
            if name.as_str() == NUCLEUS {
                report.notices.extend(idle_keys(&selected.after));
            }
            report.note_configuration(name.as_str(), &selected.before, &selected.after);
            let to = selected.candidate.recipe.version.to_string();
            let (Some(old), Some(after)) = (desired.get(name), definitions.get(name)) else {
                report.added.insert(name.to_string(), to);
                continue;
            };
            let from = old.version.to_string();
            let reasons = match define(name, &before, platform, settings) {
                Ok(before) => restart_reasons(&before, after),
                Err(undefined) => vec![format!("it is BROKEN now: {undefined}")],
            };
            if from != to {
                report.updated.insert(name.to_string(), VersionChange { from, to });
            } else if reasons.is_empty() {
                report.unchanged.push(name.to_string());
            } else {
                report.restarted.insert(name.to_string(), reasons);
            }
        }
        Ok(report)
    }
}

/// What of the Nucleus's configuration is kept for later.
fn idle_keys(nucleus: &Configuration) -> Option<String> {
    let keys: Vec<String> = without_effect(nucleus).into_iter().collect();
    let verb = if keys.len() == 1 { "has" } else { "have" };
    let list = keys.join(", ");
    (!keys.is_empty()).then(|| {
        format!("of the configuration of {NUCLEUS}, {list} {verb} no effect in this version")
    })
}

/// Why an instance of `before` has to give way to `after`.
fn restart_reasons(before: &Definition, after: &Definition) -> Vec<String> {
    let Change { reasons, .. } = before.change_to(after);
    let restarting = reasons.iter().filter(|reason| reason.effect() >= Effect::Restart);
    restarting.map(ToString::to_string).collect()
}

impl PlanReport {
    fn note_configuration(
        &mut self,
        component: &str,
        before: &Configuration,
        after: &Configuration,
    ) {
        let changes = after.changes_since(before);
        let mut pointers: BTreeSet<&[String]> = BTreeSet::new();
        pointers.extend(changes.written.iter().map(|leaf| leaf.path.as_slice()));
        pointers.extend(changes.removed.iter().map(|leaf| leaf.path.as_slice()));
        let differences: Vec<Difference> = pointers
            .into_iter()
            .map(|path| Difference {
                pointer: pointer(path),
                before: before.get(path),
                after: after.get(path),
            })
            .filter(|difference| difference.before != difference.after)
            .collect();
        if !differences.is_empty() {
            self.configuration.insert(component.to_owned(), differences);
        }
    }
}

/// RFC 6901.
fn pointer(path: &[String]) -> String {
    path.iter().map(|key| format!("/{}", key.replace('~', "~0").replace('/', "~1"))).collect()
}
