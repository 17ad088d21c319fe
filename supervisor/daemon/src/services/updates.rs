//! What components have to say to deployments.

use std::time::Duration;

use hedgerow_ipc::Answer;
use hedgerow_ipc::model::{
    DeferComponentUpdateRequest, DeferComponentUpdateResponse, ErrorKind, Operation,
    OperationError, Response, SendConfigurationValidityReportRequest,
    SendConfigurationValidityReportResponse, SubscribeToComponentUpdatesResponse,
    SubscribeToValidateConfigurationUpdatesResponse,
};

use super::DaemonServices;
use crate::consent::{DeferError, TooMany};

/// Bytes of a component's reason that are kept and shown.
const MAX_REASON: usize = 1024;

impl DaemonServices {
    pub(super) fn subscribe_to_component_updates(
        &self,
        caller: &str,
    ) -> Result<Answer, OperationError> {
        let events = self.consent.subscribe_updates(caller).map_err(too_many)?;
        let response = SubscribeToComponentUpdatesResponse {};
        Ok(Answer::Subscribed(Response::SubscribeToComponentUpdates(response), events))
    }

    pub(super) fn defer_component_update(
        &self,
        caller: &str,
        request: &DeferComponentUpdateRequest,
    ) -> Result<Response, OperationError> {
        let invalid = |message: String| {
            OperationError::invalid_arguments(Operation::DeferComponentUpdate, message)
        };
        let recheck = request.recheck_after_ms.map(u64::try_from).transpose();
        let recheck = recheck.map_err(|_| invalid("recheckAfterMs is negative".to_owned()))?;
        let recheck = recheck.map(Duration::from_millis);
        let message = request.message.as_deref().map(shortened);
        self.consent.defer(caller, &request.deployment_id, recheck, message).map_err(|error| {
            match error {
                DeferError::NotSubscribed { .. } => invalid(error.to_string()),
                DeferError::TooLate { .. } => {
                    OperationError::new(ErrorKind::Service, error.to_string())
                }
            }
        })?;
        Ok(Response::DeferComponentUpdate(DeferComponentUpdateResponse {}))
    }

    pub(super) fn subscribe_to_validate_configuration_updates(
        &self,
        caller: &str,
    ) -> Result<Answer, OperationError> {
        let events = self.consent.subscribe_validation(caller).map_err(too_many)?;
        let response = SubscribeToValidateConfigurationUpdatesResponse {};
        Ok(Answer::Subscribed(Response::SubscribeToValidateConfigurationUpdates(response), events))
    }

    pub(super) fn send_configuration_validity_report(
        &self,
        caller: &str,
        request: SendConfigurationValidityReportRequest,
    ) -> Result<Response, OperationError> {
        let report = request.configuration_validity_report;
        let message = report.message.as_deref().map(|text| shortened(text).to_owned());
        self.consent
            .report_validity(caller, &report.deployment_id, report.status, message)
            .map_err(|error| OperationError::new(ErrorKind::InvalidArguments, error.to_string()))?;
        let response = SendConfigurationValidityReportResponse {};
        Ok(Response::SendConfigurationValidityReport(response))
    }
}

fn too_many(error: TooMany) -> OperationError {
    OperationError::service(error.to_string())
}

fn shortened(reason: &str) -> &str {
    reason.get(..reason.floor_char_boundary(MAX_REASON)).unwrap_or_default()
}
