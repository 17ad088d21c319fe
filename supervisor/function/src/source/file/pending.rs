//! What has changed and was not told yet: of each file, how it is now against how it was before.

use std::collections::BTreeMap;
use std::ffi::OsString;

/// Files that are told of one by one.
const MOST: usize = 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Created,
    Modified,
    Deleted,
    /// More than is told: look for yourself.
    Overflow,
}

/// `None`: the watched path itself.
type Name = Option<OsString>;

#[derive(Debug, Default)]
pub struct Pending {
    changes: BTreeMap<Name, Kind>,
    is_overflow: bool,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Modified => "modified",
            Self::Deleted => "deleted",
            Self::Overflow => "overflow",
        }
    }
}

impl Pending {
    pub fn add(&mut self, name: Name, kind: Kind) {
        let before = self.changes.get(&name).copied();
        let now = match (before, kind) {
            (_, Kind::Overflow) => None,
            (Some(Kind::Created), Kind::Deleted) => None,
            (Some(Kind::Created), Kind::Created | Kind::Modified) => Some(Kind::Created),
            (Some(Kind::Deleted), Kind::Created | Kind::Modified) => Some(Kind::Modified),
            (None | Some(Kind::Modified | Kind::Deleted | Kind::Overflow), kind) => Some(kind),
        };
        self.is_overflow |= kind == Kind::Overflow || self.changes.len() >= MOST;
        match now {
            Some(_) if self.is_overflow => {}
            Some(kind) => drop(self.changes.insert(name, kind)),
            None => drop(self.changes.remove(&name)),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && !self.is_overflow
    }

    pub fn into_changes(self) -> impl Iterator<Item = (Name, Kind)> {
        let overflow = self.is_overflow.then_some((None, Kind::Overflow));
        let changes = self.changes.into_iter().filter(move |_| !self.is_overflow);
        overflow.into_iter().chain(changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_is_the_end_against_the_beginning() {
        use Kind::{Created, Deleted, Modified};
        let table: &[(&[Kind], Option<Kind>)] = &[
            (&[Created, Modified, Modified], Some(Created)),
            (&[Created, Deleted], None),
            (&[Created, Deleted, Created], Some(Created)),
            (&[Modified, Deleted], Some(Deleted)),
            (&[Deleted, Created], Some(Modified)),
            (&[Deleted, Modified], Some(Modified)),
        ];
        for (kinds, expected) in table {
            let mut pending = Pending::default();
            for kind in *kinds {
                pending.add(Some("a".into()), *kind);
            }
            let told = pending.into_changes().next();
            assert_eq!(told, expected.map(|kind| (Some("a".into()), kind)), "{kinds:?}");
        }
    }

    #[test]
    fn too_much_is_told_as_one() {
        let mut pending = Pending::default();
        for n in 0..5000 {
            pending.add(Some(n.to_string().into()), Kind::Created);
        }
        assert_eq!(pending.changes.len(), MOST);
        assert_eq!(pending.into_changes().collect::<Vec<_>>(), [(None, Kind::Overflow)]);
    }
}
