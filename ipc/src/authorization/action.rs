//! What a rule of `accessControl` allows.

use crate::model::Operation;
use std::fmt;

/// An operation of the IPC service, or what components ask of the device in another way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    Ipc(Operation),
    /// Of a Lambda function, by name, with the SDK of Greengrass v1.
    InvokeFunction,
}

const INVOKE_FUNCTION: &str = "hedgerow#InvokeFunction";

impl Action {
    /// Finds the action of that name in a policy's `operations`.
    pub fn from_name(name: &str) -> Option<Action> {
        match name {
            INVOKE_FUNCTION => Some(Action::InvokeFunction),
            _ => Operation::from_header(name).map(Action::Ipc),
        }
    }

    /// As in a policy's `operations`.
    pub const fn name(self) -> &'static str {
        match self {
            Action::Ipc(operation) => operation.header(),
            Action::InvokeFunction => INVOKE_FUNCTION,
        }
    }
}

impl From<Operation> for Action {
    fn from(operation: Operation) -> Action {
        Action::Ipc(operation)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
