//! What of a definition is a Lambda function's.

use std::collections::BTreeMap;

use hedgerow_component::lambda::{Container, Runtime};
use hedgerow_function::FunctionSpec;
use serde::Serialize;

/// Directories are relative to the state directory.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Function {
    pub spec: FunctionSpec,
    /// The recipe's own variables for its processes; [`FunctionSpec::environment`] comes after them.
    pub variables: BTreeMap<String, String>,
    pub container: Container,
    /// Its code, unpacked: `/var/task`.
    pub code: String,
    /// What is seen at `/opt`, the later over the earlier.
    pub layers: Vec<String>,
    /// Absent where no component brings one: then the function or a layer may.
    pub client: Option<Client>,
}

/// A component that brings the client of a runtime, and perhaps an interpreter in `bin`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Client {
    pub component: String,
    /// What it is the client of: another version of the function's language than the function asks for, perhaps.
    pub runtime: Runtime,
    /// `/var/runtime`.
    pub directory: String,
}
