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
    let any_version = Target { qualifier: None, ..target.clone() };
    let known = functions.find(&any_version);
    let name = known.map_or(target.function, |spec| spec.name.clone());
    allow(&name)?;
    let target = Target { function: name, qualifier: target.qualifier };
    let spec = functions.find(&target)?;
    Ok(Found { spec, target })
}
