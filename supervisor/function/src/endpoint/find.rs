//! Whom a request is for.

use std::sync::Arc;

use super::refusal::Refusal;
use crate::{FunctionSpec, Functions, Target};

/// A function that the caller may invoke.
#[derive(Debug)]
pub(crate) struct Found {
    pub spec: Arc<FunctionSpec>,
    /// By its name: other names of it may be another's in a moment.
    pub target: Target,
}

/// Who is allowed nothing of a function cannot find out whether there is one.
pub(crate) fn find(
    functions: &Functions,
    target: Target,
    allow: impl Fn(&str) -> Result<(), Refusal>,
) -> Result<Found, Refusal> {
    match functions.find(&target) {
        Ok(spec) => {
            allow(&spec.name)?;
            let target = Target { function: spec.name.clone(), ..target };
            Ok(Found { spec, target })
        }
        Err(error) => {
            allow(&target.function)?;
            Err(error.into())
        }
    }
}
