//! Configurations: a component's own, and those that it may read.

use std::sync::Arc;

use hedgerow_component::ComponentName;
use hedgerow_ipc::model::{
    ErrorKind, GetConfigurationRequest, GetConfigurationResponse, Operation, OperationError,
    Response, SubscribeToConfigurationUpdateRequest, SubscribeToConfigurationUpdateResponse,
    UpdateConfigurationRequest, UpdateConfigurationResponse,
};
use hedgerow_ipc::{Answer, Principal};
use serde_json::Value;

use super::change::{Change, Refused, pointer};
use super::{DaemonServices, failed, not_found, unknown};
use crate::deployment::{NUCLEUS, shown};
use crate::records::RecordsError;

impl DaemonServices {
    pub(super) fn get_configuration(
        &self,
        caller: &str,
        request: GetConfigurationRequest,
    ) -> Result<Response, OperationError> {
        let name = request.component_name.unwrap_or_else(|| caller.to_owned());
        let path = request.key_path;
        let value = self.readable(caller, &name, &path, Operation::GetConfiguration)?;
        // Greengrass wraps a single value in an object under its last key.
        let value = match (value, path.last()) {
            (value @ Value::Object(_), _) | (value, None) => value,
            (value, Some(key)) => serde_json::json!({ key: value }),
        };
        Ok(Response::GetConfiguration(GetConfigurationResponse {
            component_name: Some(name),
            value: Some(value),
        }))
    }

    pub(super) fn subscribe_to_configuration_update(
        &self,
        caller: &str,
        request: SubscribeToConfigurationUpdateRequest,
    ) -> Result<Answer, OperationError> {
        let name = request.component_name.unwrap_or_else(|| caller.to_owned());
        let path = request.key_path;
        self.readable(caller, &name, &path, Operation::SubscribeToConfigurationUpdate)?;
        let events = self.configuration_updates.subscribe(caller, &name, path);
        let events = events.map_err(|error| OperationError::service(error.to_string()))?;
        let response = SubscribeToConfigurationUpdateResponse {};
        Ok(Answer::Subscribed(Response::SubscribeToConfigurationUpdate(response), events))
    }

    pub(super) async fn update_configuration(
        &self,
        caller: &str,
        request: UpdateConfigurationRequest,
    ) -> Result<Response, OperationError> {
        let change = Change::of(request).map_err(refused)?;
        let name = ComponentName::try_from(caller.to_owned()).map_err(|_| unknown(caller))?;
        let _turn = self.writing.lock().await;
        let records = Arc::clone(&self.records);
        // It waits for the disk.
        let written = tokio::task::spawn_blocking(move || {
            records.change_configuration(&name, |configuration| change.apply(configuration))
        });
        let written = written.await.map_err(|error| OperationError::service(error.to_string()))?;
        let changes = written.map_err(failed)?.map_err(refused)?;
        self.configuration_changed(caller, &changes.paths());
        Ok(Response::UpdateConfiguration(UpdateConfigurationResponse {}))
    }

    /// Tells the subscribers, once it is durable, that values have changed.
    pub fn configuration_changed(&self, component: &str, paths: &[Vec<String>]) {
        let operation = Operation::SubscribeToConfigurationUpdate;
        let may_read = |who: &str| self.may_read(who, component, operation).is_ok();
        self.configuration_updates.changed(component, paths, may_read);
    }

    /// The value at `path`, where it is there and the caller may read it.
    fn readable(
        &self,
        caller: &str,
        component: &str,
        path: &[String],
        operation: Operation,
    ) -> Result<Value, OperationError> {
        let name = ComponentName::try_from(component.to_owned()).map_err(|_| unknown(component))?;
        if !self.records.desired().map_err(failed)?.contains_key(&name) {
            return Err(unknown(component));
        }
        self.may_read(caller, component, operation)?;
        let value = self.records.configuration(component, path).map_err(failed)?;
        let value = value.map(|value| self.shown(value, &name)).transpose().map_err(failed)?;
        value.ok_or_else(|| {
            let message = format!("{component} has no configuration at {}", pointer(path));
            not_found(message, "Configuration", pointer(path))
        })
    }

    /// With the variables in it replaced, where the Nucleus says so.
    fn shown(&self, value: Value, of: &ComponentName) -> Result<Value, RecordsError> {
        // Nearly never, and then everything has to be read.
        if !has_braces(&value) {
            return Ok(value);
        }
        let all = self.records.ingredients(&self.records.desired()?)?.ingredients;
        let shown = all.get(of).map(|own| shown(&value, own, &all, &self.settings).into_owned());
        Ok(shown.unwrap_or(value))
    }

    /// A component reads its own configuration, its direct dependencies', and what a policy allows.
    pub(super) fn may_read(
        &self,
        caller: &str,
        component: &str,
        operation: Operation,
    ) -> Result<(), OperationError> {
        // The Nucleus is what everybody depends on, said or not.
        if caller == component || component == NUCLEUS || self.settings.compat.open_configuration {
            return Ok(());
        }
        if self.depends(caller, component).map_err(failed)? {
            return Ok(());
        }
        let who = Principal::Component(caller.into());
        self.hub.authorize(&who, operation, component).map(drop).map_err(|denied| {
            // The model has no UnauthorizedError here, and the JavaScript SDK shows no error that the model does not
            // list. Greengrass never refuses it, so nobody waits for another one.
            OperationError::service(format!(
                "{caller:?} does not depend on {component:?}, and {denied}"
            ))
        })
    }

    fn depends(&self, caller: &str, component: &str) -> Result<bool, RecordsError> {
        let Ok(caller) = ComponentName::try_from(caller.to_owned()) else { return Ok(false) };
        let mut desired = self.records.desired()?;
        desired.retain(|name, _| *name == caller);
        let ingredients = self.records.ingredients(&desired)?.ingredients;
        let own = ingredients.get(&caller);
        Ok(own.is_some_and(|own| {
            let dependencies = own.dependencies(&ingredients);
            dependencies.keys().any(|dependency| dependency.as_str() == component)
        }))
    }
}

fn has_braces(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('{'),
        Value::Array(items) => items.iter().any(has_braces),
        Value::Object(map) => map.values().any(has_braces),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn refused(reason: Refused) -> OperationError {
    let kind = match reason {
        Refused::TooOld { .. } => ErrorKind::FailedUpdateConditionCheck,
        Refused::AccessControl
        | Refused::NotAMap
        | Refused::Timestamp(_)
        | Refused::TooDeep
        | Refused::TooLarge
        | Refused::Converts { .. } => ErrorKind::InvalidArguments,
    };
    OperationError::new(kind, reason.to_string())
}
