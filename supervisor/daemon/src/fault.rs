//! What went wrong with a component, for people and for the fleet.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::lifecycle::StepKind;

/// What went wrong last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The step at fault, where it was one.
    pub step: Option<String>,
    #[serde(default)]
    pub code: StatusCode,
    /// For people.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            StatusCode::None => f.write_str(&self.message),
            code => write!(f, "{} ({})", self.message, code.name()),
        }
    }
}

/// In which way a step went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It ended with another exit code than 0, or by a signal.
    Error,
    /// The recipe asks for something that makes no sense.
    ConfigNotValid,
    /// Its process could not be made.
    IoError,
    Timeout,
}

/// Greengrass's component status codes (inventory 2.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StatusCode {
    #[default]
    None,
    InstallError,
    InstallConfigNotValid,
    InstallIoError,
    InstallTimeout,
    StartupError,
    StartupConfigNotValid,
    StartupIoError,
    StartupTimeout,
    RunError,
    RunConfigNotValid,
    RunIoError,
    RunTimeout,
    ShutdownError,
    ShutdownTimeout,
    UninstallError,
    UninstallTimeout,
}

impl StatusCode {
    pub fn of(step: StepKind, reason: Reason) -> Self {
        use Reason::{ConfigNotValid, Error, IoError, Timeout};
        match (step, reason) {
            (StepKind::Install, Error) => Self::InstallError,
            (StepKind::Install, ConfigNotValid) => Self::InstallConfigNotValid,
            (StepKind::Install, IoError) => Self::InstallIoError,
            (StepKind::Install, Timeout) => Self::InstallTimeout,
            (StepKind::Startup, Error) => Self::StartupError,
            (StepKind::Startup, ConfigNotValid) => Self::StartupConfigNotValid,
            (StepKind::Startup, IoError) => Self::StartupIoError,
            (StepKind::Startup, Timeout) => Self::StartupTimeout,
            (StepKind::Run, Error) => Self::RunError,
            (StepKind::Run, ConfigNotValid) => Self::RunConfigNotValid,
            (StepKind::Run, IoError) => Self::RunIoError,
            (StepKind::Run, Timeout) => Self::RunTimeout,
            (StepKind::Shutdown, Timeout) => Self::ShutdownTimeout,
            (StepKind::Shutdown, Error | ConfigNotValid | IoError) => Self::ShutdownError,
            (StepKind::Uninstall, Timeout) => Self::UninstallTimeout,
            (StepKind::Uninstall, Error | ConfigNotValid | IoError) => Self::UninstallError,
            // Greengrass has none for these.
            (StepKind::Bootstrap | StepKind::Recover, _) => Self::None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::InstallError => "INSTALL_ERROR",
            Self::InstallConfigNotValid => "INSTALL_CONFIG_NOT_VALID",
            Self::InstallIoError => "INSTALL_IO_ERROR",
            Self::InstallTimeout => "INSTALL_TIMEOUT",
            Self::StartupError => "STARTUP_ERROR",
            Self::StartupConfigNotValid => "STARTUP_CONFIG_NOT_VALID",
            Self::StartupIoError => "STARTUP_IO_ERROR",
            Self::StartupTimeout => "STARTUP_TIMEOUT",
            Self::RunError => "RUN_ERROR",
            Self::RunConfigNotValid => "RUN_CONFIG_NOT_VALID",
            Self::RunIoError => "RUN_IO_ERROR",
            Self::RunTimeout => "RUN_TIMEOUT",
            Self::ShutdownError => "SHUTDOWN_ERROR",
            Self::ShutdownTimeout => "SHUTDOWN_TIMEOUT",
            Self::UninstallError => "UNINSTALL_ERROR",
            Self::UninstallTimeout => "UNINSTALL_TIMEOUT",
        }
    }
}
