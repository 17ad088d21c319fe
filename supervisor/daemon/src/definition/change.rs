//! What another definition of a running component asks for (inventory 2.4).

use std::collections::BTreeSet;
use std::fmt;

use hedgerow_isolation::plan::FenceId;

use super::{Definition, StepDefinition};
use crate::lifecycle::StepKind;

/// How far a change reaches. Of several, the one that reaches farthest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// What runs is not concerned; the next start uses it.
    Nothing,
    /// Applied to what runs.
    Live,
    Restart,
    /// Restart, and the install step before it.
    Reinstall,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    Version {
        from: String,
        to: String,
    },
    Artifacts,
    User {
        from: String,
        to: String,
    },
    Shell {
        from: String,
        to: String,
    },
    Script(StepKind),
    Environment(StepKind),
    Privilege(StepKind),
    SkipIf(StepKind),
    Timeout(StepKind),
    Dependencies,
    Limits,
    /// Bytes of disk.
    Quota,
    /// Mounts, network or ids: what a fence gets when it is opened.
    Fence,
    /// What the instances of a Lambda function run: those that are there finish what they do, and go.
    Function,
    /// How events reach a Lambda function.
    Events,
}

/// From one definition of a component to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub effect: Effect,
    /// Everything that differs; empty where nothing does.
    pub reasons: Vec<Reason>,
}

impl Definition {
    /// What a component that runs by `self` has to do in order to run by `new`.
    pub fn change_to(&self, new: &Definition) -> Change {
        let reasons = self.differences(new);
        let effect = reasons.iter().map(Reason::effect).max().unwrap_or(Effect::Nothing);
        Change { effect, reasons }
    }

    fn differences(&self, new: &Definition) -> Vec<Reason> {
        let mut reasons = Vec::new();
        if self.version != new.version {
            reasons.push(Reason::Version { from: self.version.clone(), to: new.version.clone() });
        }
        if (&self.package, self.place) != (&new.package, new.place) {
            reasons.push(Reason::Artifacts);
        }
        if self.run_with.posix_user != new.run_with.posix_user {
            let name = |of: &Definition| of.run_with.posix_user.clone().unwrap_or_default();
            reasons.push(Reason::User { from: name(self), to: name(new) });
        }
        let (from, to) = (&self.run_with.posix_shell, &new.run_with.posix_shell);
        if from != to {
            reasons.push(Reason::Shell { from: from.clone(), to: to.clone() });
        }
        let kinds: BTreeSet<_> = self.steps.keys().chain(new.steps.keys()).copied().collect();
        for kind in kinds {
            reasons.extend(difference_of(kind, self.steps.get(&kind), new.steps.get(&kind)));
        }
        if self.hard_dependencies != new.hard_dependencies
            || self.soft_dependencies != new.soft_dependencies
        {
            reasons.push(Reason::Dependencies);
        }
        if self.run_with.limits != new.run_with.limits {
            reasons.push(Reason::Limits);
        }
        if (self.layer_quota, self.work_quota) != (new.layer_quota, new.work_quota) {
            reasons.push(Reason::Quota);
        }
        reasons.extend(self.difference_of_function(new));
        let says_why = reasons.iter().any(|reason| reason.effect() >= Effect::Restart);
        if !says_why && !self.opens_like(new) {
            reasons.push(Reason::Fence);
        }
        reasons
    }

    fn difference_of_function(&self, new: &Definition) -> Option<Reason> {
        let (Some(own), Some(new)) = (&self.function, &new.function) else {
            return (self.function != new.function).then_some(Reason::Function);
        };
        match (own.spec.digest == new.spec.digest, own.spec == new.spec) {
            (false, _) => Some(Reason::Function),
            (true, false) => Some(Reason::Events),
            (true, true) => None,
        }
    }

    /// Whether a fence of the other would be the same but for its limits.
    fn opens_like(&self, other: &Definition) -> bool {
        let Ok(fence) = FenceId::try_from("compared".to_owned()) else { return false };
        let (mut own, other) = (self.plan(fence.clone()), other.plan(fence));
        own.limits = other.limits;
        own.layer.clone_from(&other.layer);
        own == other
    }
}

fn difference_of(
    kind: StepKind,
    old: Option<&StepDefinition>,
    new: Option<&StepDefinition>,
) -> Option<Reason> {
    let (Some(old), Some(new)) = (old, new) else {
        return (old != new).then_some(Reason::Script(kind));
    };
    if old.script != new.script {
        Some(Reason::Script(kind))
    } else if old.environment != new.environment {
        Some(Reason::Environment(kind))
    } else if old.privileged != new.privileged {
        Some(Reason::Privilege(kind))
    } else if old.skip_if != new.skip_if {
        Some(Reason::SkipIf(kind))
    } else if old.invalid != new.invalid {
        Some(Reason::Script(kind))
    } else if old.timeout != new.timeout {
        Some(Reason::Timeout(kind))
    } else {
        None
    }
}

impl Reason {
    pub fn effect(&self) -> Effect {
        match self {
            Self::Version { .. } | Self::Artifacts | Self::User { .. } => Effect::Reinstall,
            Self::Script(step)
            | Self::Environment(step)
            | Self::Privilege(step)
            | Self::SkipIf(step) => match step {
                StepKind::Install => Effect::Reinstall,
                StepKind::Startup | StepKind::Run => Effect::Restart,
                // What runs is ended by the steps that it was started with.
                StepKind::Bootstrap
                | StepKind::Shutdown
                | StepKind::Recover
                | StepKind::Uninstall => Effect::Nothing,
            },
            Self::Timeout(StepKind::Run) | Self::Fence | Self::Shell { .. } | Self::Function => {
                Effect::Restart
            }
            // An install that succeeded was quick enough, and so was a startup.
            Self::Timeout(
                StepKind::Bootstrap
                | StepKind::Install
                | StepKind::Startup
                | StepKind::Shutdown
                | StepKind::Recover
                | StepKind::Uninstall,
            )
            | Self::Quota => Effect::Nothing,
            Self::Limits | Self::Dependencies | Self::Events => Effect::Live,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version { from, to } => write!(f, "version {from} becomes {to}"),
            Self::Artifacts => f.write_str("artifacts or recipe differ"),
            Self::User { from, to } => write!(f, "user {from:?} becomes {to:?}"),
            Self::Shell { from, to } => write!(f, "shell {from:?} becomes {to:?}"),
            Self::Script(step) => write!(f, "the {step} step differs"),
            Self::Environment(step) => write!(f, "the environment of {step} differs"),
            Self::Privilege(step) => write!(f, "RequiresPrivilege of {step} differs"),
            Self::SkipIf(step) => write!(f, "Skipif of {step} differs"),
            Self::Timeout(step) => write!(f, "the timeout of {step} differs"),
            Self::Dependencies => f.write_str("dependencies differ"),
            Self::Limits => f.write_str("limits differ"),
            Self::Quota => f.write_str("the quota of its disk differs"),
            Self::Fence => f.write_str("mounts or network differ"),
            Self::Function => f.write_str("what the function's instances run differs"),
            Self::Events => f.write_str("the function's limits or event sources differ"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use hedgerow_isolation::plan::{IdRange, Limits, Network};

    use super::super::RunWith;
    use super::*;
    use crate::packages::Place;

    fn definition() -> Definition {
        let step = |script: &str| StepDefinition {
            script: script.into(),
            environment: BTreeMap::from([("A".to_owned(), "1".to_owned())]),
            timeout: None,
            privileged: false,
            skip_if: None,
            invalid: None,
        };
        Definition {
            name: "a".into(),
            version: "1.0.0".into(),
            slot: 1,
            ids: IdRange { first: 1 << 20 },
            function: None,
            steps: StepKind::ALL.into_iter().map(|kind| (kind, step(kind.as_str()))).collect(),
            hard_dependencies: vec![],
            soft_dependencies: vec![],
            package: "packages/x".into(),
            place: Place::Store,
            dependencies: vec![],
            layer_quota: 1 << 20,
            work_quota: None,
            run_with: RunWith {
                posix_user: None,
                posix_shell: "sh".into(),
                limits: Limits::default(),
            },
            network: Network::None,
            digest: String::new(),
            install_fingerprint: String::new(),
        }
    }

    fn effect(change: impl FnOnce(&mut Definition)) -> Effect {
        let (old, mut new) = (definition(), definition());
        change(&mut new);
        let change = old.change_to(&new);
        assert_eq!(change.reasons.is_empty(), old == new, "{:?}", change.reasons);
        change.effect
    }

    fn step(definition: &mut Definition, kind: StepKind) -> &mut StepDefinition {
        definition.steps.get_mut(&kind).expect("every step")
    }

    #[test]
    fn a_change_reaches_as_far_as_it_must() {
        assert_eq!(effect(|_| {}), Effect::Nothing);
        assert_eq!(effect(|d| d.version = "1.0.1".into()), Effect::Reinstall);
        assert_eq!(effect(|d| d.run_with.posix_user = Some("root".into())), Effect::Reinstall);
        assert_eq!(effect(|d| d.run_with.limits.memory = Some(1 << 20)), Effect::Live);
        assert_eq!(effect(|d| d.run_with.posix_shell = "bash".into()), Effect::Restart);
        assert_eq!(effect(|d| d.work_quota = Some(1)), Effect::Nothing);
        assert_eq!(effect(|d| d.layer_quota = 1), Effect::Nothing);
        assert_eq!(effect(|d| d.network = Network::Host), Effect::Restart);
        for (kind, expected) in [
            (StepKind::Bootstrap, Effect::Nothing),
            (StepKind::Install, Effect::Reinstall),
            (StepKind::Startup, Effect::Restart),
            (StepKind::Run, Effect::Restart),
            (StepKind::Shutdown, Effect::Nothing),
            (StepKind::Recover, Effect::Nothing),
            (StepKind::Uninstall, Effect::Nothing),
        ] {
            assert_eq!(effect(|d| step(d, kind).script = "other".into()), expected, "{kind}");
            assert_eq!(effect(|d| drop(d.steps.remove(&kind))), expected, "{kind}");
            let hour = Some(Duration::from_secs(3600));
            let timeout = effect(|d| step(d, kind).timeout = hour);
            assert_eq!(timeout == Effect::Restart, kind == StepKind::Run, "{kind}");
        }
    }

    #[test]
    fn the_farthest_of_several_counts_and_each_is_told() {
        let (old, mut new) = (definition(), definition());
        new.run_with.limits.pids = Some(1);
        step(&mut new, StepKind::Run).environment.clear();
        let change = old.change_to(&new);
        assert_eq!(change.effect, Effect::Restart);
        let told: Vec<String> = change.reasons.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["the environment of run differs", "limits differ"]);
    }
}
