//! Why a deployment failed, in Greengrass's codes (its `DeploymentErrorCode` and `DeploymentErrorType`).

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$about:meta])* $variant:ident $name:literal $kind:expr;)*) => {
        /// One code of an error stack. Only those that this version can report.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub enum ErrorCode {
            $($(#[$about])* #[serde(rename = $name)] $variant,)*
        }

        impl ErrorCode {
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            fn kind(self) -> Option<ErrorType> {
                match self { $(Self::$variant => $kind,)* }
            }
        }
    };
}

codes! {
    DeploymentFailure "DEPLOYMENT_FAILURE" None;
    DeploymentRejected "DEPLOYMENT_REJECTED" None;
    DeploymentInterrupted "DEPLOYMENT_INTERRUPTED" None;
    RejectedStaleDeployment "REJECTED_STALE_DEPLOYMENT" None;
    DeploymentDocumentNotValid "DEPLOYMENT_DOCUMENT_NOT_VALID" None;
    NucleusMissingRequiredCapabilities "NUCLEUS_MISSING_REQUIRED_CAPABILITIES" Some(ErrorType::Request);
    NoAvailableComponentVersion "NO_AVAILABLE_COMPONENT_VERSION" None;
    ComponentVersionRequirementsNotMet "COMPONENT_VERSION_REQUIREMENTS_NOT_MET" Some(ErrorType::Request);
    ComponentCircularDependency "COMPONENT_CIRCULAR_DEPENDENCY_ERROR" Some(ErrorType::Request);
    ComponentPackageLoading "COMPONENT_PACKAGE_LOADING_ERROR" None;
    RecipeParse "RECIPE_PARSE_ERROR" Some(ErrorType::ComponentRecipe);
    /// No manifest is for this device.
    RecipeMissingManifest "RECIPE_MISSING_MANIFEST" Some(ErrorType::ComponentRecipe);
    ConfigInterpolate "CONFIG_INTERPOLATE_ERROR" Some(ErrorType::ComponentRecipe);
    ArtifactDownload "ARTIFACT_DOWNLOAD_ERROR" None;
    ArtifactChecksumMismatch "ARTIFACT_CHECKSUM_MISMATCH" Some(ErrorType::ComponentRecipe);
    RunWithConfigNotValid "RUN_WITH_CONFIG_NOT_VALID" Some(ErrorType::Request);
    Io "IO_ERROR" None;
    IoRead "IO_READ_ERROR" Some(ErrorType::Device);
    IoWrite "IO_WRITE_ERROR" Some(ErrorType::Device);
    DiskSpaceCritical "DISK_SPACE_CRITICAL" Some(ErrorType::Device);
    ComponentConfigurationNotValid "COMPONENT_CONFIGURATION_NOT_VALID" None;
    ComponentUpdate "COMPONENT_UPDATE_ERROR" None;
    ComponentBroken "COMPONENT_BROKEN" None;
    ComponentBootstrap "COMPONENT_BOOTSTRAP_ERROR" None;
    ComponentBootstrapTimeout "COMPONENT_BOOTSTRAP_TIMEOUT" None;
    RemoveComponent "REMOVE_COMPONENT_ERROR" None;
}

/// Who is at fault, as Greengrass sorts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorType {
    Request,
    ComponentRecipe,
    UserComponent,
    AwsComponent,
    Device,
    /// Ours.
    Nucleus,
}

impl ErrorType {
    pub fn name(self) -> &'static str {
        match self {
            Self::Request => "REQUEST_ERROR",
            Self::ComponentRecipe => "COMPONENT_RECIPE_ERROR",
            Self::UserComponent => "USER_COMPONENT_ERROR",
            Self::AwsComponent => "AWS_COMPONENT_ERROR",
            Self::Device => "DEVICE_ERROR",
            Self::Nucleus => "NUCLEUS_ERROR",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Below `DEPLOYMENT_FAILURE`, from the least to the most specific.
    codes: Vec<ErrorCode>,
    /// Of a code that tells no type by itself: the component's author, say.
    blamed: Option<ErrorType>,
    /// For people: what was wrong, where, and what to do.
    pub cause: String,
}

impl Fault {
    pub fn new(codes: &[ErrorCode], cause: impl Into<String>) -> Self {
        Self { codes: codes.to_vec(), blamed: None, cause: cause.into() }
    }

    /// A component did not do what it should.
    pub fn of_component(component: &str, codes: &[ErrorCode], cause: impl Into<String>) -> Self {
        let is_provided = component.starts_with("aws.greengrass.");
        let blamed = if is_provided { ErrorType::AwsComponent } else { ErrorType::UserComponent };
        Self { blamed: Some(blamed), ..Self::new(codes, cause) }
    }

    /// Something of our own failed.
    pub fn internal(cause: impl Into<String>) -> Self {
        Self { blamed: Some(ErrorType::Nucleus), ..Self::new(&[], cause) }
    }

    /// The whole stack, from the least to the most specific.
    pub fn codes(&self) -> impl Iterator<Item = ErrorCode> {
        let is_rejected = self.codes.first() == Some(&ErrorCode::DeploymentRejected);
        let top = (!is_rejected).then_some(ErrorCode::DeploymentFailure);
        top.into_iter().chain(self.codes.iter().copied())
    }

    /// Each type once.
    pub fn types(&self) -> impl Iterator<Item = ErrorType> {
        let mut types: Vec<ErrorType> = Vec::new();
        for kind in self.codes().filter_map(ErrorCode::kind).chain(self.blamed) {
            if !types.contains(&kind) {
                types.push(kind);
            }
        }
        types.into_iter()
    }
}
