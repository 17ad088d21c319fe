//! Whom the SDK invokes.

use crate::Target;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Callee {
    Function(Target),
    Service(Service),
}

/// A part of the device that the SDK invokes like a function. The ARNs are ours and in the modules that we put beside
/// the SDK; no function has such a one, without region and account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    /// `iot-data` publish.
    Router,
    /// `iot-data` shadows.
    Shadows,
    /// `secretsmanager`.
    Secrets,
}

impl From<Target> for Callee {
    fn from(target: Target) -> Self {
        match &*target.function {
            "arn:aws:lambda:::function:GGRouter" => Self::Service(Service::Router),
            "arn:aws:lambda:::function:GGShadowService" => Self::Service(Service::Shadows),
            "arn:aws:lambda:::function:GGSecretManager" => Self::Service(Service::Secrets),
            _ => Self::Function(target),
        }
    }
}
