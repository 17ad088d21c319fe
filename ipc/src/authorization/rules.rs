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

/// Operations that concern only the component that calls them.
const OWN: &[Operation] = &[
    UpdateState,
    SubscribeToComponentUpdates,
    DeferComponentUpdate,
    GetConfiguration,
    UpdateConfiguration,
    SubscribeToConfigurationUpdate,
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
