//! `PutComponentMetric`.

use hedgerow_ipc::Principal;
use hedgerow_ipc::model::{
    self, ErrorKind, Operation, OperationError, PutComponentMetricRequest,
    PutComponentMetricResponse, Response,
};
use hedgerow_isolation::moment::Moment;

use super::DaemonServices;
use crate::metrics::Metric;

/// Whose metrics are taken: Greengrass says `^aws\.`.
const PREFIX: &str = "aws.";

impl DaemonServices {
    pub(super) fn put_component_metric(
        &self,
        caller: &str,
        request: PutComponentMetricRequest,
    ) -> Result<Response, OperationError> {
        if !caller.starts_with(PREFIX) {
            let message = format!(
                "metrics are taken of components whose names begin with {PREFIX:?}, not of {caller:?}"
            );
            return Err(OperationError::unauthorized(message));
        }
        let who = Principal::Component(caller.into());
        for metric in &request.metrics {
            let _permit = self.hub.authorize(&who, Operation::PutComponentMetric, &metric.name)?;
        }
        let reported = Moment::now();
        let metrics = request.metrics.into_iter().map(|model::Metric { name, unit, value }| {
            (name, Metric { unit, value, reported: reported.clone() })
        });
        self.metrics
            .put(caller, metrics.collect())
            .map_err(|error| OperationError::new(ErrorKind::InvalidArguments, error.to_string()))?;
        Ok(Response::PutComponentMetric(PutComponentMetricResponse {}))
    }
}
