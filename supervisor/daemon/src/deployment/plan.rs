//! What a deployment would do, worked out and not done.

use std::collections::{BTreeMap, BTreeSet};

use hedgerow_component::configuration::Configuration;
use serde::Serialize;
use serde_json::Value;

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

impl PlanReport {
    pub(super) fn note_configuration(
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
