//! What a plan needs of the launcher before a builder can make a fence of it.

use std::os::fd::{AsFd, OwnedFd};

use hedgerow_isolation::grants::Grant;
use hedgerow_isolation::network::Port;
use hedgerow_isolation::plan::{Network, Plan};
use hedgerow_isolation::protocol::{Error, ErrorKind, MAX_FENCES};

use rustix::net::{AddressFamily, SocketType};

use super::Server;
use crate::bus::Bus;
use crate::check;
use crate::daemon::Ticket;
use crate::fence::{Fence, Materials};
use crate::grants::Granted;
use crate::network;
use crate::network::link::Link;
use crate::observer::{Brief, Observer};
use crate::setup::{self, Compilation, Filter};

impl Server {
    pub(super) fn open(
        &mut self,
        plan: Plan,
        note: String,
        mut descriptors: Vec<OwnedFd>,
        told: Option<OwnedFd>,
        ticket: Ticket,
    ) -> Result<(), Error> {
        if self.stopping {
            return Err(Error::new(ErrorKind::System, "the launcher is stopping"));
        }
        if self.fences.contains_key(&plan.fence) {
            let message = format!("fence {} is open already", plan.fence);
            return Err(Error::new(ErrorKind::AlreadyOpen, message));
        }
        if self.fences.len() >= MAX_FENCES || descriptors.len() > 1 {
            let message = format!("{MAX_FENCES} fences and one descriptor at most");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        check::note(&note)?;
        check::plan(&plan, self.fences.values().map(Fence::plan))?;
        let granted = self.grants.of(&plan.name)?;
        if plan.network == Network::Host && !granted.grant.host_network {
            let line = "host-network = true";
            return Err(self.grants.refusal(&granted, "the host's network", line));
        }
        self.grants.ensure(&granted, &plan.needs)?;

        if let Some(source) = plan.sources().find(|source| self.discards.touch(source)) {
            let message = format!("{source:?} is just being removed: try again later");
            return Err(Error::new(ErrorKind::System, message));
        }

        let failed = |e: &dyn std::fmt::Display| Error::new(ErrorKind::System, e.to_string());
        self.root.refresh(self.network.name_servers()).map_err(|e| failed(&e))?;
        let skeleton = self.root.copy().map_err(|e| failed(&e))?;
        let init = setup::open_program(&self.init).map_err(|e| failed(&e))?;
        let (staged, sources) = self.sources(plan.clone())?;
        let observation = told.map(|told| self.observe(&plan, &granted, &told)).transpose()?;
        let grant = granted.grant;
        if let Some(settings) = granted.network {
            self.network.deny(settings.deny);
        }
        let bus = grant.host_dbus.as_ref().map(|dbus| Bus::make(dbus, granted.host_dbus.address));
        let bus = bus.transpose().map_err(|e| failed(&e))?;
        let link = self.join(&plan, &grant, granted.elsewhere)?;
        let id = plan.fence.clone();
        let listener = descriptors.pop();
        let fence = self
            .cgroups
            .create(&plan.fence, plan.limits)
            .map_err(|e| failed(&e))
            .and_then(|cgroup| {
                let (filter, observer) = observation.unzip();
                let filter = filter.as_ref().map_or(self.filter.as_fd(), AsFd::as_fd);
                let materials = Materials {
                    builder: &self.builder,
                    init,
                    skeleton,
                    bus,
                    sources,
                    link,
                    grant,
                    filter,
                    observer,
                    plan: staged,
                };
                Fence::open(plan, note, listener, cgroup, materials, ticket)
            })
            .inspect_err(|_| self.network.release(&id))?;
        self.fences.insert(id, fence);
        Ok(())
    }

    /// What an observed fence has beyond the ordinary: its filter, and who answers what that asks.
    fn observe(
        &self,
        plan: &Plan,
        granted: &Granted,
        told: &OwnedFd,
    ) -> Result<(OwnedFd, Observer), Error> {
        let failed = |e: &dyn std::fmt::Display| Error::new(ErrorKind::System, e.to_string());
        // Whatever else it is, root would write to it for the daemon.
        if !is_a_channel(told) {
            let message = "the descriptor to tell what is observed: a unix socket, SOCK_SEQPACKET";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let filter = Compilation::begin(&self.builder, Filter::Observing)
            .and_then(Compilation::finish)
            .map_err(|e| failed(&e))?;
        let brief = Brief {
            ids: granted.grant.users(plan.ids),
            network: plan.network,
            grant: granted.grant.clone(),
            elsewhere: granted.elsewhere.clone(),
            link_local: granted.network.as_ref().is_some_and(|network| network.link_local),
        };
        Ok((filter, Observer::start(&self.builder, &brief, told)?))
    }

    /// What the builder needs of the plan's directories, in the order of its blueprint; and the plan without what
    /// does not exist of its dependencies.
    fn sources(&self, mut plan: Plan) -> Result<(Plan, Vec<OwnedFd>), Error> {
        let mut sources = Vec::new();
        if let Some(layer) = &plan.layer {
            sources.push(self.bases.layer(&layer.source)?);
        }
        for mount in &plan.mounts {
            sources.push(self.bases.mount(mount, plan.ids)?);
        }
        for dependency in &mut plan.dependencies {
            if let Some(layer) = dependency.layer.take()
                && let Some(found) = self.bases.dependencys_layer(&layer)?
            {
                sources.push(found);
                dependency.layer = Some(layer);
            }
            for mount in std::mem::take(&mut dependency.mounts) {
                if let Some(found) = self.bases.dependencys_mount(&mount)? {
                    sources.push(found);
                    dependency.mounts.push(mount);
                }
            }
        }
        Ok((plan, sources))
    }

    fn join(
        &mut self,
        plan: &Plan,
        grant: &Grant,
        elsewhere: Vec<Port>,
    ) -> Result<Option<Link>, Error> {
        let joined = match plan.network {
            Network::None | Network::Host => return Ok(None),
            Network::Nat => {
                self.network.join(plan, grant.users(plan.ids), grant.ports.clone(), elsewhere)
            }
        };
        joined.map(Some).map_err(|error| {
            let kind = match error {
                network::Error::Published { .. } | network::Error::Port { .. } => {
                    ErrorKind::Invalid
                }
                network::Error::Unavailable(_) => ErrorKind::NoNat,
                network::Error::Full(_) | network::Error::System(..) => ErrorKind::System,
            };
            Error::new(kind, error.to_string())
        })
    }
}

fn is_a_channel(descriptor: &OwnedFd) -> bool {
    let domain = rustix::net::sockopt::socket_domain(descriptor);
    let kind = rustix::net::sockopt::socket_type(descriptor);
    domain == Ok(AddressFamily::UNIX) && kind == Ok(SocketType::SEQPACKET)
}
