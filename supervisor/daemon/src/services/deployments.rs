//! Local deployments that a component makes.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use hedgerow_api::Error;
use hedgerow_ipc::model::{
    self, CancelLocalDeploymentRequest, CancelLocalDeploymentResponse,
    CreateLocalDeploymentRequest, CreateLocalDeploymentResponse, DeploymentStatusDetails,
    DetailedDeploymentStatus, ErrorKind, GetLocalDeploymentStatusRequest,
    GetLocalDeploymentStatusResponse, ListLocalDeploymentsResponse, LocalDeployment,
    OperationError, Response,
};
use hedgerow_isolation::plan::User;
use hedgerow_isolation::protocol;

use super::document::document;
use super::{DaemonServices, not_found, recovered};
use crate::deployment::{
    CancelOutcome, DeploymentId, DeploymentStatus, DeploymentView, DetailedStatus, Group, Request,
};
use crate::layout::inside;

impl DaemonServices {
    pub(super) async fn create_local_deployment(
        &self,
        caller: &str,
        mut request: CreateLocalDeploymentRequest,
    ) -> Result<Response, OperationError> {
        let deployments = recovered(&self.deployments)?;
        let recipes = request.recipe_directory_path.take();
        let artifacts = request.artifacts_directory_path.take();
        let document = document(request).map_err(|error| invalid(&error))?;
        let recipe_dir = self.open(caller, recipes, ErrorKind::InvalidRecipeDirectoryPath).await?;
        let artifact_dir =
            self.open(caller, artifacts, ErrorKind::InvalidArtifactsDirectoryPath).await?;
        // The caller has shown that it may read the directories, not that it may read what this daemon may.
        let request = Request { document, recipe_dir, artifact_dir, public_only: true };
        let id = deployments.submit(request).map_err(|error| match error {
            Error::InvalidArgument(_) => invalid(&error),
            _ => OperationError::service(error.message()),
        })?;
        let deployment_id = Some(id.to_string());
        Ok(Response::CreateLocalDeployment(CreateLocalDeploymentResponse { deployment_id }))
    }

    pub(super) fn cancel_local_deployment(
        &self,
        request: CancelLocalDeploymentRequest,
    ) -> Result<Response, OperationError> {
        let text = request.deployment_id.ok_or_else(|| invalid(&"a deploymentId is needed"))?;
        let id = DeploymentId::try_from(text).map_err(|error| invalid(&error))?;
        let message = match recovered(&self.deployments)?.cancel(&id) {
            CancelOutcome::Canceled => format!("deployment {id} is canceled; nothing was changed"),
            CancelOutcome::Canceling => {
                format!(
                    "deployment {id} is being canceled; what it has changed follows its failure policy"
                )
            }
            CancelOutcome::Ended(status) => {
                return Err(invalid(&format!("deployment {id} has ended: {}", status.as_str())));
            }
            CancelOutcome::Unknown => return Err(no_deployment(id.as_str())),
        };
        let message = Some(message);
        Ok(Response::CancelLocalDeployment(CancelLocalDeploymentResponse { message }))
    }

    pub(super) fn get_local_deployment_status(
        &self,
        request: GetLocalDeploymentStatusRequest,
    ) -> Result<Response, OperationError> {
        let text = request.deployment_id;
        let id = DeploymentId::try_from(text.clone()).ok();
        let deployments = recovered(&self.deployments)?;
        let view = id.and_then(|id| deployments.status(&id)).ok_or_else(|| no_deployment(&text))?;
        let deployment = local_deployment(&view);
        Ok(Response::GetLocalDeploymentStatus(GetLocalDeploymentStatusResponse { deployment }))
    }

    pub(super) fn list_local_deployments(&self) -> Result<Response, OperationError> {
        let all = recovered(&self.deployments)?.list();
        let local = all.iter().filter(|view| view.group != Group::Image).map(local_deployment);
        let response = ListLocalDeploymentsResponse { local_deployments: Some(local.collect()) };
        Ok(Response::ListLocalDeployments(response))
    }

    /// Opens a directory as an ordinary step of the caller would, in its own fence. Greengrass's errors for it say
    /// which of the two directories it is.
    async fn open(
        &self,
        caller: &str,
        path: Option<String>,
        kind: ErrorKind,
    ) -> Result<Option<OwnedFd>, OperationError> {
        let Some(path) = path.filter(|path| !path.is_empty()) else { return Ok(None) };
        let refused = |why: &dyn std::fmt::Display| {
            OperationError::new(kind, format!("{path:?} of component {caller:?}: {why}"))
        };
        let path = Path::new(&inside::work(caller)).join(&path);
        let fence = self.registry.status(caller).and_then(|status| status.fence);
        let fence = fence.ok_or_else(|| refused(&"its fence is not open any more"))?;
        let request = protocol::Request::OpenInFence { fence, path, user: User::GGC };
        let answer = self.launcher.call(request, vec![]).await;
        match answer.map_err(|error| refused(&error))? {
            (protocol::Response::Opened, mut descriptors) if descriptors.len() == 1 => {
                let directory = descriptors.pop().ok_or_else(|| refused(&"nothing was opened"))?;
                is_directory(&directory)
                    .then_some(Some(directory))
                    .ok_or_else(|| refused(&"it is no directory"))
            }
            _ => Err(refused(&"the launcher did not answer the question")),
        }
    }
}

fn is_directory(file: &OwnedFd) -> bool {
    let kind = nix::sys::stat::fstat(file).map(|stat| stat.st_mode & nix::libc::S_IFMT);
    kind == Ok(nix::libc::S_IFDIR)
}

fn invalid(reason: &dyn std::fmt::Display) -> OperationError {
    OperationError::new(ErrorKind::InvalidArguments, reason.to_string())
}

fn no_deployment(id: &str) -> OperationError {
    not_found(format!("no deployment {id:?} is known"), "Deployment", id)
}

fn local_deployment(view: &DeploymentView) -> LocalDeployment {
    LocalDeployment {
        deployment_id: view.id.to_string(),
        status: match view.status {
            DeploymentStatus::Queued => model::DeploymentStatus::Queued,
            DeploymentStatus::InProgress => model::DeploymentStatus::InProgress,
            DeploymentStatus::Succeeded => model::DeploymentStatus::Succeeded,
            // The details tell the two apart.
            DeploymentStatus::Failed | DeploymentStatus::Rejected => {
                model::DeploymentStatus::Failed
            }
            DeploymentStatus::Canceled => model::DeploymentStatus::Canceled,
        },
        created_on: Some(created_on(view.created)),
        deployment_status_details: view.detailed.map(|detailed| details(view, detailed)),
    }
}

fn details(view: &DeploymentView, detailed: DetailedStatus) -> DeploymentStatusDetails {
    let list = |codes: &[String]| (!codes.is_empty()).then(|| codes.to_vec());
    DeploymentStatusDetails {
        detailed_deployment_status: match detailed {
            DetailedStatus::Successful => DetailedDeploymentStatus::Successful,
            DetailedStatus::FailedNoStateChange => DetailedDeploymentStatus::FailedNoStateChange,
            // The model has no word for a rollback that failed; both leave the device changed.
            DetailedStatus::FailedRollbackNotRequested | DetailedStatus::FailedUnableToRollback => {
                DetailedDeploymentStatus::FailedRollbackNotRequested
            }
            DetailedStatus::FailedRollbackComplete => {
                DetailedDeploymentStatus::FailedRollbackComplete
            }
            DetailedStatus::Rejected => DetailedDeploymentStatus::Rejected,
        },
        deployment_error_stack: list(&view.error_stack),
        deployment_error_types: list(&view.error_types),
        deployment_failure_cause: Some(view.failure_cause.clone())
            .filter(|cause| !cause.is_empty()),
    }
}

/// As Greengrass writes it, `MM/dd/yyyy hh:mm:ss` with hours from 1 to 12; in UTC.
fn created_on(milliseconds: i64) -> String {
    let since = Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0));
    let text = humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string();
    let number = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default().to_owned();
    let hour = number(11..13).parse::<u32>().unwrap_or(0);
    let hour = if hour % 12 == 0 { 12 } else { hour % 12 };
    format!("{}/{}/{} {hour:02}:{}", number(5..7), number(8..10), number(0..4), number(14..19))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greengrass_dates() {
        assert_eq!(created_on(0), "01/01/1970 12:00:00");
        assert_eq!(created_on(1_700_000_000_999), "11/14/2023 10:13:20");
        assert_eq!(created_on(-1), "01/01/1970 12:00:00");
    }
}
