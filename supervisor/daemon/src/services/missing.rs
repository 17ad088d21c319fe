//! Operations whose service does not exist yet: the call fails and says why, the deployment does not.

use hedgerow_ipc::model::Operation::{self, *};

/// What `operation` needs and this version does not have.
pub fn missing(operation: Operation) -> Option<&'static str> {
    match operation {
        PublishToIoTCore | SubscribeToIoTCore | SubscribeToIoTCoreConnectionStatus => {
            Some("the connection to AWS IoT Core")
        }
        GetThingShadow | UpdateThingShadow | DeleteThingShadow | ListNamedShadowsForThing => {
            Some("the service of aws.greengrass.ShadowManager")
        }
        GetSecretValue => Some("the service of aws.greengrass.SecretManager"),
        SubscribeToCertificateUpdates
        | VerifyClientDeviceIdentity
        | GetClientDeviceAuthToken
        | AuthorizeClientDeviceAction => Some("the service of aws.greengrass.clientdevices.Auth"),
        CreateDebugPassword => Some("the service of aws.greengrass.LocalDebugConsole"),
        CancelLocalDeployment
        | CreateLocalDeployment
        | DeferComponentUpdate
        | GetComponentDetails
        | GetConfiguration
        | GetLocalDeploymentStatus
        | ListComponents
        | ListLocalDeployments
        | PauseComponent
        | PublishToTopic
        | PutComponentMetric
        | RestartComponent
        | ResumeComponent
        | SendConfigurationValidityReport
        | StopComponent
        | SubscribeToComponentUpdates
        | SubscribeToConfigurationUpdate
        | SubscribeToTopic
        | SubscribeToValidateConfigurationUpdates
        | UpdateConfiguration
        | UpdateState
        | ValidateAuthorizationToken => None,
    }
}
