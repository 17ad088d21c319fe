//! What the launcher tells of the machine and of a fence, for people who ask why.

use std::os::fd::AsFd;

use hedgerow_isolation::plan::{FenceId, IdRange, Network, Plan};
use hedgerow_isolation::protocol::{Error, Facts, Machine, Response};

use super::Server;
use crate::fence::Fence;
use crate::idmap::IdMap;
use crate::mount::{self, Reach};
use crate::skeleton;

impl Server {
    pub(super) fn describe(&mut self, fence: Option<FenceId>) -> Result<Response, Error> {
        let fence = fence.map(|id| self.facts(&id)).transpose()?.map(Box::new);
        Ok(Response::Described { machine: self.machine(), fence })
    }

    fn machine(&self) -> Machine {
        let no_nat = self.network.range().err();
        let no_nat = no_nat.map(|why| format!("components run without a network: {why}"));
        let no_grants = self.grants.unusable();
        let no_grants = no_grants.map(|why| format!("nothing is granted to anybody: {why}"));
        Machine {
            unified_cgroups: self.cgroups.are_unified(),
            range: self.network.range().ok(),
            lacks: no_nat
                .into_iter()
                .chain(self.network.lacks())
                .chain(no_grants)
                .chain(no_id_mapping())
                .chain(no_tmpfs_mapping())
                .collect(),
        }
    }

    fn facts(&mut self, id: &FenceId) -> Result<Facts, Error> {
        let address = self.network.address(id);
        let mut notes = self.network.notes(id);
        let report = self.fence(id)?.report();
        let grant = self.grants.of(&report.plan.name)?.grant;
        notes.extend(self.unreached(&report.plan));
        Ok(Facts { plan: *report.plan, grant, address, notes, ended: report.ended })
    }

    /// Why the ports of dependencies are not at a fence's own loopback, where they are not.
    fn unreached(&self, plan: &Plan) -> Vec<String> {
        let reached = "ports of dependencies are not at its 127.0.0.1";
        if plan.dependencies.is_empty() {
            return Vec::new();
        }
        match plan.network {
            Network::None => return vec![format!("{reached}: it has no network")],
            Network::Host => {
                return vec![format!(
                    "{reached}, which is the host's: a grant has to publish them (ports)"
                )];
            }
            Network::Nat => {}
        }
        let is_dependency = |other: &&Plan| plan.dependencies.iter().any(|d| d.ids == other.ids);
        let others = self.fences.values().map(Fence::plan).filter(is_dependency);
        let unreached = others.filter(|other| other.network != Network::Nat);
        unreached
            .map(|other| {
                format!("ports of {} are not at its 127.0.0.1: that has no link to it", other.name)
            })
            .collect()
    }
}

/// Asked seldom, so that it is tried each time.
fn no_id_mapping() -> Option<String> {
    let anybody = IdRange { first: IdRange::COUNT };
    let applied = mount::copy_path("/usr", Reach::One)
        .and_then(|usr| IdMap::host(anybody)?.apply_to_layer(usr.as_fd()));
    let why = match applied {
        Ok(true) => return None,
        Ok(false) => "the kernel or its file system cannot".to_owned(),
        Err(error) => error.to_string(),
    };
    Some(format!(
        "the root of a fence does not own what is in /usr and /etc: package managers work badly there; id-mapped \
         mounts need Linux 5.19: {why}"
    ))
}

fn no_tmpfs_mapping() -> Option<String> {
    let why = match skeleton::is_mapped() {
        Ok(true) => return None,
        Ok(false) => "the kernel cannot".to_owned(),
        Err(error) => error.to_string(),
    };
    Some(format!(
        "a fence that is open does not learn of the host's new name servers: it has a copy of the files that are not \
         the host's; an id-mapped tmpfs needs Linux 6.3: {why}"
    ))
}
