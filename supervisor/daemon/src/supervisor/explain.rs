//! `Manager.Explain`: why a component sees and may do what it does.

use hedgerow_api::Error;
use hedgerow_isolation::plan::FenceId;
use hedgerow_isolation::protocol::{ErrorKind, Facts, Machine, Request, Response};
use serde_json::{Value, json};

use crate::driver::Surroundings;
use crate::launcher::CallError;

/// `component` is a name, or empty for the machine alone.
pub async fn explain(around: &Surroundings, component: &str) -> Result<Value, Error> {
    if component.is_empty() {
        let (machine, _) = describe(around, None).await?;
        return Ok(json!({ "machine": machine }));
    }
    let status = around
        .registry
        .status(component)
        .ok_or_else(|| Error::NoSuchComponent(format!("no component {component:?} is deployed")))?;
    let (machine, fence) = describe(around, status.fence).await?;
    let settings = &around.settings;
    Ok(json!({
        "machine": machine,
        "component": {
            "name": status.name,
            "version": status.version,
            "settings": {
                "network": settings.network(component),
                "limits": settings.limits(component),
            },
        },
        "fence": fence,
    }))
}

/// A fence that has just been closed is none.
async fn describe(
    around: &Surroundings,
    fence: Option<FenceId>,
) -> Result<(Machine, Option<Box<Facts>>), Error> {
    let ask = |fence| around.launcher.call(Request::Describe { fence }, vec![]);
    let answer = match ask(fence).await {
        Err(CallError::Refused(error)) if error.kind == ErrorKind::NoSuchFence => ask(None).await,
        answer => answer,
    };
    match answer {
        Ok((Response::Described { mut machine, fence }, _)) => {
            machine.lacks.extend(around.events.fault());
            machine.lacks.extend(around.endpoint_fault.borrow().clone());
            Ok((machine, fence))
        }
        Ok(_) => Err(Error::Internal(CallError::Confused.to_string())),
        Err(error) => Err(Error::Internal(format!("the launcher does not tell: {error}"))),
    }
}
