//! What of a definition is a Lambda function's.

use std::collections::BTreeMap;

use hedgerow_component::ComponentName;
use hedgerow_component::lambda::{Container, Runtime};
use hedgerow_function::{FunctionSpec, Runtime as Asked};
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

impl Function {
    /// What a person should know before relying on it.
    pub fn notices(&self, component: &ComponentName) -> Vec<String> {
        let mut notices = Vec::new();
        let asked = &self.spec.runtime;
        match (&self.client, asked) {
            (Some(Client { component: client, runtime, .. }), _)
                if runtime.to_string() != asked.to_string() =>
            {
                notices.push(format!(
                    "{component} is for {asked} and is run by {runtime}, which {client} brings"
                ));
            }
            (None, Asked::Python { .. } | Asked::Node { .. }) => notices.push(format!(
                "no component brings what runs {asked}: unless the archive of {component} or a layer does, it will not \
                 start; deploy io.hedgerow.runtime.{asked}"
            )),
            (Some(_), _) | (None, Asked::Provided { .. }) => {}
        }
        if !self.container.isolated {
            notices.push(format!(
                "{component} asks for NoContainer and gets a fence as any component does: of the host it has what is \
                 granted to it"
            ));
        }
        notices
    }
}
