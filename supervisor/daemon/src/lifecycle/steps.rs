//! Which steps a component has.

pub use hedgerow_component::recipe::StepName as StepKind;
use serde::{Deserialize, Serialize};

/// Which of the steps that concern the machine a definition has. (A deployment runs `bootstrap` by itself, in a fence
/// of its own, before it switches to a version.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Steps {
    pub install: bool,
    pub startup: bool,
    pub run: bool,
    pub shutdown: bool,
    pub recover: bool,
    pub uninstall: bool,
}
