//! The built-ins as data. Versions: checked against AWS's document history, component pages and
//! GitHub releases up to 2026-04 where those name one (Nucleus, NucleusLite, Cli, StreamManager,
//! ShadowManager, LogManager, SecretManager, TokenExchangeService, SecureTunneling,
//! SystemLogForwarder, clientdevices.Auth); the patches of the others are from memory of them.
//! Configurations: the documented defaults.

use super::Service::{NotYet, Provided};
use super::{Builtin, Line};

const NO_CLOUD: &str = "the device has no connection to the cloud yet";
const NO_CLIENT_DEVICES: &str = "client devices cannot connect yet";

pub(super) const BUILTINS: &[Builtin] = &[
    Builtin {
        name: "aws.greengrass.Cli",
        purpose: "local deployments and the greengrass-cli commands",
        service: Provided,
        lines: NUCLEUS,
        configuration: r#"{"AuthorizedPosixGroups": null}"#,
    },
    Builtin {
        name: "aws.greengrass.DiskSpooler",
        purpose: "keeps messages for the cloud on disk while it cannot be reached",
        service: NotYet(NO_CLOUD),
        lines: &[Line { major: 1, patches: &[5] }],
        configuration: "{}",
    },
    Builtin {
        name: "aws.greengrass.DockerApplicationManager",
        purpose: "pulls the container images of docker: artifacts",
        service: NotYet("container images are not pulled yet"),
        lines: &[Line { major: 2, patches: &[15] }],
        configuration: "{}",
    },
    Builtin {
        name: "aws.greengrass.LambdaLauncher",
        purpose: "starts Lambda functions",
        service: Provided,
        lines: &[Line { major: 2, patches: &[13] }],
        configuration: "{}",
    },
    Builtin {
        name: "aws.greengrass.LambdaManager",
        purpose: "passes events to Lambda functions",
        service: Provided,
        lines: &[Line { major: 2, patches: &[9, 4, 11, 5] }],
        configuration: r#"{"getResultTimeoutInSecond": 60}"#,
    },
    Builtin {
        name: "aws.greengrass.LambdaRuntimes",
        purpose: "the languages of Lambda functions",
        service: Provided,
        lines: &[Line { major: 2, patches: &[8] }],
        configuration: "{}",
    },
    Builtin {
        name: "aws.greengrass.LegacySubscriptionRouter",
        purpose: "subscriptions between Lambda functions of Greengrass v1",
        service: Provided,
        lines: &[Line { major: 2, patches: &[3, 13] }],
        configuration: r#"{"subscriptions": {}}"#,
    },
    Builtin {
        name: "aws.greengrass.LocalDebugConsole",
        purpose: "a web page about the device's components",
        service: NotYet("there is no web page; use hedgerow status"),
        lines: &[Line { major: 2, patches: &[4, 1, 9, 4, 6] }],
        configuration: r#"{"httpsEnabled": true, "port": 1441, "websocketPort": 1442, "bindHostname": "localhost"}"#,
    },
    Builtin {
        name: "aws.greengrass.LogManager",
        purpose: "uploads logs to Amazon CloudWatch",
        service: NotYet(NO_CLOUD),
        lines: &[Line { major: 2, patches: &[6, 4, 10, 11] }],
        configuration: r#"{
            "logsUploaderConfiguration": {
                "systemLogsConfiguration": {"uploadToCloudWatch": false, "minimumLogLevel": "INFO"},
                "componentLogsConfigurationMap": {}
            },
            "periodicUploadIntervalSec": 300
        }"#,
    },
    Builtin {
        name: "aws.greengrass.Nucleus",
        purpose: "the runtime itself",
        service: Provided,
        lines: NUCLEUS,
        configuration: r#"{
            "awsRegion": "",
            "iotDataEndpoint": "",
            "iotCredEndpoint": "",
            "iotRoleAlias": "",
            "greengrassDataPlanePort": 8443,
            "fipsMode": "false",
            "interpolateComponentConfiguration": false,
            "deploymentPollingFrequencySeconds": 15,
            "componentStoreMaxSizeBytes": 10000000000,
            "platformOverride": {},
            "runWithDefault": {"posixUser": "ggc_user", "posixShell": "sh"},
            "networkProxy": {},
            "mqtt": {"port": 8883, "spooler": {"storageType": "Memory", "maxSizeInBytes": 2621440, "keepQos0WhenOffline": false}},
            "logging": {"level": "INFO", "format": "TEXT"},
            "telemetry": {"enabled": true}
        }"#,
    },
    Builtin {
        name: "aws.greengrass.NucleusLite",
        purpose: "the runtime itself",
        service: Provided,
        lines: &[Line { major: 2, patches: &[2, 0, 2, 0, 0, 0, 0] }],
        configuration: "{}",
    },
    Builtin {
        name: "aws.greengrass.SecretManager",
        purpose: "secrets of AWS Secrets Manager",
        service: NotYet(NO_CLOUD),
        lines: &[Line { major: 2, patches: &[9, 8, 6] }],
        configuration: r#"{"cloudSecrets": []}"#,
    },
    Builtin {
        name: "aws.greengrass.SecureTunneling",
        purpose: "tunnels of AWS IoT to services of the device",
        service: NotYet(NO_CLOUD),
        lines: &[Line { major: 1, patches: &[19, 3] }],
        configuration: "{}",
    },
    Builtin {
        name: "aws.greengrass.ShadowManager",
        purpose: "shadows of things, kept on the device",
        service: NotYet("there are no shadows yet"),
        lines: &[Line { major: 2, patches: &[6, 1, 4, 12] }],
        configuration: r#"{
            "strategy": {"type": "realTime"},
            "synchronize": {},
            "rateLimits": {
                "maxOutboundSyncUpdatesPerSecond": 100,
                "maxTotalLocalRequestsRate": 200,
                "maxLocalRequestsPerSecondPerThing": 20
            },
            "shadowDocumentSizeLimitBytes": 8192
        }"#,
    },
    Builtin {
        name: "aws.greengrass.StreamManager",
        purpose: "streams of data that wait for the cloud",
        service: NotYet("there are no streams yet"),
        lines: &[Line { major: 2, patches: &[15, 13, 2, 0] }],
        configuration: r#"{
            "STREAM_MANAGER_STORE_ROOT_DIR": ".",
            "STREAM_MANAGER_SERVER_PORT": "8088",
            "STREAM_MANAGER_AUTHENTICATE_CLIENT": "true",
            "STREAM_MANAGER_EXPORTER_MAX_BANDWIDTH": "",
            "STREAM_MANAGER_EXPORTER_THREAD_POOL_SIZE": "5",
            "LOG_LEVEL": "INFO",
            "JVM_ARGS": ""
        }"#,
    },
    Builtin {
        name: "aws.greengrass.SystemLogForwarder",
        purpose: "uploads the system's journal to Amazon CloudWatch",
        service: NotYet(NO_CLOUD),
        lines: &[Line { major: 2, patches: &[1, 0] }],
        configuration: "{}",
    },
    Builtin {
        name: "aws.greengrass.TokenExchangeService",
        purpose: "AWS credentials for components",
        service: NotYet("there are no AWS credentials on this device yet"),
        lines: &[Line { major: 2, patches: &[3] }],
        configuration: r#"{"port": 0}"#,
    },
    Builtin {
        name: "aws.greengrass.clientdevices.Auth",
        purpose: "who may connect of the devices nearby",
        service: NotYet(NO_CLIENT_DEVICES),
        lines: &[Line { major: 2, patches: &[4, 0, 3, 4, 6, 4] }],
        configuration: r#"{"deviceGroups": {"formatVersion": "2021-03-05", "definitions": {}, "policies": {}}}"#,
    },
    Builtin {
        name: "aws.greengrass.clientdevices.IPDetector",
        purpose: "tells the devices nearby where to connect",
        service: NotYet(NO_CLIENT_DEVICES),
        lines: &[Line { major: 2, patches: &[2, 9, 2] }],
        configuration: r#"{"defaultPort": 8883, "includeIPv4LoopbackAddrs": false, "includeIPv4LinkLocalAddrs": false}"#,
    },
    Builtin {
        name: "aws.greengrass.clientdevices.mqtt.Bridge",
        purpose: "passes messages between the devices nearby, components and the cloud",
        service: NotYet(NO_CLIENT_DEVICES),
        lines: &[Line { major: 2, patches: &[1, 1, 6, 2] }],
        configuration: r#"{"mqttTopicMapping": {}}"#,
    },
    Builtin {
        name: "aws.greengrass.clientdevices.mqtt.EMQX",
        purpose: "an MQTT 5 broker for the devices nearby",
        service: NotYet(NO_CLIENT_DEVICES),
        lines: &[Line { major: 1, patches: &[1, 1, 3] }, Line { major: 2, patches: &[3] }],
        configuration: "{}",
    },
    Builtin {
        name: "aws.greengrass.clientdevices.mqtt.Moquette",
        purpose: "an MQTT 3.1.1 broker for the devices nearby",
        service: NotYet(NO_CLIENT_DEVICES),
        lines: &[Line { major: 2, patches: &[2, 0, 0, 7] }],
        configuration: r#"{"moquette": {"ssl_port": 8883, "host": "0.0.0.0"}, "startupTimeoutSeconds": 120}"#,
    },
    Builtin {
        name: "aws.greengrass.crypto.Pkcs11Provider",
        purpose: "keys in a hardware security module",
        service: NotYet("keys in a security module cannot be used yet"),
        lines: &[Line { major: 2, patches: &[10] }],
        configuration: "{}",
    },
    Builtin {
        name: "aws.greengrass.telemetry.NucleusEmitter",
        purpose: "publishes the device's health as messages",
        service: NotYet("no telemetry is published yet"),
        lines: &[Line { major: 1, patches: &[11] }],
        configuration: r#"{"pubSubPublish": true, "mqttTopic": "", "telemetryPublishIntervalMs": 60000}"#,
    },
];

/// Minors 0 to 18.
const NUCLEUS: &[Line] =
    &[Line { major: 2, patches: &[5, 0, 0, 0, 0, 6, 0, 0, 1, 6, 3, 3, 6, 0, 3, 1, 1, 0, 0] }];
