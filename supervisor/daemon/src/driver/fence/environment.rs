//! What every step of a component finds in its environment.

use std::collections::BTreeMap;

use hedgerow_isolation::control::PATH;

use crate::layout::inside;
use crate::settings::Settings;

/// The version of Greengrass that components are told they run on (`GGC_VERSION`).
const NUCLEUS_VERSION: &str = "2.18.0";

/// What every step of the component finds in its environment (inventory 1.8).
pub fn environment(settings: &Settings, token: &str) -> BTreeMap<String, String> {
    let device = &settings.device;
    let mut environment: BTreeMap<String, String> = [
        ("SVCUID", token),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", token),
        ("AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH", inside::IPC_SOCKET),
        ("AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT", inside::IPC_SOCKET),
        ("AWS_IOT_THING_NAME", &device.thing_name),
        ("GGC_VERSION", NUCLEUS_VERSION),
        ("HOME", inside::HOME),
        ("USER", "ggc_user"),
        ("LOGNAME", "ggc_user"),
        ("SHELL", "/bin/sh"),
        ("PATH", &format!("{PATH}:{}/.local/bin", inside::HOME)),
        // Packages of the component's own, also where the system manages its Python.
        ("PIP_BREAK_SYSTEM_PACKAGES", "1"),
        ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
        ("PIP_NO_CACHE_DIR", "1"),
        ("PIP_NO_INPUT", "1"),
        ("PIP_ROOT_USER_ACTION", "ignore"),
        ("DEBIAN_FRONTEND", "noninteractive"),
        ("LANG", "C.UTF-8"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    if !device.region.is_empty() {
        environment.insert("AWS_REGION".into(), device.region.clone());
        environment.insert("AWS_DEFAULT_REGION".into(), device.region.clone());
    }
    environment.extend(device.proxy.environment());
    environment
}
