//! Reading `accessControl`:
//!
//! ```text
//! <service>:
//!   <policy id>:
//!     policyDescription: any text
//!     operations: ["aws.greengrass#PublishToTopic" | "*", …]
//!     resources: ["…", …]
//! ```

use super::action::Action;
use super::pattern::{MalformedPattern, Pattern};
use super::rules::{RULES, Rule};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::fmt::{self, Write as _};

/// A part of an `accessControl` that grants nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyProblem {
    /// JSON pointer (RFC 6901) below `accessControl`.
    pub pointer: String,
    pub kind: ProblemKind,
}

/// Why it grants nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProblemKind {
    #[error("expected {0}")]
    Type(&'static str),
    #[error("no service of this name takes policies")]
    UnknownService,
    #[error("a policy's id must not be empty")]
    EmptyId,
    #[error("{service} has no operation {operation:?}; the policy is left out")]
    UnknownOperation { service: &'static str, operation: String },
    #[error("there are no {0}, so the policy allows nothing")]
    Missing(&'static str),
    #[error(transparent)]
    Resource(#[from] MalformedPattern),
}

impl fmt::Display for PolicyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "accessControl{}: {}", self.pointer, self.kind)
    }
}

/// What one component may do.
#[derive(Debug, Default)]
pub(super) struct Policies {
    allowed: HashMap<Action, Vec<Pattern>>,
}

impl Policies {
    pub fn read(access_control: &Value) -> (Policies, Vec<PolicyProblem>) {
        let mut reader = Reader::default();
        reader.services(access_control);
        (reader.policies, reader.problems)
    }

    pub fn allow(&self, action: Action, resource: &str) -> bool {
        let patterns = self.allowed.get(&action).map_or(&[][..], Vec::as_slice);
        patterns.iter().any(|pattern| pattern.matches(resource))
    }
}

#[derive(Default)]
struct Reader {
    policies: Policies,
    problems: Vec<PolicyProblem>,
    pointer: String,
}

impl Reader {
    fn services(&mut self, access_control: &Value) {
        if access_control.is_null() {
            return; // no accessControl at all
        }
        let Some(services) = self.object(access_control, "an object of services") else { return };
        for (name, policies) in services {
            self.below(name, |reader| {
                match RULES.iter().find(|rule| rule.service == name) {
                    Some(rule) => reader.service(rule, policies),
                    None => reader.problem(ProblemKind::UnknownService),
                };
            });
        }
    }

    fn service(&mut self, rule: &'static Rule, policies: &Value) {
        let Some(policies) = self.object(policies, "an object of policies") else { return };
        for (id, policy) in policies {
            self.below(id, |reader| {
                if id.is_empty() {
                    reader.problem(ProblemKind::EmptyId);
                } else {
                    reader.policy(rule, policy);
                }
            });
        }
    }

    /// One wrong operation leaves the whole policy out, as Greengrass does: what its author meant
    /// is not known. A wrong resource only leaves itself out.
    fn policy(&mut self, rule: &'static Rule, policy: &Value) {
        let Some(policy) = self.object(policy, "a policy") else { return };
        let Some(actions) = self.actions(rule, policy) else { return };
        let patterns = self.resources(rule, policy);
        for action in actions {
            self.policies.allowed.entry(action).or_default().extend(patterns.iter().cloned());
        }
    }

    fn actions(&mut self, rule: &'static Rule, policy: &Map<String, Value>) -> Option<Vec<Action>> {
        let mut actions = Vec::new();
        let mut valid = true;
        for (index, name) in self.strings(policy, "operations").into_iter().enumerate() {
            if name == "*" {
                actions.extend(rule.actions);
                continue;
            }
            let known = Action::from_name(name);
            if let Some(action) = known.filter(|known| rule.actions.contains(known)) {
                actions.push(action);
                continue;
            }
            valid = false;
            let kind =
                ProblemKind::UnknownOperation { service: rule.service, operation: name.into() };
            self.below("operations", |reader| {
                reader.below(&index.to_string(), |reader| reader.problem(kind));
            });
        }
        valid.then_some(actions)
    }

    fn resources(&mut self, rule: &'static Rule, policy: &Map<String, Value>) -> Vec<Pattern> {
        let mut patterns = Vec::new();
        for (index, resource) in self.strings(policy, "resources").into_iter().enumerate() {
            match Pattern::parse(resource, rule.style) {
                Ok(pattern) => patterns.push(pattern),
                Err(error) => self.below("resources", |reader| {
                    reader.below(&index.to_string(), |reader| reader.problem(error.into()));
                }),
            }
        }
        patterns
    }

    /// The list of strings that `member` is. What is none is reported and counts as an empty
    /// string, so that the others keep their place; an empty string is never valid.
    fn strings<'a>(
        &mut self,
        policy: &'a Map<String, Value>,
        member: &'static str,
    ) -> Vec<&'a str> {
        let value = policy.get(member).unwrap_or(&Value::Null);
        let items = match value {
            Value::Null => &[],
            Value::Array(items) => items.as_slice(),
            _ => {
                self.below(member, |reader| {
                    reader.problem(ProblemKind::Type("a list of strings"));
                });
                return Vec::new();
            }
        };
        if items.is_empty() {
            self.problem(ProblemKind::Missing(member));
        }
        items.iter().map(|item| item.as_str().unwrap_or_default()).collect()
    }

    fn object<'a>(
        &mut self,
        value: &'a Value,
        expected: &'static str,
    ) -> Option<&'a Map<String, Value>> {
        if value.as_object().is_none() {
            self.problem(ProblemKind::Type(expected));
        }
        value.as_object()
    }

    fn problem(&mut self, kind: ProblemKind) {
        self.problems.push(PolicyProblem { pointer: self.pointer.clone(), kind });
    }

    fn below(&mut self, member: &str, read: impl FnOnce(&mut Reader)) {
        let length = self.pointer.len();
        let escaped = member.replace('~', "~0").replace('/', "~1");
        // Writing to a string does not fail.
        let _ = write!(self.pointer, "/{escaped}");
        read(self);
        self.pointer.truncate(length);
    }
}
