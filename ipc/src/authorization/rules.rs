//! Which operations need a policy, under which service, and how its resources are read.

use super::action::Action::{self, InvokeFunction, Ipc};
use super::pattern::Style;
use crate::model::Operation::{self, *};

/// A service of `accessControl` with what it calls operations.
#[derive(Debug)]
pub(super) struct Rule {
    pub service: &'static str,
    pub actions: &'static [Action],
    pub style: Style,
}

/// Every service that `accessControl` knows.
pub(super) const RULES: &[Rule] = &[
    Rule {
        service: "aws.greengrass.ipc.pubsub",
        actions: &[Ipc(PublishToTopic), Ipc(SubscribeToTopic)],
        style: Style::Standard,
    },
    Rule {
        service: "aws.greengrass.ipc.mqttproxy",
        actions: &[Ipc(PublishToIoTCore), Ipc(SubscribeToIoTCore)],
        style: Style::Mqtt,
    },
    Rule {
        service: "aws.greengrass.ipc.lifecycle",
        actions: &[Ipc(PauseComponent), Ipc(ResumeComponent)],
        style: Style::Standard,
    },
    Rule {
        service: "aws.greengrass.ipc.componentmetric",
        actions: &[Ipc(PutComponentMetric)],
        style: Style::Standard,
    },
    // The configurations of other components, by name. Greengrass lets every component read all of them and has no
    // rule for it, so the service's name is ours.
    Rule {
        service: "io.hedgerow.ipc.configuration",
        actions: &[Ipc(GetConfiguration), Ipc(SubscribeToConfigurationUpdate)],
        style: Style::Standard,
    },
    Rule {
        service: "aws.greengrass.SecretManager",
        actions: &[Ipc(GetSecretValue)],
        style: Style::Standard,
    },
    Rule {
        service: "aws.greengrass.ShadowManager",
        actions: &[
            Ipc(GetThingShadow),
            Ipc(UpdateThingShadow),
            Ipc(DeleteThingShadow),
            Ipc(ListNamedShadowsForThing),
        ],
        style: Style::Standard,
    },
    Rule {
        service: "aws.greengrass.Cli",
        actions: &[
            Ipc(CreateLocalDeployment),
            Ipc(CancelLocalDeployment),
            Ipc(ListLocalDeployments),
            Ipc(GetLocalDeploymentStatus),
            Ipc(ListComponents),
            Ipc(GetComponentDetails),
            Ipc(RestartComponent),
            Ipc(StopComponent),
            Ipc(CreateDebugPassword),
        ],
        style: Style::Standard,
    },
    Rule {
        service: "aws.greengrass.clientdevices.Auth",
        actions: &[
            Ipc(SubscribeToCertificateUpdates),
            Ipc(VerifyClientDeviceIdentity),
            Ipc(GetClientDeviceAuthToken),
            Ipc(AuthorizeClientDeviceAction),
        ],
        style: Style::Standard,
    },
    // Lambda functions, by name. Greengrass v1 has no rule for it and v2 no IPC operation, so the names are ours.
    Rule { service: "hedgerow.function", actions: &[InvokeFunction], style: Style::Standard },
];

/// Operations that [`Services`](crate::Services) authorizes itself: the right to them depends on what the caller is, or
/// on more than one resource.
const DECIDED_BY_SERVICES: &[Operation] = &[
    GetConfiguration,
    SubscribeToConfigurationUpdate,
    PutComponentMetric,
    ValidateAuthorizationToken,
];

/// Whether a request is handed on without having been authorized.
pub(crate) fn is_decided_by_services(operation: Operation) -> bool {
    DECIDED_BY_SERVICES.contains(&operation)
}

/// Operations that concern only the component that calls them.
const OWN: &[Operation] = &[
    UpdateState,
    SubscribeToComponentUpdates,
    DeferComponentUpdate,
    UpdateConfiguration,
    SubscribeToValidateConfigurationUpdates,
    SendConfigurationValidityReport,
    SubscribeToIoTCoreConnectionStatus,
];

/// What it takes to be allowed an operation.
#[derive(Debug, Clone, Copy)]
pub(super) enum Requirement {
    /// Nothing: it concerns only the caller.
    Nothing,
    /// A policy under this service.
    Policy(&'static Rule),
    /// There is no way to grant it: neither list above has it.
    Impossible,
}

/// What `action` requires of a component.
pub(super) fn requirement(action: Action) -> Requirement {
    let is_own = matches!(action, Ipc(operation) if OWN.contains(&operation));
    match RULES.iter().find(|rule| rule.actions.contains(&action)) {
        Some(rule) => Requirement::Policy(rule),
        None if is_own => Requirement::Nothing,
        None => Requirement::Impossible,
    }
}
