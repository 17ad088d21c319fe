//! What the launcher tells of the machine and of a fence, for people who ask why.

use hedgerow_isolation::plan::FenceId;
use hedgerow_isolation::protocol::{Error, Facts, Machine, Response};

use super::Server;

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
            lacks: no_nat.into_iter().chain(no_grants).collect(),
        }
    }

    fn facts(&mut self, id: &FenceId) -> Result<Facts, Error> {
        let address = self.network.address(id);
        let report = self.fence(id)?.report();
        let grant = self.grants.of(&report.plan.name).grant;
        Ok(Facts { plan: *report.plan, grant, address, ended: report.ended })
    }
}
