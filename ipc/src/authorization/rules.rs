//! Which operations need a policy, under which service, and how its resources are read.

use super::pattern::Style;
use crate::model::Operation::{self, *};

/// A service of `accessControl` with its operations.
#[derive(Debug)]
pub(super) struct Rule {
    pub service: &'static str,
    pub operations: &'static [Operation],
    pub style: Style,
}

/// Every service that `accessControl` knows.
pub(super) const RULES: &[Rule] = &[
    Rule {
        service: "aws.greengrass.ipc.pubsub",
        operations: &[PublishToTopic, SubscribeToTopic],
        style: Style::Standard,
    },
    Rule {
        service: "aws.greengrass.ipc.mqttproxy",
        operations: &[PublishToIoTCore, SubscribeToIoTCore],
        style: Style::Mqtt,
    },
    Rule {
        service: "aws.greengrass.ipc.lifecycle",
        operations: &[PauseComponent, ResumeComponent],
        style: Style::Standard,
    },
    Rule {
        service: "aws.greengrass.ipc.componentmetric",
        operations: &[PutComponentMetric],
        style: Style::Standard,
    },
    // The configurations of other components, by name. Greengrass lets every component read all of them and has no
    // rule for it, so the service's name is ours.
    Rule {
        service: "io.hedgerow.ipc.configuration",
        operations: &[GetConfiguration, SubscribeToConfigurationUpdate],
        style: Style::Standard,
    },
    Rule {
        service: "aws.greengrass.SecretManager",
        operations: &[GetSecretValue],
        style: Style::Standard,
    },
    Rule {
        service: "aws.greengrass.ShadowManager",
        operations: &[
            GetThingShadow,
            UpdateThingShadow,
            DeleteThingShadow,
            ListNamedShadowsForThing,
        ],
        style: Style::Standard,
    },
    Rule {
        service: "aws.greengrass.Cli",
        operations: &[
            CreateLocalDeployment,
            CancelLocalDeployment,
            ListLocalDeployments,
            GetLocalDeploymentStatus,
            ListComponents,
            GetComponentDetails,
            RestartComponent,
            StopComponent,
            CreateDebugPassword,
        ],
        style: Style::Standard,
    },
    Rule {
        service: "aws.greengrass.clientdevices.Auth",
        operations: &[
            SubscribeToCertificateUpdates,
            VerifyClientDeviceIdentity,
            GetClientDeviceAuthToken,
            AuthorizeClientDeviceAction,
        ],
        style: Style::Standard,
    },
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

/// What `operation` requires of a component.
pub(super) fn requirement(operation: Operation) -> Requirement {
    match RULES.iter().find(|rule| rule.operations.contains(&operation)) {
        Some(rule) => Requirement::Policy(rule),
        None if OWN.contains(&operation) => Requirement::Nothing,
        None => Requirement::Impossible,
    }
}
