//! What the launcher tells of the machine and of a fence, for people who ask why.

use std::os::fd::AsFd;

use hedgerow_isolation::plan::{FenceId, IdRange};
use hedgerow_isolation::protocol::{Error, Facts, Machine, Response};

use super::Server;
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
                .chain(no_grants)
                .chain(no_id_mapping())
                .chain(no_tmpfs_mapping())
                .collect(),
        }
    }

    fn facts(&mut self, id: &FenceId) -> Result<Facts, Error> {
        let address = self.network.address(id);
        let report = self.fence(id)?.report();
        let grant = self.grants.of(&report.plan.name).grant;
        Ok(Facts { plan: *report.plan, grant, address, ended: report.ended })
    }
}

/// Asked seldom, so that it is tried each time.
fn no_id_mapping() -> Option<String> {
    let anybody = IdRange { first: IdRange::COUNT };
    let applied = mount::copy_path("/usr", Reach::One)
        .and_then(|usr| IdMap::host(anybody)?.apply(usr.as_fd()));
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
