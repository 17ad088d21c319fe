//! What a manifest takes from the recipe's `Lifecycle`, which several manifests share.
//!
//! The shared tree is the author's, with the manifests' `Selections` as keys at any level. Where a
//! map has such keys, the map stands for the value of the first of the manifest's selections that
//! is among them; a map with none of them that this manifest selects is left out.

use std::collections::{BTreeSet, HashMap};

use super::fields::{Place, Reader};
use crate::document::{Budget, Content, Entry, Node, Remark};

/// Selected by every manifest, after its own.
const ALL: &str = "all";

/// Selects for one manifest after another.
pub(super) struct Selector {
    /// The selections of all manifests.
    keywords: BTreeSet<String>,
    /// What is shared is written out for each manifest, as an alias would be.
    budget: Budget,
}

impl Selector {
    pub fn new(keywords: BTreeSet<String>) -> Self {
        Self { keywords, budget: Budget::new() }
    }

    /// The lifecycle of a manifest with these selections, if there is any of it.
    pub fn select(
        &mut self,
        reader: &mut Reader<'_>,
        shared: &Place<'_>,
        selections: &[String],
    ) -> Result<Option<Node>, Remark> {
        let text = shared.node.text().map_or(0, |text| text.len());
        self.budget.spend(1, text, shared.node.at)?;
        let Content::Map(_) = &shared.node.content else { return Ok(Some(shared.node.clone())) };
        let entries: Vec<_> = shared.entries().collect();
        if entries.iter().any(|(key, _)| self.is_keyword(key)) {
            for (key, place) in entries.iter().filter(|(key, _)| !self.is_keyword(key)) {
                let message = format!("{key:?} stands beside a selection and is left out");
                reader.warn(place, message, "move it below a selection such as all");
            }
            let by_key: HashMap<&str, &Place<'_>> = entries.iter().map(|(k, p)| (*k, p)).collect();
            let mut wanted = selections.iter().map(String::as_str).chain([ALL]);
            return match wanted.find_map(|keyword| by_key.get(keyword)) {
                Some(place) => self.select(reader, place, selections),
                None => Ok(None),
            };
        }
        let mut kept = Vec::new();
        for (key, place) in entries {
            if let Some(value) = self.select(reader, &place, selections)? {
                kept.push(Entry { key: key.to_owned(), at: place.at(), value });
            }
        }
        Ok(Some(Node { at: shared.node.at, content: Content::Map(kept) }))
    }

    fn is_keyword(&self, key: &str) -> bool {
        key == ALL || self.keywords.contains(key)
    }
}
