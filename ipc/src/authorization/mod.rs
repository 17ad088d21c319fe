//! Who may do what: one authorizer for components, host users, local devices and the cloud.
//!
//! Components may do what their configuration's `accessControl` allows and nothing else. Operations
//! that concern only the caller itself need no rule; what no rule is known for is denied. A host user is admitted by the bus before it
//! becomes a principal and may do everything. Nothing is granted to local devices and the cloud.

mod action;
mod pattern;
mod policy;
mod resource;
mod rules;
#[cfg(test)]
mod tests;

pub use self::action::Action;
pub use self::pattern::{MalformedPattern, Pattern, Style};
pub use self::policy::{PolicyProblem, ProblemKind};
pub use self::resource::resource;
pub(crate) use self::rules::is_decided_by_services;

use self::policy::Policies;
use self::rules::Requirement;
use crate::model::Operation;
use crate::principal::Principal;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// The right of one principal to one action on one resource. Only the authorizer makes it.
#[derive(Debug, Clone)]
#[must_use]
pub struct Permit {
    who: Principal,
    action: Action,
    resource: Arc<str>,
}

impl Permit {
    pub fn who(&self) -> &Principal {
        &self.who
    }

    pub fn action(&self) -> Action {
        self.action
    }

    pub fn resource(&self) -> &Arc<str> {
        &self.resource
    }
}

/// There is no rule that allows it. `Display` names the missing rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Denied {
    pub who: Principal,
    /// The service below `accessControl` that the rule would stand under, if there can be one.
    pub service: Option<&'static str>,
    pub action: Action,
    pub resource: Arc<str>,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Denied { who, service, action, resource } = self;
        let Some(service) = service else {
            return write!(f, "{who} cannot be granted {action}");
        };
        write!(
            f,
            "{who} has no accessControl rule for {service} that allows {action} on {resource:?}"
        )
    }
}

/// The rules of every component.
#[derive(Debug, Default)]
pub(crate) struct Authorizer {
    components: HashMap<Box<str>, Policies>,
    /// Without a policy: exactly these resources.
    deployed: HashMap<Box<str>, Vec<(Operation, String)>>,
}

impl Authorizer {
    pub fn set(
        &mut self,
        component: &str,
        access_control: &serde_json::Value,
    ) -> Vec<PolicyProblem> {
        let (policies, problems) = Policies::read(access_control);
        self.components.insert(component.into(), policies);
        problems
    }

    pub fn set_deployed(&mut self, component: &str, allowed: Vec<(Operation, String)>) {
        self.deployed.insert(component.into(), allowed);
    }

    pub fn remove(&mut self, component: &str) {
        self.components.remove(component);
        self.deployed.remove(component);
    }

    pub fn authorize(
        &self,
        who: &Principal,
        action: impl Into<Action>,
        resource: &str,
    ) -> Result<Permit, Denied> {
        let action = action.into();
        let requirement = rules::requirement(action);
        let allowed = match (who, requirement) {
            (Principal::HostUser(_), _) | (Principal::Component(_), Requirement::Nothing) => true,
            (Principal::Component(name), Requirement::Policy(_)) => {
                let policies = self.components.get(name.as_ref());
                policies.is_some_and(|policies| policies.allow(action, resource))
                    || self.is_deployed(name, action, resource)
            }
            (Principal::Component(_), Requirement::Impossible)
            | (Principal::LocalDevice(_) | Principal::Cloud, _) => false,
        };
        let (who, resource) = (who.clone(), Arc::from(resource));
        if allowed {
            return Ok(Permit { who, action, resource });
        }
        let service = match requirement {
            Requirement::Policy(rule) => Some(rule.service),
            Requirement::Nothing | Requirement::Impossible => None,
        };
        Err(Denied { who, service, action, resource })
    }

    fn is_deployed(&self, component: &str, action: Action, resource: &str) -> bool {
        let allowed = self.deployed.get(component).map(Vec::as_slice).unwrap_or_default();
        allowed.iter().any(|(allowed, name)| Action::Ipc(*allowed) == action && name == resource)
    }
}
