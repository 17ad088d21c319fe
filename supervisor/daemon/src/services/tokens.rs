//! Tokens of components, for the one that has to tell who connects to it.

use hedgerow_ipc::model::{
    ErrorKind, OperationError, Response, ValidateAuthorizationTokenRequest,
    ValidateAuthorizationTokenResponse,
};

use super::DaemonServices;

/// Greengrass has no policy for it: nobody else may know which tokens are valid.
const STREAM_MANAGER: &str = "aws.greengrass.StreamManager";

impl DaemonServices {
    pub(super) fn validate_authorization_token(
        &self,
        caller: &str,
        request: &ValidateAuthorizationTokenRequest,
    ) -> Result<Response, OperationError> {
        if caller != STREAM_MANAGER {
            let message = format!("only {STREAM_MANAGER} may validate tokens, not {caller:?}");
            return Err(OperationError::unauthorized(message));
        }
        if self.hub.holder_of(&request.token).is_none() {
            let message = "it is not the token of a component that runs now";
            return Err(OperationError::new(ErrorKind::InvalidToken, message));
        }
        let response = ValidateAuthorizationTokenResponse { is_valid: true };
        Ok(Response::ValidateAuthorizationToken(response))
    }
}
